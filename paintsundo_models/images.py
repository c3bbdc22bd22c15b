"""Pure picture helpers: resizing as the models were trained on it, sizes, alpha. No nodes, no networks.

Pictures are ComfyUI's IMAGE: (B, H, W, C) in [0, 1], any float dtype, any device.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .constants import DEFAULT_KEYFRAME_SIZE, KEYFRAME_MAX_SIDE, KEYFRAME_SIZE_MULTIPLE, SEGMENT_SIZES

MAX_ASPECT = 4.0
"""Longer : shorter side of the sizes that are derived from a picture; what is longer is cropped to it."""

# To miss the area is one tenth as bad as to miss the shape: lost margins are seen, a few more pixels are not.
_AREA_WEIGHT = 0.1
# Times the default area, or a part of it: what "about" may mean. Just enough for 576x768, the shape of 3:4 pictures,
# of which the crop to a segment's size leaves 87.5 %; of the next shape it leaves 83.4 %.
_MOST_AREA = 1.36
_CUT_SHADE = 0.25  # brightness left to the margins that cut_preview shows as lost
_PREVIEW_SIDE = 320  # pixels; about what a node shows, and quick to write for a picture of any size


@dataclass(frozen=True)
class CropBox:
    """The part of a picture that a centre crop keeps, in pixels of the uncropped picture.

    Edges need not be whole pixels: the crop happens after resizing, on whole pixels of the result.
    """

    left: float
    top: float
    right: float
    bottom: float
    image_width: int
    image_height: int

    @property
    def kept(self) -> float:
        """Share of the picture's area that is kept, 0...1."""
        return (self.right - self.left) * (self.bottom - self.top) / (self.image_width * self.image_height)

    @property
    def cuts(self) -> dict[str, int]:
        """Whole pixels that are lost, by the side; empty when nothing is."""
        lost = {
            "left": self.left,
            "right": self.image_width - self.right,
            "top": self.top,
            "bottom": self.image_height - self.bottom,
        }
        return {side: round(px) for side, px in lost.items() if round(px) > 0}

    def describe(self) -> str:
        """Say in one line what is cut; says so too when nothing is."""
        width, height = self.image_width, self.image_height
        lost = ", ".join(f"{px} px {side}" for side, px in self.cuts.items())
        if not lost:
            return f"The whole picture is used ({width}x{height}); nothing is cut."
        return f"{self.kept:.1%} of the picture ({width}x{height}) is used; cut: {lost}."


def _require_picture(image: Tensor) -> None:
    if image.ndim != 4 or 0 in image.shape:
        raise ValueError(
            f"A picture batch has the shape (batch, height, width, channels), none of them 0; got {tuple(image.shape)}."
        )


def _covering_size(image_width: int, image_height: int, width: int, height: int) -> tuple[int, int]:
    scale = max(height / image_height, width / image_width)
    return round(image_width * scale), round(image_height * scale)


def _area_taps(source: int, size: int, start: int, count: int) -> tuple[Tensor, Tensor]:
    """Return which source pixels, and how much of each, make up entries start...start + count of a shrunk axis.

    Entry i is the mean of the source over [i * s, (i + 1) * s), s = source / size. Both are (count, taps).
    """
    entries = torch.arange(start, start + count, dtype=torch.float64)
    # Rounding keeps an edge that should be a whole pixel from reaching into the next one by 1e-12.
    low = (entries * (source / size)).round(decimals=9)
    high = ((entries + 1) * (source / size)).round(decimals=9).clamp(max=source)
    taps = int((high.ceil() - low.floor()).max())
    index = low.floor()[:, None] + torch.arange(taps)
    overlap = torch.minimum(index + 1, high[:, None]) - torch.maximum(index, low[:, None])
    return index.long().clamp(max=source - 1), overlap.clamp(min=0) / (high - low)[:, None]


def _enlarging_taps(source: int, size: int, start: int, count: int) -> tuple[Tensor, Tensor]:
    """As `_area_taps` for an axis that grows: each entry blends two pixels by how far it reaches into the second.

    The order of operations, and the fraction in float32, are OpenCV's: where an entry starts exactly on a pixel,
    rounding decides which pixel it is, and the reference's choice is kept.
    """
    ratio = size / source
    entries = torch.arange(start, start + count, dtype=torch.float64)
    first = (entries * (1 / ratio)).floor()
    reach = ((entries + 1) - (first + 1) * ratio).float().clamp(min=0)
    reach = (reach - reach.floor()).double()
    index = torch.stack([first, first + 1], dim=1).long().clamp(max=source - 1)
    return index, torch.stack([1 - reach, reach], dim=1)


