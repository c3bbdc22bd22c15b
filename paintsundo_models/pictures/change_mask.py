"""What each frame of a painting added to the one before it, as masks. No files, no nodes, no networks."""

import torch
from torch import Tensor

MAX_SOFTNESS = 256  # pixels


def change_masks(frames: Tensor, threshold: float, softness: int) -> Tensor:
    """Mark the pixels of each frame that differ from the frame before; the first is compared with a white canvas.

    Args:
        frames: (T, H, W, 3) in [0, 1], in painting order.
        threshold: the least difference of any colour channel that counts, 0...1; a pixel differs by more than that.
        softness: width of the soft edge outside of what changed, in pixels, 0 to MAX_SOFTNESS.

    Returns:
        (T, H, W) float32 on the CPU: 1 where something changed, falling to 0 over the soft edge.

    Raises:
        ValueError: a threshold or a softness out of range.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"The threshold must be from 0 to 1; got {threshold}.")
    if not 0 <= softness <= MAX_SOFTNESS:
        raise ValueError(f"The softness must be from 0 to {MAX_SOFTNESS} pixels; got {softness}.")
    masks = torch.empty(frames.shape[:3], dtype=torch.float32)
    before = torch.ones_like(frames[0])
    for mask, frame in zip(masks, frames, strict=True):
        changed = ((frame - before).abs().amax(dim=-1) > threshold).cpu()
        mask.copy_(_soften(changed, softness))
        before = frame
    return masks


def _soften(changed: Tensor, softness: int) -> Tensor:
    """Let (H, W) fall by equal parts from 1 in what changed to 0 in the pixel behind the soft edge."""
    total = changed.float()
    for ring in range(1, softness + 1):
        grown = changed.clone()
        grown[1:] |= changed[:-1]
        grown[:-1] |= changed[1:]
        # By turns with and without the neighbours at the corners, so that a dot grows into an octagon, which is
        # nearer to a circle than a square.
        rows = grown if ring % 2 == 0 else changed
        wide = grown.clone()
        wide[:, 1:] |= rows[:, :-1]
        wide[:, :-1] |= rows[:, 1:]
        changed = wide
        total += changed
    return total / (softness + 1)
