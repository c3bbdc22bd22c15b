"""Figures that compare a model's keyframes and segments with true states, the bars that they have to meet, and tables.

Pictures are uint8 (H, W, 3); several pictures are (N, H, W, 3). Errors are mean absolute differences in [0, 1]. This
module needs NumPy only.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from operator import lt

import numpy as np

from tools.markdown import table

KEYFRAME_STEPS = (0, 200, 400, 600, 800, 999)
MIDDLE_STEPS = KEYFRAME_STEPS[1:-1]
INK_BELOW = 0.94  # a pixel is ink where a channel is darker than this
BLUR_SIGMA_PX = 1.5
PSNR_MOST = 40.0  # without a limit, one exactly white canvas would make a mean infinite

BAR_FINISHED_DB = 22.0
BAR_CANVAS_BRIGHTNESS = 0.97
BAR_NEARER_SHARE = 0.75
BAR_INK_SHARE = 0.95
BAR_ENDS_DB = 20.0


def unit(pictures: np.ndarray) -> np.ndarray:
    """Convert uint8 to float64 in [0, 1]."""
    return pictures.astype(np.float64) / 255


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB, at most PSNR_MOST."""
    mean_square = float(np.mean((unit(one) - unit(other)) ** 2))
    return PSNR_MOST if mean_square == 0 else min(PSNR_MOST, float(-10 * np.log10(mean_square)))


def brightness(picture: np.ndarray) -> float:
    """Return the mean of all channels, in [0, 1]."""
    return float(unit(picture).mean())


def ink(picture: np.ndarray) -> float:
    """Return the share of pixels that are not white, which means that a channel is below INK_BELOW."""
    return float((unit(picture) < INK_BELOW).any(axis=-1).mean())


