"""Figures of videos at the picture's size against true states of that size, and tables of them.

Frames are float32 tensors (N, H, W, 3) in [0, 1] in undo order.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from paintsundo_models.pictures.enlarging import Enlarger
from tools.markdown import table

from .evaluation import Figure
from .scenes import OPERATIONS

STAGES = ((1, 200), (201, 400), (401, 600), (601, 800), (801, 999))
"""Ranges of operation steps, from the last touches to the sketch."""

PSNR_MOST = 70.0
WHITE = 250 / 255  # a pixel whose channels are all above this is still white

BAR_IDEAL_DB = (40.0, 40.0, 35.0, 28.0, 0.0)
BAR_BELOW_LANCZOS_DB = 0.3
BAR_LAST_STEP = 1.5


@dataclass(frozen=True)
class Made:
    """Frames in undo order.

    Attributes:
        steps: their operation steps.
        small: at the models' size.
        large: at the picture's size.
        truth: true states at the picture's size.
        finished: the finished picture, (H, W, 3).
    """

    steps: tuple[int, ...]
    small: Tensor
    large: Tensor
    truth: Tensor
    finished: Tensor


@dataclass(frozen=True)
class FrameScores:
    """One frame against its true state; each figure for the full size and for Lanczos alone.

    Attributes:
        step: operation step.
        psnr: in dB.
        gradient: mean absolute error of the differences between neighbouring pixels.
        ghost: mean absolute error where the true state is white and the finished picture is not; None where nothing is.
    """

    step: int
    psnr: tuple[float, float]
    gradient: tuple[float, float]
    ghost: tuple[float, float] | None


def lanczos(frames: Tensor, like: Tensor) -> Tensor:
    """Enlarge frames (N, h, w, 3) by Lanczos alone to the size of others (M, H, W, 3)."""
    (_, h, w, _), (_, height, width, _) = frames.shape, like.shape
    enlarge = Enlarger((h, w), (height, width))
    return torch.stack([enlarge(f.permute(2, 0, 1)).permute(1, 2, 0) for f in frames]).clamp(0, 1)


def psnr(made: Tensor, truth: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB, at most PSNR_MOST."""
    return min(PSNR_MOST, float(-10 * torch.log10(((made - truth) ** 2).mean() + 1e-12)))


def gradient_error(made: Tensor, truth: Tensor) -> float:
    """Return the mean absolute error of the differences between neighbouring pixels."""
    return sum(float((made.diff(dim=d) - truth.diff(dim=d)).abs().mean()) for d in (0, 1)) / 2


def ghost(made: Tensor, truth: Tensor, finished: Tensor) -> float | None:
    """Return the mean absolute error where the truth is still white and the finished picture is not."""
    unpainted = (truth.amin(-1) > WHITE) & (finished.amin(-1) <= WHITE)
    return float((made - truth)[unpainted].abs().mean()) if unpainted.any() else None


def flicker(frames: Tensor) -> float:
    """Return the mean absolute second difference in time."""
    return float(frames.diff(dim=0).diff(dim=0).abs().mean())


def last_step(frames: Tensor, before: int = 5) -> float:
    """Return how large the step into frame 0 is, with the mean of the steps before it as 1."""
    steps = [float((a - b).abs().mean()) for a, b in zip(frames[: before + 1], frames[1:], strict=False)]
    return steps[0] / (sum(steps[1:]) / len(steps[1:]))


def score(
    steps: Sequence[int], made: Tensor, plain: Tensor, truth: Tensor, finished: Tensor
) -> list[FrameScores]:
    """Compare frames at full size, and by Lanczos alone, with the true states at their operation steps."""
    scores = []
    for step, large, enlarged, state in zip(steps, made, plain, truth, strict=True):
        ghosts = [ghost(frame, state, finished) for frame in (large, enlarged)]
        scores.append(
            FrameScores(
                step,
                (psnr(large, state), psnr(enlarged, state)),
                (gradient_error(large, state), gradient_error(enlarged, state)),
                None if ghosts[0] is None or ghosts[1] is None else (ghosts[0], ghosts[1]),
            )
        )
    return scores


def of_stage(scores: Iterable[FrameScores], stage: tuple[int, int]) -> list[FrameScores]:
    """Return the scores of the frames within a range of operation steps."""
    return [s for s in scores if stage[0] <= s.step <= stage[1]]


