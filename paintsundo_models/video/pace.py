"""When each frame of a video is shown: at an even pace, in a given time, there and back.

Pure arithmetic on numbers: from how much each frame differs from the next one to positions among the frames, one for each
frame of the new video; at 2.25 three quarters of frame 2 and a quarter of frame 3 are shown. Only `changes_between` looks
at pictures, at small copies of them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from torch import Tensor

from ..pictures.resizing import resize_and_center_crop
from .timeline import held, hold_frames

PACE_AS_MADE = "as made"
PACE_EQUAL = "equal change"
PACE_EASE = "ease"
PACES = (PACE_AS_MADE, PACE_EQUAL, PACE_EASE)
"""How the time is shared out among the frames; the first is the default."""

LOOP_ONCE = "once"
LOOP_BACK = "ping-pong"
LOOP_REWIND = "rewind"
LOOPS = (LOOP_ONCE, LOOP_BACK, LOOP_REWIND)
"""What follows the last frame; the first is the default."""

MAX_DURATION = 600.0
REWIND_SECONDS = 1.0

COPY_SIDE_PX = 64
"""Longer side of the copies that changes are measured on: strokes stay, the noise of the pixels averages out."""

UNSEEN = 2 / 255
"""Differences up to this are not seen. The models redraw a blank canvas with less than that from frame to frame."""

EVEN_SHARE = 0.25
"""Part of the change that is added evenly to all frames that differ, so that thin lines do not rush past."""

_EASE_SLOWEST = 0.4  # pace at both ends, where 1 is the mean


@dataclass(frozen=True)
class Timing:
    """How long a video is and how its time is shared out.

    Attributes:
        rate: frames a second.
        pace: one of `PACES`.
        duration: of the whole video in seconds, holds and the way back included; 0: as many frames as there are.
        loop: one of `LOOPS`.
        hold_first: how much longer the first frame as played is shown, in seconds.
        hold_last: how much longer the last frame as played is shown, in seconds; before the way back.
    """

    rate: Fraction
    pace: str = PACE_AS_MADE
    duration: float = 0.0
    loop: str = LOOP_ONCE
    hold_first: float = 0.0
    hold_last: float = 0.0


def check_timing(timing: Timing) -> None:
    """Check what can be known before there are frames.

    Raises:
        ValueError: an unknown pace or loop, a duration or a hold that is out of range, or a duration too short for its holds.
    """
    for name, value, known in (("pace", timing.pace, PACES), ("loop", timing.loop, LOOPS)):
        if value not in known:
            raise ValueError(f'Unknown {name} "{value}"; accepted are: {", ".join(known)}.')
    if not 0 <= timing.duration <= MAX_DURATION:
        raise ValueError(f"duration must be 0 (by fps) to {MAX_DURATION:g} seconds; got {timing.duration:g}.")
    for name, seconds in (("hold_first", timing.hold_first), ("hold_last", timing.hold_last)):
        if not 0 <= seconds <= MAX_DURATION:
            raise ValueError(f"{name} must be 0 to {MAX_DURATION:g} seconds; got {seconds:g}.")
    if timing.duration and _frames_of_one_way(timing) < 2:
        rewind = ", the rewind" if timing.loop == LOOP_REWIND else ""
        raise ValueError(
            f"duration is {timing.duration:g} seconds, which hold_first ({timing.hold_first:g}){rewind} and hold_last "
            f"({timing.hold_last:g}) fill up at {float(timing.rate):g} frames a second. Raise duration, or lower the holds."
        )


def _frames_of_one_way(timing: Timing) -> int:
    """Return how many frames of a given duration run from the first frame to the last, both included."""
    count = hold_frames(timing.duration, timing.rate)
    count -= hold_frames(timing.hold_first, timing.rate) + hold_frames(timing.hold_last, timing.rate)
    if timing.loop == LOOP_REWIND:
        return count - _rewind_frames(timing)
    # Of n frames there, n - 2 are shown on the way back: the two ends are not repeated.
    return count // 2 + 1 if timing.loop == LOOP_BACK else count


def _rewind_frames(timing: Timing) -> int:
    return hold_frames(REWIND_SECONDS, timing.rate)


def changes_between(frames: Iterable[Tensor]) -> list[float]:
    """Measure how much is seen to change from each frame to the next: T frames give T - 1 numbers in 0 to 1.

    Args:
        frames: (H, W, 3) each, in [0, 1]; one at a time, so that they need not all be in memory.
    """
    changes, before = [], None
    for frame in frames:
        copy = _small_copy(frame)
        if before is not None:
            changes.append(float(((copy - before).abs() - UNSEEN).clamp(min=0).mean()))
        before = copy
    return changes


def _small_copy(frame: Tensor) -> Tensor:
    height, width = frame.shape[:2]
    scale = min(1.0, COPY_SIDE_PX / max(height, width))
    size = (max(1, round(side * scale)) for side in (width, height))
    return resize_and_center_crop(frame[None].float(), *size)


def timetable(frames: int, timing: Timing, changes: Sequence[float] = ()) -> list[float]:
    """Return the position among the frames, in their order of play, that each frame of the new video shows.

    Args:
        frames: how many there are.
        timing: see `Timing`.
        changes: from each frame to the next, as `changes_between` measures them; not looked at where the pace is as made.

    Raises:
        ValueError: see `check_timing`.
    """
    check_timing(timing)
    times = [1.0] * (frames - 1) if timing.pace == PACE_AS_MADE else _times(changes)
    count = _frames_of_one_way(timing) if timing.duration else frames
    way = _positions([0.0, *accumulate(times)], count, timing.pace == PACE_EASE)
    first, last = (hold_frames(seconds, timing.rate) for seconds in (timing.hold_first, timing.hold_last))
    shown = held(way, first, last)
    if timing.loop == LOOP_BACK:
        shown += way[-2:0:-1]
    elif timing.loop == LOOP_REWIND:
        steps = _rewind_frames(timing)
        shown += [way[(len(way) - 1) * (steps - step) // (steps + 1)] for step in range(steps)]
    return shown


def _times(changes: Sequence[float]) -> list[float]:
    """Return the time from each frame to the next, in any unit; 0 where nothing visible changes."""
    moving = sum(change > 0 for change in changes)
    if not moving:
        return [1.0] * len(changes)
    even = EVEN_SHARE * sum(changes) / moving
    return [change + even if change > 0 else 0.0 for change in changes]


def _positions(moments: Sequence[float], count: int, eases: bool) -> list[float]:
    """Return positions of `count` even moments among frames that stand at `moments`, which start at 0 and never fall."""
    last = len(moments) - 1
    positions = [0.0]
    for number in range(1, count - 1):
        part = number / (count - 1)
        moment = moments[-1] * (_eased(part) if eases else part)
        # Of frames at one moment the last: where nothing changes, as on a blank canvas, no time is spent.
        first = bisect_right(moments, moment) - 1
        if first >= last:
            positions.append(float(last))
            continue
        share = (moment - moments[first]) / (moments[first + 1] - moments[first])
        positions.append(first + share)
    return [*positions[: count - 1], float(last)]


def _eased(part: float) -> float:
    """Return how far the painting is after this part of its time: slower at both ends, never standing still."""
    smooth = part * part * (3 - 2 * part)
    return _EASE_SLOWEST * part + (1 - _EASE_SLOWEST) * smooth
