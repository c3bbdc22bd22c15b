"""Reshape videos to the batches of frames that 2-D layers take, and back; choose the memory layout.

Shape letters: B batch, T frames, C channels, H and W size.
"""

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


def fold_time(x: Tensor) -> Tensor:
    """Fold frames into the batch: (B, C, T, H, W) -> (B*T, C, H, W)."""
    return rearrange(x, "b c t h w -> (b t) c h w")


def unfold_time(x: Tensor, frames: int) -> Tensor:
    """Take frames out of the batch again: (B*T, C, H, W) -> (B, C, T, H, W)."""
    return rearrange(x, "(b t) c h w -> b c t h w", t=frames)


def frames_as_sheet(x: Tensor, blank: float = 0.0) -> Tensor:
    """Lay the frames of a video side by side, row by row: (B, C, T, H, W) -> (B, C, rows * H, columns * W).

    There are as many columns as make the sheet nearly square and leave little of its last row empty; that is filled with
    `blank`.
    """
    frames, height, width = x.shape[2:]

    def cost(columns: int) -> float:
        rows = math.ceil(frames / columns)
        empty = 1 - frames / (rows * columns)
        return abs(math.log(columns * width / (rows * height))) + 2 * empty

    columns = min(range(1, frames + 1), key=cost)
    rows = math.ceil(frames / columns)
    padded = F.pad(x, (0, 0, 0, 0, 0, rows * columns - frames), value=blank)
    return rearrange(padded, "b c (r n) h w -> b c (r h) (n w)", n=columns)


def channels_last_on_cpu(x: Tensor) -> Tensor:
    """Return pictures (N, C, H, W) or a video (B, C, T, H, W) in channels-last memory layout, if they are on a CPU.

    On a CPU convolutions are up to twice as fast in this layout, most of all those over time, and their outputs keep it.
    Tensors on a GPU are unchanged, because its group norm does not support the layout. In training, too, they are
    unchanged, because the backward pass of the group norm is many times slower in it.
    """
    if x.device.type != "cpu" or torch.is_grad_enabled():
        return x
    return x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)


def empty_video(like: Tensor, frames: int) -> Tensor:
    """Return an uninitialised video like the given one, (B, C, T, H, W), with another number of frames.

    Its dtype, device and memory layout are those of the given one.
    """
    is_channels_last = like.is_contiguous(memory_format=torch.channels_last_3d)
    return torch.empty(
        (*like.shape[:2], frames, *like.shape[3:]),
        dtype=like.dtype,
        device=like.device,
        memory_format=torch.channels_last_3d if is_channels_last else torch.contiguous_format,
    )
