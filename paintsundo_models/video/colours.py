"""Colours of a segment matched to its two keyframes, from which the video VAE drifts a little."""

import torch
from torch import Tensor

RIDGE = 1e-3
"""Variance below which a channel says little about its contrast, so that the contrast stays as it is."""


def match_colours(frames: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Correct the colours of a segment so that its two ends have those of the pictures between which it was made.

    At each end, every channel of the frame is fitted to the picture by least squares (a gain, held near 1 by RIDGE, and
    an offset). Between the ends both numbers change evenly, so neighbouring segments meet without a change of colour.

    Args:
        frames: (T, H, W, 3) in [0, 1], T at least 1.
        start: the picture of the first frame, (1, H, W, 3) in [0, 1].
        end: the picture of the last frame, likewise.

    Returns:
        (T, H, W, 3) in [0, 1].
    """
    fits = [_fit(frames[0], start[0].to(frames)), _fit(frames[-1], end[0].to(frames))]
    share = torch.linspace(0, 1, len(frames), dtype=frames.dtype, device=frames.device)[:, None]
    gain, offset = (
        torch.lerp(first[None], last[None], share)[:, None, None] for first, last in zip(*fits, strict=True)
    )
    return (frames * gain + offset).clamp_(0, 1)


def _fit(frame: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
    """Return gain and offset (3,) of each channel from a frame (H, W, 3) to a picture of the same size."""
    mean, wanted = frame.mean(dim=(0, 1)), picture.mean(dim=(0, 1))
    deviation = frame - mean
    gain = ((deviation * (picture - wanted)).mean(dim=(0, 1)) + RIDGE) / (
        deviation.square().mean(dim=(0, 1)) + RIDGE
    )
    return gain, wanted - gain * mean
