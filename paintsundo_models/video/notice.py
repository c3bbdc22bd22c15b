"""Tell people who watch a video that it is AI-made: by a card at its end, or by a note in the corner of every frame.

Both are off by default. The statement for programs is in every file (see `mark`).
"""

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..pictures.fonts import FontFace
from ..pictures.stage_sheet import wrap
from .frames import BatchFrames, Frames, JoinedFrames, MappedFrames
from .mark import SENTENCE

NOTICE_OFF = "off"
NOTICE_CARD = "end card"
NOTICE_CORNER = "corner note"
NOTICES = (NOTICE_OFF, NOTICE_CARD, NOTICE_CORNER)
"""What is laid on a video for people; the first is the default."""

CARD_SECONDS = 2
CARD_TEXT = SENTENCE.replace(" made", "\nmade").replace(", ", ",\n")
CORNER_TEXT = "AI-simulated, not a recording"

_GROUND, _INK = (226, 226, 226), (50, 50, 50)
_CARD_LINES, _CORNER_LINES = 8, 3
_PLATE = 0.75  # how much of the frame the plate behind the corner's text hides
_SMALLEST_PX = 8  # letters under this are no longer readable


def with_notice(frames: Frames, notice: str, rate: Fraction) -> Frames:
    """Add the chosen notice to the frames as played.

    Args:
        frames: as played.
        notice: one of `NOTICES`.
        rate: frames a second.

    Raises:
        ValueError: an unknown notice.
    """
    if notice == NOTICE_OFF:
        return frames
    if notice == NOTICE_CARD:
        card = end_card(frames.height, frames.width)
        count = max(1, round(CARD_SECONDS * rate))
        return JoinedFrames([frames, BatchFrames(card.expand(count, -1, -1, -1))])
    if notice == NOTICE_CORNER:
        plate = corner_plate(frames.height, frames.width)
        return MappedFrames(frames, lambda frame, _: _lay_in_corner(frame, plate))
    raise ValueError(f'Unknown end_card "{notice}"; accepted are: {", ".join(NOTICES)}.')


def end_card(height: int, width: int) -> Tensor:
    """Return a card with the sentence that every file carries, (1, height, width, 3) in [0, 1]."""
    from PIL import Image, ImageDraw

    size_px = max(_SMALLEST_PX, round(min(width / 18, height / 10)))
    font = FontFace("").at(size_px)
    lines = wrap(CARD_TEXT, font, width * 0.84, _CARD_LINES)
    card = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(card)
    step = size_px * 1.5
    top = (height - step * len(lines)) / 2
    for number, line in enumerate(lines):
        place = ((width - font.getlength(line)) / 2, top + step * number + size_px)
        draw.text(place, line, fill=_INK, font=font, anchor="ls")
    return torch.from_numpy(np.asarray(card, dtype=np.float32) / 255)[None]


def corner_plate(height: int, width: int) -> Tensor:
    """Return the plate of the corner note, (h, w, 3) in [0, 1], no larger than the frame."""
    from PIL import Image, ImageDraw

    size_px = max(_SMALLEST_PX, round(min(height, width) / 26))
    font, room = FontFace("").at(size_px), round(size_px * 0.5)
    lines = wrap(CORNER_TEXT, font, max(1, width * 0.9 - 2 * room), _CORNER_LINES)
    step = round(size_px * 1.3)
    wide = min(width, round(max(font.getlength(line) for line in lines)) + 2 * room)
    high = min(height, step * len(lines) + room)
    plate = Image.new("RGB", (wide, high), "white")
    draw = ImageDraw.Draw(plate)
    for number, line in enumerate(lines):
        draw.text((room, step * number + size_px + room / 4), line, fill=_INK, font=font, anchor="ls")
    return torch.from_numpy(np.asarray(plate, dtype=np.float32) / 255)


def _lay_in_corner(frame: Tensor, plate: Tensor) -> Tensor:
    """Put the plate into the lower left corner of a copy of the frame; its background is translucent, its letters are opaque."""
    high, wide = plate.shape[:2]
    frame = frame.clone()
    corner = frame[-high:, :wide]
    plate = plate.to(corner)
    hidden = 1 - plate.amin(dim=-1, keepdim=True) * (1 - _PLATE)
    corner.copy_(corner * (1 - hidden) + plate * hidden)
    return frame
