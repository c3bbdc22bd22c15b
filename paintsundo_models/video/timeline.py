"""Join segments in undo order into frames, and convert frame rates and hold times. No files, no nodes.

Undo order is the order of the models: the finished picture first, the white canvas last. Segment i ends with the
keyframe with which segment i + 1 begins. Pictures are ComfyUI's IMAGE: (T, H, W, C) in [0, 1].
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from torch import Tensor

from ..constants import FRAMES_PER_SEGMENT
from ..pictures.inputs import composite_on_white
from ..pictures.resizing import resize_and_center_crop
from .frames import BatchFrames, Frames, JoinedFrames, MappedFrames

TRIM_SHARED = "shared ends once"
TRIM_REFERENCE = "as reference"
TRIM_NONE = "keep all"
TRIMS = (TRIM_SHARED, TRIM_REFERENCE, TRIM_NONE)
"""Which frames of the segments are dropped; the first is the default."""

ORDER_PAINTING = "painting"
ORDER_UNDO = "undo"
ORDERS = (ORDER_PAINTING, ORDER_UNDO)
"""Directions of play; the first is the default."""

MAX_FPS = 1000
"""WebM stores times in whole milliseconds, so at a higher rate two frames would get the same time."""


def frame_rate(fps: float) -> Fraction:
    """Return the frame rate as the exact fraction that files store, in thousandths.

    Raises:
        ValueError: not a number from 0.01 to 1000.
    """
    if not 0.01 <= fps <= MAX_FPS:
        raise ValueError(f"The frame rate must be from 0.01 to {MAX_FPS} frames a second; got {fps}.")
    return Fraction(round(fps * 1000), 1000)


def hold_frames(seconds: float, fps: Fraction) -> int:
    """Return the number of further frames that show a picture `seconds` longer, rounded to the nearest.

    Raises:
        ValueError: the time is negative, infinite or not a number.
    """
    if not 0 <= seconds < math.inf:
        raise ValueError(f"A hold must be 0 seconds or more; got {seconds}.")
    return math.floor(seconds * fps + 0.5)


def join_segments(
    segments: Sequence[Tensor],
    trim: str = TRIM_SHARED,
    ends: tuple[Tensor | None, Tensor | None] = (None, None),
) -> Frames:
    """Join segments in undo order, without their shared frames.

    "shared ends once" drops the last frame of every segment except the last one: 7 segments of 16 frames become 106, and
    a single segment stays whole. "as reference" drops it from the last segment too, as the original does (gradio_app.py):
    7 segments become 105 frames, without the canvas. A segment of one frame is kept.

    Args:
        segments: (T, H, W, C) each, 1, 3 or 4 channels, all of one size. Alpha is laid on white. If there is only
            one, and its length is a multiple of 16 frames, it is split into segments of 16.
        trim: one of `TRIMS`.
        ends: the finished picture and the canvas, (1, H', W', C) each or None; resized and cropped, they
            replace the first and the last frame. Ignored for "as reference", which keeps the model's frames.

    Returns:
        T frames in undo order; they share the memory of the segments.

    Raises:
        ValueError: there are no frames, the segments have different sizes, or trim is unknown.
    """
    if trim not in TRIMS:
        raise ValueError(f'Unknown trim "{trim}"; accepted are: {", ".join(TRIMS)}.')
    if not segments or any(len(segment) == 0 for segment in segments):
        raise ValueError("There are no frames to assemble: connect the frames of at least one segment.")
    pieces = _split_batch(segments[0]) if len(segments) == 1 else list(segments)
    last = len(pieces) - 1
    for i, piece in enumerate(pieces):
        if len(piece) > 1 and (trim == TRIM_REFERENCE or (trim == TRIM_SHARED and i < last)):
            pieces[i] = piece[:-1]
    frames = join_frames([BatchFrames(piece) for piece in pieces])
    return frames if trim == TRIM_REFERENCE else _with_ends(frames, *ends)


def _split_batch(frames: Tensor) -> list[Tensor]:
    """Split a batch whose length is a multiple of 16 into segments, which a node such as Batch Images joined."""
    return list(frames.split(FRAMES_PER_SEGMENT)) if len(frames) % FRAMES_PER_SEGMENT == 0 else [frames]


def join_frames(pieces: Sequence[Frames]) -> Frames:
    """Join sequences of one size, one after the other.

    Raises:
        ValueError: they have different sizes.
    """
    sizes: dict[tuple[int, int], int] = {}
    for number, piece in enumerate(pieces, start=1):
        sizes.setdefault((piece.width, piece.height), number)
    if len(sizes) > 1:
        found = "; ".join(f"{w}x{h} (first in segment {number})" for (w, h), number in sizes.items())
        raise ValueError(
            f"All segments must have one size in pixels; got {found}. Interpolate all of them at the same resolution."
        )
    return JoinedFrames(pieces)


def _with_ends(frames: Frames, finished: Tensor | None, canvas: Tensor | None) -> Frames:
    ends = {}
    for index, end in (
        (len(frames) - 1, canvas),
        (0, finished),
    ):  # finished last, so that it wins if there is only one frame
        if end is not None:
            picture = resize_and_center_crop(composite_on_white(end), frames.width, frames.height)[0]
            ends[index] = picture.to(frames[index])
    return MappedFrames(frames, lambda frame, index: ends.get(index, frame)) if ends else frames


def played_positions(count: int, order: str = ORDER_PAINTING) -> list[float]:
    """Return which of `count` frames in undo order is shown first, second, ... when they are played.

    Args:
        count: of frames.
        order: one of `ORDERS`.

    Raises:
        ValueError: an unknown order.
    """
    if order not in ORDERS:
        raise ValueError(f'Unknown order "{order}"; accepted are: {", ".join(ORDERS)}.')
    positions = [float(index) for index in range(count)]
    return positions[::-1] if order == ORDER_PAINTING else positions


def at_positions(values: Sequence[float], positions: Sequence[float]) -> list[float]:
    """Return the values at positions in their list; at 2.25 a quarter of the way from value 2 to value 3."""
    found = []
    for position in positions:
        first = int(position)
        share = position - first
        found.append(values[first] + share * (values[first + 1] - values[first]) if share else values[first])
    return found


def held(positions: Sequence[float], first: int = 0, last: int = 0) -> list[float]:
    """Return positions with the first one repeated `first` more times, and the last one `last` more times."""
    return [positions[0]] * first + list(positions) + [positions[-1]] * last
