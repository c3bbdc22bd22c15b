"""Time and memory against the number of keyframes, segments and pixels: measured, and drawn as curves."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from paintsundo_models.constants import OPERATION_STEP_MAX
from paintsundo_models.host.objects import MultiFrameObjects, SingleFrameObjects
from paintsundo_models.pictures.sizes import OWN_SIZE

from .chain import make_keyframes, make_segments
from .measure import Meter
from .models import picture
from .settings import Growth, Setting, Size


@dataclass(frozen=True)
class Point:
    """One measurement of a curve."""

    x: float
    seconds: float
    working: int | None  # bytes beyond those that were held before


@dataclass(frozen=True)
class Curve:
    """Measurements over one quantity."""

    quantity: str
    points: list[Point]


def measure_growth(
    single: SingleFrameObjects, multi: MultiFrameObjects, setting: Setting, growth: Growth
) -> list[Curve]:
    """Measure all curves. Each run gets new pictures, because the pack keeps the encodings of pictures that it has seen."""
    seeds = itertools.count()

    def keyframes(count: int, size: Size) -> None:
        operation_steps = torch.linspace(0, OPERATION_STEP_MAX, count).round().int().tolist()
        make_keyframes(single, picture(size, next(seeds)), operation_steps, growth.steps)

    def segments(count: int, size: Size) -> None:
        pictures = torch.cat([picture(size, next(seeds)) for _ in range(count + 1)])
        make_segments(multi, pictures, OWN_SIZE, growth.steps)

    def point(x: float, run: Callable[[int, Size], None], count: int, size: Size) -> Point:
        for _ in range(growth.repeats - 1):
            run(count, size)
        with Meter() as meter:
            run(count, size)
        return Point(x, meter.seconds, meter.working)

    def over_counts(label: str, run: Callable[[int, Size], None], counts: Iterable[int], size: Size) -> Curve:
        return Curve(f"{label} of {size[1]}x{size[0]}", [point(n, run, n, size) for n in counts])

    def over_pixels(label: str, run: Callable[[int, Size], None]) -> Curve:
        return Curve(
            f"thousand pixels of one {label}",
            [point(size[0] * size[1] / 1e3, run, 1, size) for size in growth.sizes],
        )

    return [
        over_counts("keyframes", keyframes, growth.keyframe_counts, setting.keyframe),
        over_counts("segments", segments, growth.segment_counts, setting.segment),
        over_pixels("keyframe", keyframes),
        over_pixels("segment", segments),
    ]


def draw(curves: list[Curve], title: str, path: Path) -> None:
    """Draw the curves as a PNG: a column for each curve, seconds above and memory below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        2, len(curves), figsize=(3.2 * len(curves), 5.5), sharex="col", squeeze=False
    )
    for curve, (above, below) in zip(curves, panels.T, strict=True):
        xs = [point.x for point in curve.points]
        memory = [float("nan") if point.working is None else point.working / 1e6 for point in curve.points]
        above.plot(xs, [point.seconds for point in curve.points], marker="o")
        below.plot(xs, memory, marker="o")
        below.set_xlabel(curve.quantity)
    for panel in panels.flat:
        panel.set_ylim(bottom=0)
        panel.set_xlim(left=0)
        panel.grid(alpha=0.3)
    panels[0, 0].set_ylabel("seconds")
    panels[1, 0].set_ylabel("MB beyond what was held before")
    figure.suptitle(title, fontsize="medium")
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
