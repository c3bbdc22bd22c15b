"""Choose the sizes of keyframes and segments. Works on numbers only; pictures are resized in `resizing`."""

import math
import re
from collections.abc import Sequence

from torch import Tensor

from ..constants import DEFAULT_KEYFRAME_SIZE, GRID, KEYFRAME_MAX_SIDE, SEGMENT_SIZES

MAX_ASPECT = 4.0
"""Largest ratio of the sides of a size that is derived from a picture; longer pictures are cropped to it."""

# A wrong aspect ratio costs ten times as much as a wrong area, because cropping is visible and a few more pixels are not.
_AREA_WEIGHT = 0.1

# The area may be at most this many times the default area, and at least the default area divided by it. It is just large
# enough to allow 576x768 for pictures of 3:4: the later crop to a segment's size keeps 87.5 % of these keyframes, and
# 83.4 % of those of the next best shape.
_MOST_AREA = 1.36

NEAREST_TRAINED = "nearest trained size"
OWN_SIZE = "size of the pictures"
FIT_CROP = "crop"
FIT_WHOLE = "whole"
FITS = (FIT_CROP, FIT_WHOLE)
"""How a picture gets the shape of the frames: cut to it, or laid on white whole."""

RESOLUTIONS = (NEAREST_TRAINED, *(f"{width}x{height}" for height, width in SEGMENT_SIZES), OWN_SIZE)
"""Choices of a segment's size; those with numbers are width x height."""


def require_positive(width: int, height: int) -> None:
    """Check that both sides are at least 1 pixel, else raise ValueError."""
    if width < 1 or height < 1:
        raise ValueError(f"Width and height must be at least 1 pixel; got {width}x{height}.")


def check_keyframe_sides(width: int, height: int) -> None:
    """Check the width and height that people chose, without knowing the picture; 0 means "derive from the picture".

    Raises:
        ValueError: a side is negative, not a multiple of 64 or over 2048.
    """
    step = GRID
    for name, value in (("width", width), ("height", height)):
        if value < 0 or value % step or value > KEYFRAME_MAX_SIDE:
            nearest = min(max(step, round(value / step) * step), KEYFRAME_MAX_SIDE)
            raise ValueError(
                f"The keyframes' {name} must be a multiple of {step} up to {KEYFRAME_MAX_SIDE} (or 0 for the picture's "
                f"own shape); got {value}. The nearest is {nearest}."
            )


def keyframe_size(width: int, height: int, image_width: int, image_height: int) -> tuple[int, int]:
    """Return the (width, height) of the keyframes; 0 means "derive from the picture".

    If both are 0: the multiples of 64 nearest to the picture's aspect ratio, with 0.74 to 1.36 times the area of 512x640.
    If one is 0: the multiple of 64 that fits the other side. The aspect ratio is limited to 1:4 to 4:1.

    Args:
        width: a multiple of 64, or 0.
        height: a multiple of 64, or 0.
        image_width: of the picture, in pixels.
        image_height: of the picture, in pixels.

    Raises:
        ValueError: a chosen side is not allowed, or the derived one is over 2048.
    """
    check_keyframe_sides(width, height)
    require_positive(image_width, image_height)
    aspect = min(max(image_width / image_height, 1 / MAX_ASPECT), MAX_ASPECT)
    if width and height:
        return width, height
    if width:
        return width, _fitting_side("height", width / aspect, "width", width)
    if height:
        return _fitting_side("width", height * aspect, "height", height), height
    return _size_near(aspect, DEFAULT_KEYFRAME_SIZE[0] * DEFAULT_KEYFRAME_SIZE[1])


def _fitting_side(name: str, exact: float, given: str, value: int) -> int:
    side = max(GRID, round(exact / GRID) * GRID)
    if side > KEYFRAME_MAX_SIDE:
        raise ValueError(
            f"With the {given} {value}, the {name} of the keyframes would be {side} in the picture's shape, and the most is "
            f"{KEYFRAME_MAX_SIDE}. Lower the {given}, set it to 0, or give the {name} too and have the rest cut off."
        )
    return side


def _size_near(aspect: float, area: int) -> tuple[int, int]:
    step = GRID
    sides = range(step, math.ceil(math.sqrt(area * _MOST_AREA * MAX_ASPECT) / step) * step + 1, step)
    sizes = [(w, h) for w in sides for h in sides if 1 / _MOST_AREA <= w * h / area <= _MOST_AREA]

    def mismatch(size: tuple[int, int]) -> float:
        w, h = size
        return abs(math.log(w / h / aspect)) + _AREA_WEIGHT * abs(math.log(w * h / area))

    return min(sizes, key=mismatch)


def nearest_shape(height: int, width: int, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the (height, width) of `sizes` whose aspect ratio is nearest to height x width."""
    require_positive(width, height)
    return min(sizes, key=lambda size: abs(math.log(height * size[1] / (width * size[0]))))


def segment_size(height: int, width: int) -> tuple[int, int]:
    """Return the trained (height, width) of the multi-frame model that is nearest to the aspect ratio of height x width.

    It has the least |height * w - width * h|; on a tie the later one in SEGMENT_SIZES wins, as in the original.

    Raises:
        ValueError: a side is under 1.
    """
    require_positive(width, height)
    return min(reversed(SEGMENT_SIZES), key=lambda size: abs(height * size[1] - width * size[0]))


def frame_size(resolution: str, image: Tensor, trained: Sequence[tuple[int, int]] = ()) -> tuple[int, int]:
    """Return the (height, width) of a segment's frames.

    Args:
        resolution: one of RESOLUTIONS.
        image: the first picture, (B, H, W, C).
        trained: sizes (height, width) that the checkpoint was trained on; empty for those of the released one.

    Raises:
        ValueError: there is no such resolution, or the picture is too large to keep its size.
    """
    height, width = image.shape[1:3]
    if resolution == NEAREST_TRAINED:
        return nearest_shape(height, width, trained) if trained else segment_size(height, width)
    if resolution == OWN_SIZE:
        on_grid = [max(GRID, round(side / GRID) * GRID) for side in (height, width)]
        if max(on_grid) > KEYFRAME_MAX_SIDE:
            raise ValueError(
                f'With the resolution "{OWN_SIZE}" the frames would have {on_grid[1]}x{on_grid[0]} pixels, and a side may have '
                f'{KEYFRAME_MAX_SIDE}. Choose "{NEAREST_TRAINED}", or make the picture smaller.'
            )
        return on_grid[0], on_grid[1]
    if resolution not in RESOLUTIONS:
        raise ValueError(f"There is no resolution {resolution!r}; there are {', '.join(RESOLUTIONS)}.")
    chosen_width, chosen_height = map(int, re.findall(r"\d+", resolution))
    return chosen_height, chosen_width
