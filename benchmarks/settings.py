"""Settings of the measurements: networks, sizes, numbers of runs."""

from dataclasses import dataclass
from pathlib import Path

from paintsundo_models import constants
from paintsundo_models.operation_steps import parse_operation_steps
from tools.seeded_checkpoint import FULL_SIZE, SMALL

DEFAULT_OPERATION_STEPS = tuple(parse_operation_steps(constants.DEFAULT_OPERATION_STEPS))

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class Growth:
    """The points of the growth curves."""

    steps: int  # sampling steps of each point
    repeats: int  # runs of each point, of which the last is measured
    keyframe_counts: tuple[int, ...]
    segment_counts: tuple[int, ...]
    sizes: tuple[Size, ...]  # sizes of one keyframe and of one segment


@dataclass(frozen=True)
class Setting:
    """One run of the benchmark."""

    title: str
    listing: Path  # JSON file with the networks' tensor names and shapes
    weight_dtype: str  # one of checkpoints.WEIGHT_DTYPES
    keyframe: Size
    segment: Size
    operation_steps: tuple[int, ...]
    steps: int  # sampling steps of the keyframes and of each segment in the chain; 0: the chain is not run
    repeats: int  # timed runs of a stage, after one to warm up; the table shows their median
    growth: Growth | None


FULL_GROWTH = Growth(
    steps=4,
    repeats=2,
    keyframe_counts=(1, 2, 4, 8, 16, 32, 64),
    segment_counts=(1, 2, 4, 7),
    sizes=((256, 256), (448, 384), (640, 512), (768, 768), (1024, 768)),
)

DEFAULT_CHAIN = Setting(
    "full-size networks at the default sizes",
    FULL_SIZE,
    "fp16",
    keyframe=(640, 512),
    segment=(448, 384),
    operation_steps=DEFAULT_OPERATION_STEPS,
    steps=constants.DEFAULT_KEYFRAME_STEPS,
    repeats=5,
    growth=FULL_GROWTH,
)

SMALL_NETWORKS = Setting(
    "small networks at small sizes",
    SMALL,
    "fp32",
    keyframe=(128, 128),
    segment=(128, 128),
    operation_steps=DEFAULT_OPERATION_STEPS,
    steps=4,
    repeats=3,
    growth=Growth(
        steps=2,
        repeats=2,
        keyframe_counts=(1, 2, 4, 8, 16, 32, 64),
        segment_counts=(1, 2, 4, 7),
        sizes=((64, 64), (128, 128), (192, 192), (256, 256)),
    ),
)

FULL_WIDTH = Setting(
    "full-size networks at small sizes",
    FULL_SIZE,
    "fp32",
    keyframe=(128, 128),
    segment=(128, 128),
    operation_steps=DEFAULT_OPERATION_STEPS,
    steps=0,
    repeats=1,
    growth=None,
)

QUICK = Setting(
    "small networks, one picture and one step, to see that the command works",
    SMALL,
    "fp32",
    keyframe=(64, 64),
    segment=(64, 64),
    operation_steps=(999,),
    steps=1,
    repeats=1,
    growth=Growth(
        steps=1, repeats=1, keyframe_counts=(1, 2), segment_counts=(1, 2), sizes=((64, 64), (64, 128))
    ),
)


def choose(size: str | None, has_gpu: bool) -> Setting:
    """Return the setting for "full-size", "small" or "quick", or the device's default for None."""
    if size == "quick":
        return QUICK
    if size == "small" or (size is None and not has_gpu):
        return SMALL_NETWORKS
    return DEFAULT_CHAIN if has_gpu else FULL_WIDTH