def _gather(image: Tensor, dim: int, index: Tensor, weight: Tensor) -> Tensor:
    # One tap at a time: no copy of a large picture is made, and it runs on every device.
    shape = [1] * image.ndim
    shape[dim] = len(index)
    index, weight = index.to(image.device), weight.to(device=image.device, dtype=image.dtype)
    result = image.index_select(dim, index[:, 0]).mul_(weight[:, 0].view(shape))
    for tap in range(1, index.shape[1]):
        result += image.index_select(dim, index[:, tap]).mul_(weight[:, tap].view(shape))
    return result


def resize_and_center_crop(image: Tensor, width: int, height: int) -> Tensor:
    """Scale a picture so that it covers width x height (area resampling), and cut the overhang evenly.

    Args:
        image: (B, H, W, C), any range.
        width: of the result, in pixels.
        height: of the result, in pixels.

    Returns:
        (B, height, width, C), same dtype, device and range. The weights are those of OpenCV's INTER_AREA; the
        reference's result is rounded to 8 bit (and enlarges in fixed point), this is not: up to 1/255 between them.

    Raises:
        ValueError: not a (B, H, W, C) tensor, or a size under 1.

    Source: Paints-UNDO (resize_and_center_crop: scale by the larger ratio, round, crop at half the overhang).
    """
    _require_picture(image)
    _require_positive(width, height)
    image_height, image_width = image.shape[1:3]
    new_width, new_height = _covering_size(image_width, image_height, width, height)
    top, left = (new_height - height) // 2, (new_width - width) // 2
    is_shrinking = new_height <= image_height and new_width <= image_width
    taps = _area_taps if is_shrinking else _enlarging_taps
    rows = _gather(image, 1, *taps(image_height, new_height, top, height))
    return _gather(rows, 2, *taps(image_width, new_width, left, width))


