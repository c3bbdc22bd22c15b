"""Named reshapes between video tensors and the frame batches that 2-D layers want. Shape letters: B batch, T frames, C channels, H W size."""

import torch
from einops import rearrange
from torch import Tensor


def fold_time(x: Tensor) -> Tensor:
    """Fold frames into the batch: (B, C, T, H, W) -> (B*T, C, H, W)."""
    return rearrange(x, "b c t h w -> (b t) c h w")


def unfold_time(x: Tensor, frames: int) -> Tensor:
    """Take frames out of the batch again: (B*T, C, H, W) -> (B, C, T, H, W)."""
    return rearrange(x, "(b t) c h w -> b c t h w", t=frames)


def channels_last_on_cpu(x: Tensor) -> Tensor:
    """Pictures (N, C, H, W) or a video (B, C, T, H, W) with the channels innermost in memory, if they are on a CPU.

    Its convolutions are up to twice as fast so, those over time above all, and hand the layout on. Not in training:
    the group norm's backward is many times slower. On GPUs it is the group norm that does not know this layout.
    """
    if x.device.type != "cpu" or torch.is_grad_enabled():
        return x
    return x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)


def empty_video(like: Tensor, frames: int) -> Tensor:
    """A video (B, C, T, H, W) with another number of frames, laid out in memory as the given one is."""
    is_channels_last = like.is_contiguous(memory_format=torch.channels_last_3d)
    return torch.empty(
        (*like.shape[:2], frames, *like.shape[3:]),
        dtype=like.dtype,
        device=like.device,
        memory_format=torch.channels_last_3d if is_channels_last else torch.contiguous_format,
    )
