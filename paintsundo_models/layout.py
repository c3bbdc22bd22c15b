"""Named reshapes between video tensors and the frame batches that 2-D layers want. Shape letters: B batch, T frames, C channels, H W size."""

from einops import rearrange
from torch import Tensor


def fold_time(x: Tensor) -> Tensor:
    """Fold frames into the batch: (B, C, T, H, W) -> (B*T, C, H, W)."""
    return rearrange(x, "b c t h w -> (b t) c h w")


def unfold_time(x: Tensor, frames: int) -> Tensor:
    """Take frames out of the batch again: (B*T, C, H, W) -> (B, C, T, H, W)."""
    return rearrange(x, "(b t) c h w -> b c t h w", t=frames)