def _require_positive(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise ValueError(f"Width and height must be at least 1 pixel; got {width}x{height}.")


def crop_box(image_width: int, image_height: int, width: int, height: int) -> CropBox:
    """Tell which part of a picture `resize_and_center_crop` to width x height keeps.

    Raises:
        ValueError: a size under 1.
    """
    _require_positive(image_width, image_height)
    _require_positive(width, height)
    new_width, new_height = _covering_size(image_width, image_height, width, height)
    x, y = image_width / new_width, image_height / new_height
    left, top = (new_width - width) // 2, (new_height - height) // 2
    return CropBox(left * x, top * y, (left + width) * x, (top + height) * y, image_width, image_height)


def cut_preview(image: Tensor, box: CropBox) -> Tensor:
    """Return a small picture that shows what a crop loses: the margins darkened, the loss in words underneath.

    Args:
        image: the uncropped picture, (1, H, W, 3) in [0, 1].
        box: the part that is kept.

    Returns:
        (1, h, w, 3) in [0, 1], float32; the picture's longer side is 320 pixels.
    """
    from PIL import Image, ImageDraw

    scale = _PREVIEW_SIDE / max(box.image_width, box.image_height)
    width, height = max(1, round(box.image_width * scale)), max(1, round(box.image_height * scale))
    small = resize_and_center_crop(image.float(), width, height)[0].cpu()
    kept = torch.zeros(height, width, 1, dtype=torch.bool)
    kept[
        round(box.top * scale) : round(box.bottom * scale), round(box.left * scale) : round(box.right * scale)
    ] = True
    shaded = (torch.where(kept, small, small * _CUT_SHADE).clamp(0, 1) * 255).round().to(torch.uint8)

    caption = box.describe().replace("; ", ";\n")
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), caption)
    caption_width, caption_height = math.ceil(measure[2]), math.ceil(measure[3])
    canvas = Image.new("RGB", (max(width, caption_width + 8), height + caption_height + 8), (32, 32, 32))
    canvas.paste(Image.fromarray(shaded.numpy()), ((canvas.width - width) // 2, 0))
    ImageDraw.Draw(canvas).multiline_text((4, height + 4), caption, fill=(235, 235, 235))
    return torch.from_numpy(np.array(canvas)).float().div_(255)[None]


def composite_on_white(image: Tensor) -> Tensor:
    """Return the picture as RGB (B, H, W, 3): alpha (straight) is laid on white, grey is spread over three channels.

    Raises:
        ValueError: not (B, H, W, C) with 1, 3 or 4 channels.
    """
    _require_picture(image)
    channels = image.shape[-1]
    if channels == 4:
        alpha = image[..., 3:]
        return image[..., :3] * alpha + (1 - alpha)
    if channels == 1:
        return image.expand(-1, -1, -1, 3)
    if channels == 3:
        return image
    raise ValueError(f"A picture has 1 (grey), 3 (RGB) or 4 (RGBA) channels; this one has {channels}.")


def white_canvas(height: int, width: int) -> Tensor:
    """Return one blank canvas (1, height, width, 3), all ones."""
    return torch.ones(1, height, width, 3)


def check_keyframe_sides(width: int, height: int) -> None:
    """Check the sides asked for, before there is a picture; 0 stands for "by the picture's shape".

    Raises:
        ValueError: one is negative, not a multiple of 64 or over 2048.
    """
    step = KEYFRAME_SIZE_MULTIPLE
    for name, value in (("width", width), ("height", height)):
        if value < 0 or value % step or value > KEYFRAME_MAX_SIDE:
            nearest = min(max(step, round(value / step) * step), KEYFRAME_MAX_SIDE)
            raise ValueError(
                f"The keyframes' {name} must be a multiple of {step} up to {KEYFRAME_MAX_SIDE} (or 0 for the picture's "
                f"own shape); got {value}. The nearest is {nearest}."
            )


def keyframe_size(width: int, height: int, image_width: int, image_height: int) -> tuple[int, int]:
    """Choose the (width, height) of the keyframes; 0 stands for "by the picture's shape".

    With both 0: the multiples of 64 nearest to the picture's aspect ratio, at about the area of 512x640 (0.74 to 1.36
    times). With one 0: the multiple of 64 that fits the other. Aspect ratios are limited to 4:1 and 1:4.

    Args:
        width: a multiple of 64, or 0.
        height: a multiple of 64, or 0.
        image_width: of the picture, in pixels.
        image_height: of the picture, in pixels.

    Raises:
        ValueError: a given side is not allowed, or the one that fits it is over 2048.
    """
    check_keyframe_sides(width, height)
    _require_positive(image_width, image_height)
    aspect = min(max(image_width / image_height, 1 / MAX_ASPECT), MAX_ASPECT)
    if width and height:
        return width, height
    if width:
        return width, _fitting_side("height", width / aspect, "width", width)
    if height:
        return _fitting_side("width", height * aspect, "height", height), height
    return _size_near(aspect, DEFAULT_KEYFRAME_SIZE[0] * DEFAULT_KEYFRAME_SIZE[1])


def _fitting_side(name: str, exact: float, given: str, value: int) -> int:
    side = max(KEYFRAME_SIZE_MULTIPLE, round(exact / KEYFRAME_SIZE_MULTIPLE) * KEYFRAME_SIZE_MULTIPLE)
    if side > KEYFRAME_MAX_SIDE:
        raise ValueError(
            f"With the {given} {value}, the {name} of the keyframes would be {side} in the picture's shape, and the most is "
            f"{KEYFRAME_MAX_SIDE}. Lower the {given}, set it to 0, or give the {name} too and have the rest cut off."
        )
    return side


def _size_near(aspect: float, area: int) -> tuple[int, int]:
    step = KEYFRAME_SIZE_MULTIPLE
    sides = range(step, math.ceil(math.sqrt(area * _MOST_AREA * MAX_ASPECT) / step) * step + 1, step)
    sizes = [(w, h) for w in sides for h in sides if 1 / _MOST_AREA <= w * h / area <= _MOST_AREA]

    def badness(size: tuple[int, int]) -> float:
        w, h = size
        return abs(math.log(w / h / aspect)) + _AREA_WEIGHT * abs(math.log(w * h / area))

    return min(sizes, key=badness)


def nearest_shape(height: int, width: int, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the (height, width) of `sizes` whose aspect ratio is nearest to height x width."""
    _require_positive(width, height)
    return min(sizes, key=lambda size: abs(math.log(height * size[1] / (width * size[0]))))


def segment_size(height: int, width: int) -> tuple[int, int]:
    """Return the trained (height, width) of the multi-frame model whose shape is nearest to height x width.

    Least |height * w - width * h|; a tie goes to the later in SEGMENT_SIZES.

    Raises:
        ValueError: a size under 1.
    """
    _require_positive(width, height)
    return min(reversed(SEGMENT_SIZES), key=lambda size: abs(height * size[1] - width * size[0]))
