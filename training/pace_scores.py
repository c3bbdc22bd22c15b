"""How evenly a painting changes: from segment to segment of a plan, and from second to second of a video. NumPy and torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from paintsundo_models.video.frames import Frames
from paintsundo_models.video.pace import COPY_SIDE_PX

from .evaluation import Figure, blurred, mean, unit

GRID = 4  # operation steps between the true states that a change is added up over
SEEN = 5 / 255  # a place of a small copy that differs by more is seen to change
BAR_SEGMENTS = 0.45
BAR_QUARTER = 0.10
BAR_STILL_SECONDS = 0.5


def spread(values: Sequence[float]) -> float:
    """Standard deviation divided by the mean: 0 where all are equal."""
    return float(np.std(values) / np.mean(values))


def change_so_far(states: np.ndarray) -> np.ndarray:
    """Add up the change along true states, uint8 (N, H, W, 3): float64 (N,), from 0. Each is blurred first."""
    soft = [blurred(unit(state)) for state in states]
    return np.concatenate([[0.0], np.cumsum([np.abs(b - a).mean() for a, b in pairwise(soft)])])


def segment_spread(so_far: np.ndarray, steps: Sequence[int], canvas: int) -> float:
    """Return the spread of the true change in the segments between these keyframes, finished picture and canvas.

    Args:
        so_far: from change_so_far, of states that are GRID steps apart.
        steps: of the keyframes.
        canvas: the canvas's step.
    """
    at = np.interp([0, *steps, canvas], np.arange(len(so_far)) * GRID, so_far)
    return spread(list(np.diff(at)))


@dataclass(frozen=True)
class VideoScores:
    """One video as played, without holds.

    Attributes:
        seconds: how much changes in each whole second.
        first_quarter: share of the change in the first quarter of the time.
        still: the longest time without a visible change between the first stroke and the finish, in seconds.
    """

    seconds: tuple[float, ...]
    first_quarter: float
    still: float


def small_copies(frames: Frames) -> Tensor:
    """Return copies of at most COPY_SIDE_PX pixels a side, (T, h, w, 3)."""
    scale = min(1.0, COPY_SIDE_PX / max(frames.height, frames.width))
    size = round(frames.height * scale), round(frames.width * scale)
    pictures = (torch.nn.functional.adaptive_avg_pool2d(frame.permute(2, 0, 1), size) for frame in frames)
    return torch.stack(list(pictures)).permute(0, 2, 3, 1)


def score_video(frames: Frames, fps: int) -> VideoScores:
    """Measure a video on small copies of its frames."""
    copies = small_copies(frames)
    changes = [float((b - a).abs().mean()) for a, b in pairwise(copies)]
    seconds = [sum(changes[start : start + fps]) for start in range(0, len(changes) - fps + 1, fps)]
    quarter = sum(changes[: len(changes) // 4]) / sum(changes)
    return VideoScores(tuple(seconds), quarter, longest_still(copies) / fps)


def longest_still(copies: Tensor) -> int:
    """Return the most frames that pass until a place is seen to change, from the first stroke to the finish."""

    def is_seen(one: int, other: int) -> bool:
        return bool(((copies[one] - copies[other]).abs() > SEEN).any())

    last = len(copies) - 1
    first_stroke = next((i for i in range(last + 1) if is_seen(0, i)), last)
    finish = next((i for i in range(last, -1, -1) if is_seen(last, i)), 0) + 1
    longest, end = 0, first_stroke
    for start in range(first_stroke, finish):
        end = max(end, start + 1)
        while end < finish and not is_seen(start, end):
            end += 1
        longest = max(longest, end - start)
    return longest


@dataclass
class Results:
    """All that was measured: by the name of a plan, and by the name of a video, an entry a picture each."""

    pictures: int
    plans: dict[str, list[float]] = field(default_factory=dict)
    videos: dict[str, list[VideoScores]] = field(default_factory=dict)
    steps: list[list[int]] = field(default_factory=list)

    @property
    def figures(self) -> list[Figure]:
        """What the planned steps and the paced video are held to: the last of both."""
        segments, videos = list(self.plans.values())[-1], list(self.videos.values())[-1]
        quarter, still = min(v.first_quarter for v in videos), max(v.still for v in videos)
        return [
            Figure(
                "Spread of the change in a segment (standard deviation / mean), planned by equal change",
                f"{mean(segments):.2f} ({min(segments):.2f} to {max(segments):.2f})",
                f"mean at most {BAR_SEGMENTS:g}",
                mean(segments) <= BAR_SEGMENTS,
            ),
            Figure(
                "Change in the first quarter of a paced video",
                f"{mean(v.first_quarter for v in videos):.0%} (lowest {quarter:.0%})",
                f"lowest at least {BAR_QUARTER:.0%}",
                quarter >= BAR_QUARTER,
            ),
            Figure(
                "Longest time without a visible change between the first stroke and the finish of a paced video",
                f"{mean(v.still for v in videos):.2f} s (longest {still:.2f} s)",
                f"longest below {BAR_STILL_SECONDS:g} s",
                still < BAR_STILL_SECONDS,
            ),
        ]