def blurred(picture: np.ndarray, sigma_px: float = BLUR_SIGMA_PX) -> np.ndarray:
    """Blur a float picture (H, W, 3) with a Gaussian; the pixels of the edge are repeated outside of the picture."""
    radius = int(np.ceil(3 * sigma_px))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    kernel /= kernel.sum()
    result = np.pad(picture, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    for axis in (0, 1):
        length = result.shape[axis] - 2 * radius
        windows = (np.take(result, range(shift, shift + length), axis) for shift in range(kernel.size))
        result = np.sum([weight * window for weight, window in zip(kernel, windows, strict=True)], axis=0)
    return result


def cross_fade(start: np.ndarray, end: np.ndarray, frames: int) -> np.ndarray:
    """Mix two pictures in equal steps, from the first to the second: float64 (frames, H, W, 3) in [0, 1]."""
    shares = np.linspace(0, 1, frames)[:, None, None, None]
    return (1 - shares) * unit(start) + shares * unit(end)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean absolute difference of two float arrays."""
    return float(np.abs(one - other).mean())


@dataclass(frozen=True)
class KeyframeScores:
    """Scores of one picture's keyframes; tuples have an entry for each of KEYFRAME_STEPS. Errors are of blurred pictures.

    Attributes:
        index: number of the picture.
        finished_psnr: the keyframe at step 0 against the input picture.
        canvas_brightness: brightness of the keyframe at the last step.
        errors: the keyframe against the true state.
        input_errors: the input picture against the true state.
        canvas_errors: a white canvas against the true state.
        ink: ink of the keyframe.
        true_ink: ink of the true state.
    """

    index: int
    finished_psnr: float
    canvas_brightness: float
    errors: tuple[float, ...]
    input_errors: tuple[float, ...]
    canvas_errors: tuple[float, ...]
    ink: tuple[float, ...]
    true_ink: tuple[float, ...]

    @property
    def middle_error(self) -> float:
        """Return the mean error at MIDDLE_STEPS, by which the contact sheet chooses its cases."""
        return mean(self.errors[1:-1])

    def is_nearer(self, step: int) -> bool:
        """Tell whether the keyframe is nearer to the true state than both the input picture and the canvas are."""
        place = KEYFRAME_STEPS.index(step)
        return self.errors[place] < min(self.input_errors[place], self.canvas_errors[place])


@dataclass(frozen=True)
class SegmentScores:
    """Scores of one segment between two true states.

    Attributes:
        index: number of the picture.
        pair: operation steps of the first and the last frame.
        first_psnr: the first frame against the first input picture.
        last_psnr: the last frame against the second input picture.
        error: the frames between them against the true states, all blurred.
        fade_error: a cross-fade of the two input pictures against the true states, all blurred.
        sharp_error: the same as `error` without blur.
        sharp_fade_error: the same as `fade_error` without blur.
    """

    index: int
    pair: tuple[int, int]
    first_psnr: float
    last_psnr: float
    error: float
    fade_error: float
    sharp_error: float
    sharp_fade_error: float

    @property
    def excess(self) -> float:
        """Return the error minus the cross-fade's, by which the contact sheet chooses its cases."""
        return self.error - self.fade_error


@dataclass(frozen=True)
class Deviation:
    """Comparison of the same pictures made with the settings that are measured and with other ones.

    Attributes:
        psnr: mean PSNR between the two.
        error: the measured settings' pictures against the true states.
        other_error: the other settings' pictures against the true states.
        seconds: time with the measured settings.
        other_seconds: time with the other settings.
    """

    psnr: float
    error: float
    other_error: float
    seconds: float
    other_seconds: float


@dataclass(frozen=True)
class Figure:
    """A measured figure and its bar, in words."""

    what: str
    measured: str
    bar: str
    is_met: bool


def score_keyframes(index: int, predicted: np.ndarray, truth: np.ndarray) -> KeyframeScores:
    """Compare keyframes at KEYFRAME_STEPS with the true states; truth[0] was the input picture."""
    canvas = np.full_like(truth[0], 255)
    soft_input, soft_canvas = blurred(unit(truth[0])), blurred(unit(canvas))
    soft_truth = [blurred(unit(state)) for state in truth]
    return KeyframeScores(
        index=index,
        finished_psnr=psnr(predicted[0], truth[0]),
        canvas_brightness=brightness(predicted[-1]),
        errors=tuple(
            difference(blurred(unit(frame)), state)
            for frame, state in zip(predicted, soft_truth, strict=True)
        ),
        input_errors=tuple(difference(soft_input, state) for state in soft_truth),
        canvas_errors=tuple(difference(soft_canvas, state) for state in soft_truth),
        ink=tuple(map(ink, predicted)),
        true_ink=tuple(map(ink, truth)),
    )


def score_segment(
    index: int, pair: tuple[int, int], predicted: np.ndarray, truth: np.ndarray
) -> SegmentScores:
    """Compare a segment's frames with the true states; truth[0] and truth[-1] were the input pictures."""
    fade = cross_fade(truth[0], truth[-1], len(truth))[1:-1]
    made, states = unit(predicted[1:-1]), unit(truth[1:-1])
    soft_fade, soft_made, soft_states = (np.stack([*map(blurred, frames)]) for frames in (fade, made, states))
    return SegmentScores(
        index=index,
        pair=pair,
        first_psnr=psnr(predicted[0], truth[0]),
        last_psnr=psnr(predicted[-1], truth[-1]),
        error=difference(soft_made, soft_states),
        fade_error=difference(soft_fade, soft_states),
        sharp_error=difference(made, states),
        sharp_fade_error=difference(fade, states),
    )


def score_deviation(
    measured: np.ndarray, other: np.ndarray, truth: np.ndarray, seconds: float, other_seconds: float
) -> Deviation:
    """Compare the pictures that two settings make from the same input.

    Args:
        measured: pictures made with the settings that are measured.
        other: pictures made with the other settings.
        truth: true states; all three have one shape.
        seconds: time that the measured settings took.
        other_seconds: time that the other settings took.
    """
    return Deviation(
        psnr=mean(starmap(psnr, zip(measured, other, strict=True))),
        error=difference(unit(measured), unit(truth)),
        other_error=difference(unit(other), unit(truth)),
        seconds=seconds,
        other_seconds=other_seconds,
    )


def mean(values: Iterable[float]) -> float:
    """Return the mean, or NaN for no values; NaN meets no bar."""
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else float("nan")


def not_rising(values: Sequence[float]) -> list[bool]:
    """Tell for each two neighbours whether the second is at most as large as the first."""
    return [after <= before for before, after in zip(values, values[1:], strict=False)]


def percent(values: Iterable[bool]) -> str:
    """Return the share of true values as text, such as "75.0% (3 of 4)"."""
    flags = list(values)
    return f"{100 * mean(flags):.1f}% ({sum(flags)} of {len(flags)})"


def keyframe_figures(scores: Sequence[KeyframeScores]) -> list[Figure]:
    """Return the figures of the single-frame model with their bars."""
    finished = [score.finished_psnr for score in scores]
    canvas = [score.canvas_brightness for score in scores]
    nearer = [score.is_nearer(step) for score in scores for step in MIDDLE_STEPS]
    falls = [fall for score in scores for fall in not_rising(score.ink)]
    pairs = [pair for score in scores for pair in zip(score.ink, score.ink[1:], strict=False)]
    return [
        Figure(
            "Keyframe at step 0 against the input picture: mean PSNR",
            f"{mean(finished):.2f} dB (lowest {min(finished):.2f})",
            f"at least {BAR_FINISHED_DB:g} dB",
            mean(finished) >= BAR_FINISHED_DB,
        ),
        Figure(
            "Keyframe at step 999: mean brightness",
            f"{mean(canvas):.4f} (lowest {min(canvas):.4f})",
            f"at least {BAR_CANVAS_BRIGHTNESS:g}",
            mean(canvas) >= BAR_CANVAS_BRIGHTNESS,
        ),
        Figure(
            f"Keyframes at steps {', '.join(map(str, MIDDLE_STEPS))}: nearer to the true state than both the input "
            "picture and the white canvas",
            percent(nearer),
            f"at least {BAR_NEARER_SHARE:.0%}",
            mean(nearer) >= BAR_NEARER_SHARE,
        ),
        Figure(
            "Ink does not rise from one keyframe to the next",
            f"{percent(falls)}; falls in {percent(after < before for before, after in pairs)}",
            f"at least {BAR_INK_SHARE:.0%}",
            mean(falls) >= BAR_INK_SHARE,
        ),
    ]


def segment_figures(scores: Sequence[SegmentScores]) -> list[Figure]:
    """Return the figures of the multi-frame model with their bars."""
    ends = {
        "First": [score.first_psnr for score in scores],
        "Last": [score.last_psnr for score in scores],
    }
    between = {
        "blurred as the keyframes are": ([s.error for s in scores], [s.fade_error for s in scores]),
        "nothing blurred": ([s.sharp_error for s in scores], [s.sharp_fade_error for s in scores]),
    }
    return [
        *(
            Figure(
                f"{end} frame of a segment against the picture that was given: mean PSNR",
                f"{mean(values):.2f} dB (lowest {min(values):.2f})",
                f"at least {BAR_ENDS_DB:g} dB",
                mean(values) >= BAR_ENDS_DB,
            )
            for end, values in ends.items()
        ),
        *(
            Figure(
                f"Frames between them against the true states: mean absolute error, {how}",
                f"{mean(errors):.4f}; lower than the cross-fade's in {percent(map(lt, errors, fades))}",
                f"below {mean(fades):.4f}, a cross-fade's",
                mean(errors) < mean(fades),
            )
            for how, (errors, fades) in between.items()
        ),
    ]


def figure_table(figures: Sequence[Figure]) -> str:
    """Return a Markdown table of figures."""
    rows = [
        (figure.what, figure.measured, figure.bar, "yes" if figure.is_met else "**no**") for figure in figures
    ]
    return table(("Figure", "Measured", "Bar", "Met"), rows)


def step_table(scores: Sequence[KeyframeScores]) -> str:
    """Return a Markdown table of the means at each step."""
    columns: list[Callable[[KeyframeScores], tuple[float, ...]]] = [
        lambda score: score.errors,
        lambda score: score.input_errors,
        lambda score: score.canvas_errors,
        lambda score: score.ink,
        lambda score: score.true_ink,
    ]
    rows = []
    for place, step in enumerate(KEYFRAME_STEPS):
        is_middle = step in MIDDLE_STEPS
        nearer = percent(score.is_nearer(step) for score in scores) if is_middle else ""
        means = (f"{mean(column(score)[place] for score in scores):.4f}" for column in columns)
        rows.append((str(step), nearer, *means))
    head = ("Step", "Nearer than both", "Error", "Input's error", "Canvas's error", "Ink", "True ink")
    return table(head, rows)


def pair_table(scores: Sequence[SegmentScores]) -> str:
    """Return a Markdown table of the means for each pair of steps."""
    rows = []
    for pair in sorted({score.pair for score in scores}):
        group = [score for score in scores if score.pair == pair]
        rows.append(
            (
                f"{pair[0]} to {pair[1]}",
                str(len(group)),
                f"{mean(score.first_psnr for score in group):.2f}",
                f"{mean(score.last_psnr for score in group):.2f}",
                f"{mean(score.error for score in group):.4f}",
                f"{mean(score.fade_error for score in group):.4f}",
                percent(score.excess < 0 for score in group),
                f"{mean(score.sharp_error for score in group):.4f}",
                f"{mean(score.sharp_fade_error for score in group):.4f}",
            )
        )
    head = (
        *("Steps", "Segments", "First, dB", "Last, dB", "Error", "Cross-fade's error", "Lower than it"),
        *("Error, nothing blurred", "Cross-fade's, nothing blurred"),
    )
    return table(head, rows)


def deviation_table(groups: Mapping[tuple[str, str], Sequence[Deviation]]) -> str:
    """Return a Markdown table of the differences that other settings make, with a line for each (what, settings)."""
    rows = []
    for (what, settings), group in groups.items():
        psnrs = [deviation.psnr for deviation in group]
        share = sum(d.other_seconds for d in group) / sum(d.seconds for d in group)
        rows.append(
            (
                f"{len(group)} {what}",
                settings,
                f"{mean(psnrs):.2f} dB (lowest {min(psnrs):.2f})",
                f"{mean(deviation.error for deviation in group):.4f}",
                f"{mean(deviation.other_error for deviation in group):.4f}",
                f"{share:.2f}",
            )
        )
    head = ("What", "Settings", "Against the page's", "Page's error", "Their error", "Time, page's = 1")
    return table(head, rows)


def chosen_cases(values: Sequence[float]) -> list[tuple[str, int]]:
    """Return the indices of the lowest, middle and highest value as best, typical and worst, without repeating an index."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    named = {order[-1]: "worst", order[(len(order) - 1) // 2]: "typical", order[0]: "best"}
    return [(name, place) for place, name in reversed(named.items())]
