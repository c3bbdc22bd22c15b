"""A video laid on paper of another shape, such as 9:16 for a telephone held upright; nothing of it is cut."""

import math

import torch
from torch import Tensor

from .frames import Frames, MappedFrames

PAPER_OFF = "off"
SHAPES = {"9:16": (9, 16), "4:5": (4, 5), "1:1": (1, 1), "16:9": (16, 9)}
PAPERS = (PAPER_OFF, *SHAPES)
"""Shapes of the paper, width to height; the first, without any, is the default."""

COLOUR = (0.918, 0.902, 0.871)  # darker than the white canvas, which is seen on it
_MARGIN = 0.04  # of the picture's longer side, on each side of it at least


def paper_size(width: int, height: int, paper: str) -> tuple[int, int]:
    """Return the (width, height) of the paper for a video of this size: even numbers, as most formats need."""
    across, down = SHAPES[paper]
    margin = 2 * _MARGIN * max(width, height)
    unit = max((width + margin) / across, (height + margin) / down)
    return 2 * math.ceil(unit * across / 2), 2 * math.ceil(unit * down / 2)


def on_paper(frames: Frames, paper: str) -> Frames:
    """Lay each frame in the middle of paper.

    Args:
        frames: of the video as played.
        paper: one of `PAPERS`.

    Raises:
        ValueError: an unknown paper.
    """
    if paper not in PAPERS:
        raise ValueError(f'Unknown paper "{paper}"; accepted are: {", ".join(PAPERS)}.')
    if paper == PAPER_OFF:
        return frames
    width, height = paper_size(frames.width, frames.height, paper)
    left, top = (width - frames.width) // 2, (height - frames.height) // 2

    def lay(frame: Tensor, index: int) -> Tensor:
        sheet = torch.tensor(COLOUR, dtype=frame.dtype, device=frame.device).repeat(height, width, 1)
        sheet[top : top + frames.height, left : left + frames.width] = frame
        return sheet

    return MappedFrames(frames, lay, (height, width))
