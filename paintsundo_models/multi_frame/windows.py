"""The three temporal windows: spatial self-attention that also reads other frames. In the released weights, off by default.

Source: Paints-UNDO, diffusers_vdm/attention.py.
"""

import torch
from einops import rearrange
from torch import Tensor

from .attention import FRAMES

TEMPORAL_WINDOWS = ("prv", "first", "roll")


def other_frames(x: Tensor, window: str) -> Tensor:
    """The frames whose keys and values each frame reads as well: (B, T, N, C) -> (B, T, M, C).

    "prv": the frame before (frame 0 reads only itself again). "first": frame 0. "roll": the frames before and after, cyclic.
    """
    if window == "prv":
        return torch.cat([x[:, :1], x[:, :-1]], dim=1)
    if window == "first":
        return x[:, :1].expand_as(x)
    return torch.cat([x.roll(1, dims=1), x.roll(-1, dims=1)], dim=2)


class TemporalWindow:
    """attn1 patch of the host: extends the context of the spatial self-attentions by other_frames."""

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
