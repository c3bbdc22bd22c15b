"""Which stretches of a sequence the multi-frame model is trained on."""

import torch

from paintsundo_models.constants import DEFAULT_OPERATION_STEPS, FRAMES_PER_SEGMENT

from .loop import draw
from .sequences import CANVAS

SHORTEST, LONGEST = 30, 500


def default_segments() -> list[tuple[int, int]]:
    """(first, last) operation step of the default chain's segments, from the finished picture to the canvas."""
    steps = [0, *map(int, DEFAULT_OPERATION_STEPS.split(",")), CANVAS]
    return list(zip(steps, steps[1:], strict=False))


def random_segment(generator: torch.Generator) -> tuple[int, int]:
    """One of the default chain's half of the time, else any: its length is log-uniform."""
    if draw(generator, 2):
        segments = default_segments()
        return segments[draw(generator, len(segments))]
    share = float(torch.rand(1, generator=generator))
    length = round(SHORTEST * (LONGEST / SHORTEST) ** share)
    first = draw(generator, CANVAS - length + 1)
    return first, first + length


def segment_steps(first: int, last: int) -> list[int]:
    """The operation steps of a segment's frames, in undo order."""
    span = FRAMES_PER_SEGMENT - 1
    return [round(first + (last - first) * frame / span) for frame in range(FRAMES_PER_SEGMENT)]
