"""Where to put the keyframes: operation steps that divide a painting by a list, by the steps or by the change of the picture.

A division is a list of points (operation step, share of the segments up to it) that rises from (0, 0), the finished
picture, to (1000, 1), the white canvas. The steps of the keyframes are read from it at even shares.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .constants import (
    DEFAULT_KEYFRAME_NEGATIVE,
    DEFAULT_KEYFRAME_SEED,
    DEFAULT_OPERATION_STEPS,
    OPERATION_STEP_MAX,
)
from .host.objects import Prompts, SingleFrameObjects
from .host.sampling import SamplerSettings
from .keyframes import predict_keyframes
from .operation_steps import parse_operation_steps
from .video.pace import changes_between

SPACING_ORIGINAL = "original list"
SPACING_EVEN = "even steps"
SPACING_CHANGE = "equal change"
SPACINGS = (SPACING_ORIGINAL, SPACING_EVEN, SPACING_CHANGE)
"""How to divide the painting; the first is the default."""

MAX_KEYFRAMES = 32
CANVAS_STEP = OPERATION_STEP_MAX + 1
SKETCH_FROM_STEP = 800
"""From here on a keyframe has lost its colours, and lines on white are left."""

PROBE_STEPS = (0, 250, 350, 450, 550, 650, 750, 900)
"""Most of a picture changes between 300 and 700. One batch: keyframes.KEYFRAMES_PER_BATCH."""

PROBE_SETTINGS = SamplerSettings(
    DEFAULT_KEYFRAME_SEED, steps=8, cfg=1.0, sampler_name="dpmpp_2m", scheduler="karras"
)
"""Rough: the plans come out as even as with cfg 3 and 8 steps, at half the work."""

EVEN_SHARE = 0.25
"""Part of the measured change that is added evenly over all steps, so that no stretch is skipped whole."""

Division = list[tuple[float, float]]


def original_division() -> Division:
    """Divide as the list of the original does: its seven segments have equal shares."""
    steps = [0, *parse_operation_steps(DEFAULT_OPERATION_STEPS), CANVAS_STEP]
    return [(step, number / (len(steps) - 1)) for number, step in enumerate(steps)]


def even_division() -> Division:
    """Divide by the number of operation steps alone."""
    return [(0, 0.0), (CANVAS_STEP, 1.0)]


def change_division(probes: Tensor) -> Division:
    """Divide by how much the picture changes.

    Args:
        probes: keyframes at PROBE_STEPS, (8, H, W, 3) in [0, 1]; the white canvas follows them.
    """
    if len(probes) != len(PROBE_STEPS):
        raise ValueError(
            f"There must be one keyframe for each of the steps {PROBE_STEPS}; got {len(probes)}."
        )
    steps = [*PROBE_STEPS, CANVAS_STEP]
    changes = changes_between(torch.cat([probes, torch.ones_like(probes[:1])]))
    # Where nothing changes at all, as in a white picture, the even part alone decides.
    even = EVEN_SHARE * sum(changes) or 1.0
    division, sum_so_far = [(0, 0.0)], 0.0
    for change, first, last in zip(changes, steps, steps[1:], strict=False):
        sum_so_far += change + even * (last - first) / CANVAS_STEP
        division.append((last, sum_so_far))
    return [(step, share / sum_so_far) for step, share in division]


def with_sketch_share(division: Division, share: float) -> Division:
    """Give the steps from SKETCH_FROM_STEP on at least this share of the segments; the others keep their proportions."""
    before = _value_at(division, SKETCH_FROM_STEP)
    if 1 - before >= share:
        return division
    points = sorted({*division, (SKETCH_FROM_STEP, before)})
    return [
        (
            step,
            at * (1 - share) / before if at <= before else 1 - share + (at - before) / (1 - before) * share,
        )
        for step, at in points
    ]


def _value_at(points: Sequence[tuple[float, float]], x: float) -> float:
    """Read y at x between the points, which rise in both."""
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0) if x1 > x0 else y1
    return points[-1][1]


def steps_of(division: Division, count: int) -> list[int]:
    """Read the operation steps of `count` keyframes: rising, each once, from 1 to 999.

    Raises:
        ValueError: `count` is not from 1 to MAX_KEYFRAMES.
    """
    if not 1 <= count <= MAX_KEYFRAMES:
        raise ValueError(f"The number of keyframes must be from 1 to {MAX_KEYFRAMES}; got {count}.")
    by_share = [(share, step) for step, share in division]
    steps = [round(_value_at(by_share, number / (count + 1))) for number in range(1, count + 1)]
    # Where a division is so steep that two keyframes fall on one step, the earlier one moves down.
    limit = OPERATION_STEP_MAX
    for place in reversed(range(count)):
        steps[place] = limit = min(steps[place], limit)
        limit -= 1
    for place in range(count):
        steps[place] = max(steps[place], place + 1)
    return steps


def predict_probes(objects: SingleFrameObjects, image: Tensor, prompt: str) -> Tensor:
    """Paint the rough keyframes at PROBE_STEPS that change_division measures, (8, H, W, 3) in [0, 1].

    Raises:
        ValueError: what predict_keyframes refuses.
    """
    prompts = Prompts(prompt, DEFAULT_KEYFRAME_NEGATIVE)
    return predict_keyframes(objects, image, list(PROBE_STEPS), prompts, PROBE_SETTINGS)
