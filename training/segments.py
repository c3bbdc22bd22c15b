"""The segments of a sequence that the multi-frame model is trained on, as pairs of operation steps."""

import torch

from paintsundo_models.constants import DEFAULT_OPERATION_STEPS, FRAMES_PER_SEGMENT
from paintsundo_models.operation_steps import parse_operation_steps

from .loop import draw
from .sequences import CANVAS

SHORTEST, LONGEST = 30, 500


def default_segments() -> list[tuple[int, int]]:
    """Return the default chain's segments as (first, last) operation steps, from the finished picture to the canvas."""
    steps = [0, *parse_operation_steps(DEFAULT_OPERATION_STEPS), CANVAS]
    return list(zip(steps, steps[1:], strict=False))


def random_segment(generator: torch.Generator) -> tuple[int, int]:
    """Draw one of the default segments half of the time, else any segment of log-uniform length."""
    if draw(generator, 2):
        segments = default_segments()
        return segments[draw(generator, len(segments))]
    share = float(torch.rand(1, generator=generator))
    length = round(SHORTEST * (LONGEST / SHORTEST) ** share)
    first = draw(generator, CANVAS - length + 1)
    return first, first + length


def segment_steps(first: int, last: int) -> list[int]:
    """Return the operation steps of a segment's frames, in undo order."""
    span = FRAMES_PER_SEGMENT - 1
    return [round(first + (last - first) * frame / span) for frame in range(FRAMES_PER_SEGMENT)]
