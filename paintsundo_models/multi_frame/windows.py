"""The three temporal windows, with which the spatial self-attention also reads other frames.

The released weights were trained with them; the original does not use them, and neither do the nodes by default.

Source: Paints-UNDO, diffusers_vdm/attention.py.
"""

import torch
from einops import rearrange
from torch import Tensor

from .attention import FRAMES

TEMPORAL_WINDOWS = ("prv", "first", "roll")


def other_frames(x: Tensor, window: str) -> Tensor:
    """Return for each frame the tokens of the other frames that it also reads: (B, T, N, C) -> (B, T, M, C).

    "prv": the frame before; frame 0 has none and reads itself twice. "first": frame 0. "roll": the frames before and
    after, where the last frame is the one before frame 0.
    """
    if window == "prv":
        return torch.cat([x[:, :1], x[:, :-1]], dim=1)
    if window == "first":
        return x[:, :1].expand_as(x)
    return torch.cat([x.roll(1, dims=1), x.roll(-1, dims=1)], dim=2)


class TemporalWindow:
    """attn1 patch for a MODEL: adds other_frames to the tokens that the spatial self-attentions read."""

    def __init__(self, window: str) -> None:
        if window not in TEMPORAL_WINDOWS:
            raise ValueError(
                f"There is no temporal window {window!r}; there are {', '.join(TEMPORAL_WINDOWS)}."
            )
        self.window = window

    def __call__(
        self, n: Tensor, context: Tensor, value: Tensor, extra_options: dict
    ) -> tuple[Tensor, Tensor, Tensor]:
        video = rearrange(context, "(b t) n c -> b t n c", t=extra_options[FRAMES])
        wide = torch.cat([video, other_frames(video, self.window)], dim=2).flatten(0, 1)
        return n, wide, wide
