"""From segments in undo order to the frames of the video as played. No files, no nodes, no networks.

Undo order is the models' own: the finished picture first, the white canvas last. Segment i ends with the keyframe
that segment i + 1 begins with. Pictures are ComfyUI's IMAGE: (T, H, W, C) in [0, 1].
"""

import math
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from ..constants import FRAMES_PER_SEGMENT
from ..pictures.inputs import composite_on_white
from ..pictures.resizing import resize_and_center_crop

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
"""WebM counts whole milliseconds: faster frames would share a time."""


def frame_rate(fps: float) -> Fraction:
    """Return the frame rate as the exact fraction that files store, in thousandths.

    Raises:
        ValueError: not a number from 0.01 to 1000.
    """
    if not 0.01 <= fps <= MAX_FPS:
        raise ValueError(f"The frame rate must be from 0.01 to {MAX_FPS} frames a second; got {fps}.")
    return Fraction(round(fps * 1000), 1000)


def hold_frames(seconds: float, fps: Fraction) -> int:
    """Return how many more frames a picture is shown to stand `seconds` longer, to the nearest frame.

    Raises:
        ValueError: a negative time, infinity or not a number.
    """
    if not 0 <= seconds < math.inf:
        raise ValueError(f"A hold must be 0 seconds or more; got {seconds}.")
    return math.floor(seconds * fps + 0.5)


def join_segments(
    segments: Sequence[Tensor], trim: str = TRIM_SHARED, ends: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Join segments in undo order, without their shared frames.

    "shared ends once" drops the last frame of every segment but the last: 7 segments of 16 give 106 frames, one
    segment stays whole. "as reference" drops it from the last one too, as Paints-UNDO's gradio_app.py does: 105
    frames, the canvas frame is lost. A segment of one frame has no end to drop and is kept.

    Args:
        segments: (T, H, W, C) each, 1, 3 or 4 channels, all of one size. Alpha is laid on white. A single
            one that is several times 16 frames long is several segments joined into a batch.
        trim: one of `TRIMS`.
        ends: the finished picture and the canvas, (1, H', W', C) each; resized and cropped, they take the places of
            the first and the last frame. Not in "as reference", whose frames are the model's alone.

    Returns:
        (T, H, W, 3) in undo order, a tensor of its own.

    Raises:
        ValueError: no frames, segments of different sizes, or an unknown trim.
    """
    if trim not in TRIMS:
        raise ValueError(f'Unknown trim "{trim}"; accepted are: {", ".join(TRIMS)}.')
    if not segments or any(len(segment) == 0 for segment in segments):
        raise ValueError("There are no frames to assemble: connect the frames of at least one segment.")
    pieces = [composite_on_white(segment) for segment in segments]
    if len(pieces) == 1:
        pieces = _split_batch(pieces[0])
    sizes: dict[tuple[int, int], int] = {}
    for number, piece in enumerate(pieces, start=1):
        sizes.setdefault((piece.shape[2], piece.shape[1]), number)
    if len(sizes) > 1:
        found = "; ".join(f"{w}x{h} (first in segment {number})" for (w, h), number in sizes.items())
        raise ValueError(
            f"All segments must have one size in pixels; got {found}. Interpolate all of them at the same resolution."
        )
    last = len(pieces) - 1
    for i, piece in enumerate(pieces):
        if len(piece) > 1 and (trim == TRIM_REFERENCE or (trim == TRIM_SHARED and i < last)):
            pieces[i] = piece[:-1]
    frames = torch.cat(pieces)
    if ends is not None and trim != TRIM_REFERENCE:
        _replace_ends(frames, ends)
    return frames


def _split_batch(frames: Tensor) -> list[Tensor]:
    """Segments that nodes for pictures joined into one batch, as Batch Images does, are told by their length."""
    return list(frames.split(FRAMES_PER_SEGMENT)) if len(frames) % FRAMES_PER_SEGMENT == 0 else [frames]


def _replace_ends(frames: Tensor, ends: tuple[Tensor, Tensor]) -> None:
    height, width = frames.shape[1:3]
    finished, canvas = (
        resize_and_center_crop(composite_on_white(end), width=width, height=height)[0].to(frames)
        for end in ends
    )
    frames[-1] = canvas
    frames[0] = finished  # last, so that a single frame is the finished picture


def play_frames(
    frames: Tensor, order: str = ORDER_PAINTING, hold_first: int = 0, hold_last: int = 0
) -> Tensor:
    """Put frames in undo order into the order of play and repeat the two ends.

    Args:
        frames: (T, H, W, C) in undo order.
        order: one of `ORDERS`.
        hold_first: how many more frames the first one played is shown.
        hold_last: how many more frames the last one played is shown.

    Returns:
        (hold_first + T + hold_last, H, W, C) as played.

    Raises:
        ValueError: an unknown order.
    """
    if order not in ORDERS:
        raise ValueError(f'Unknown order "{order}"; accepted are: {", ".join(ORDERS)}.')
    played = list(range(len(frames)))
    if order == ORDER_PAINTING:
        played.reverse()
    played = [played[0]] * hold_first + played + [played[-1]] * hold_last
    return frames[torch.tensor(played, device=frames.device)]