def _means(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    made, plain = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    return made, plain


def stage_gains(scores: Sequence[FrameScores]) -> list[tuple[tuple[int, int], float, float]]:
    """Return, for each stage that has frames, the mean PSNR at full size and by Lanczos alone."""
    stages = [(stage, of_stage(scores, stage)) for stage in STAGES]
    return [(stage, *_means([s.psnr for s in group])) for stage, group in stages if group]


def stage_table(scores: Sequence[FrameScores]) -> str:
    """Return a Markdown table of the means of each stage."""
    rows = []
    for stage in STAGES:
        group = of_stage(scores, stage)
        if not group:
            continue
        ghosts = [s.ghost for s in group if s.ghost is not None]
        made, plain = _means([s.psnr for s in group])
        lowest = min(s.psnr[0] - s.psnr[1] for s in group)
        gradient = "{:.4f} / {:.4f}".format(*_means([s.gradient for s in group]))
        white = "{:.5f} / {:.5f}".format(*_means(ghosts)) if ghosts else ""
        words = (f"{made:.2f}", f"{plain:.2f}", f"{made - plain:+.2f} (least {lowest:+.2f})")
        rows.append((f"{stage[0]} to {stage[1]}", str(len(group)), *words, gradient, white))
    head = (
        "Steps",
        "Frames",
        "Full size, dB",
        "Lanczos, dB",
        "Gain, dB",
        "Gradient error",
        "Error where still white",
    )
    return table(head, rows)


class Collected:
    """Scores of one kind of frames.

    Attributes:
        frames: of each frame but the finished picture's.
        flicker: of each video: full size, Lanczos, true states.
    """

    def __init__(self) -> None:
        self.frames: list[FrameScores] = []
        self.flicker: list[tuple[float, float, float]] = []

    def add(self, made: Made, is_video: bool = True) -> None:
        """Score the frames of one picture."""
        plain = lanczos(made.small, made.truth)
        scores = score(made.steps, made.large, plain, made.truth, made.finished)
        self.frames += [s for s in scores if 0 < s.step < OPERATIONS]
        if is_video:
            self.flicker.append((flicker(made.large), flicker(plain), flicker(made.truth)))

    def mean_flicker(self) -> tuple[float, float, float]:
        """Return the means of the flicker."""
        full, plain, truth = (sum(column) / len(column) for column in zip(*self.flicker, strict=True))
        return full, plain, truth


@dataclass
class Results:
    """All measurements.

    Attributes:
        pictures: number of them.
        segment_count: number of segments.
        ideal: frames that a perfect model would make.
        keyframes: the demo's.
        segments: the demo's.
        last_steps: see `last_step`, of each segment that ends with the finished picture.
        shown: the keyframes of each picture.
    """

    pictures: int
    segment_count: int
    ideal: Collected = field(default_factory=Collected)
    keyframes: Collected = field(default_factory=Collected)
    segments: Collected = field(default_factory=Collected)
    last_steps: list[float] = field(default_factory=list)
    shown: list[Made] = field(default_factory=list)

    @property
    def figures(self) -> list[Figure]:
        """Return all figures with their bars."""
        figures = []
        for (stage, made, _), bar in zip(stage_gains(self.ideal.frames), BAR_IDEAL_DB, strict=False):
            if bar:
                what = f"Ideal frames at steps {stage[0]} to {stage[1]}: mean PSNR"
                figures.append(Figure(what, f"{made:.2f} dB", f"at least {bar:g} dB", made >= bar))
        for name, kind in (("keyframes", self.keyframes), ("segments", self.segments)):
            gains = [made - plain for _, made, plain in stage_gains(kind.frames)]
            if gains:
                what = f"The demo's {name}: gain over Lanczos in the stage where it is least"
                bar = f"at least -{BAR_BELOW_LANCZOS_DB:g} dB"
                figures.append(
                    Figure(what, f"{min(gains):+.2f} dB", bar, min(gains) >= -BAR_BELOW_LANCZOS_DB)
                )
        if self.last_steps:
            worst = max(self.last_steps)
            what = "The step into the exact last frame, with the mean of the five before it as 1: largest"
            figures.append(Figure(what, f"{worst:.2f}", f"at most {BAR_LAST_STEP:g}", worst <= BAR_LAST_STEP))
        return figures
