"""Resize and crop pictures in the way in which both models were trained. Pictures are (B, H, W, C), any range."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .inputs import require_picture
from .sizes import require_positive


@dataclass(frozen=True)
class PlacedArea:
    """The whole pixels of a frame that a picture covers when it is laid on white whole."""

    top: int
    left: int
    height: int
    width: int

    def cut_from(self, frames: Tensor) -> Tensor:
        """Return the frames (T, H, W, C) without the white border around the picture, (T, height, width, C)."""
        return frames[:, self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class CropBox:
    """The region of a picture that a centre crop keeps, in pixels of the uncropped picture.

    Edges may be fractions of a pixel, because the picture is cropped after resizing, at whole pixels of the result.
    """

    left: float
    top: float
    right: float
    bottom: float
    image_width: int
    image_height: int

    @property
    def kept(self) -> float:
        """Return the share of the picture's area that is kept, 0 to 1."""
        return (self.right - self.left) * (self.bottom - self.top) / (self.image_width * self.image_height)

    @property
    def cuts(self) -> dict[str, int]:
        """Return the number of pixels that are cut off at each side; sides where nothing is cut are left out."""
        lost = {
            "left": self.left,
            "right": self.image_width - self.right,
            "top": self.top,
            "bottom": self.image_height - self.bottom,
        }
        return {side: round(px) for side, px in lost.items() if round(px) > 0}

    def describe(self) -> str:
        """Return a sentence about what is cut off, or that nothing is."""
        width, height = self.image_width, self.image_height
        lost = ", ".join(f"{px} px {side}" for side, px in self.cuts.items())
        if not lost:
            return f"The whole picture is used ({width}x{height}); nothing is cut."
        return f"{self.kept:.1%} of the picture ({width}x{height}) is used; cut: {lost}."


def _covering_size(image_width: int, image_height: int, width: int, height: int) -> tuple[int, int]:
    scale = max(height / image_height, width / image_width)
    return round(image_width * scale), round(image_height * scale)


def _area_taps(source: int, size: int, start: int, count: int) -> tuple[Tensor, Tensor]:
    """Return the source pixels and their weights for the entries start to start + count - 1 of an axis that shrinks.

    Entry i is the mean of the source over [i * s, (i + 1) * s) with s = source / size. Both results are (count, taps).
    """
    entries = torch.arange(start, start + count, dtype=torch.float64)
    # Round, because an edge that should lie on a pixel's border may lie 1e-12 beyond it.
    low = (entries * (source / size)).round(decimals=9)
    high = ((entries + 1) * (source / size)).round(decimals=9).clamp(max=source)
    taps = int((high.ceil() - low.floor()).max())
    index = low.floor()[:, None] + torch.arange(taps)
    overlap = torch.minimum(index + 1, high[:, None]) - torch.maximum(index, low[:, None])
    return index.long().clamp(max=source - 1), overlap.clamp(min=0) / (high - low)[:, None]


def _enlarging_taps(source: int, size: int, start: int, count: int) -> tuple[Tensor, Tensor]:
    """Return pixels and weights as `_area_taps` does, for an axis that grows: each entry is a mix of two pixels.

    The order of operations and the float32 fraction are OpenCV's. Where an entry starts exactly on a pixel's border,
    rounding decides which pixel it starts in; with the same rounding it is the same pixel as in the original.
    """
    ratio = size / source
    entries = torch.arange(start, start + count, dtype=torch.float64)
    first = (entries * (1 / ratio)).floor()
    reach = ((entries + 1) - (first + 1) * ratio).float().clamp(min=0)
    reach = (reach - reach.floor()).double()
    index = torch.stack([first, first + 1], dim=1).long().clamp(max=source - 1)
    return index, torch.stack([1 - reach, reach], dim=1)


def _gather(image: Tensor, dim: int, index: Tensor, weight: Tensor) -> Tensor:
    # Add one tap after the other: this needs no further copies of a large picture, and runs on every device.
    shape = [1] * image.ndim
    shape[dim] = len(index)
    index, weight = index.to(image.device), weight.to(device=image.device, dtype=image.dtype)
    result = image.index_select(dim, index[:, 0]).mul_(weight[:, 0].view(shape))
    for tap in range(1, index.shape[1]):
        result += image.index_select(dim, index[:, tap]).mul_(weight[:, tap].view(shape))
    return result


def resize_and_center_crop(image: Tensor, width: int, height: int) -> Tensor:
    """Scale a picture so that it covers width x height (area resampling), and cut off equal margins of what extends beyond.

    Args:
        image: (B, H, W, C), any range.
        width: of the result, in pixels.
        height: of the result, in pixels.

    Returns:
        (B, height, width, C), same dtype, device and range. The weights are those of OpenCV's INTER_AREA, which the
        original uses. The original rounds to 8 bits, and enlarges in fixed point; the results differ by up to 1/255.

    Raises:
        ValueError: the shape is not (B, H, W, C), or a side is under 1.

    Source: Paints-UNDO, resize_and_center_crop.
    """
    require_picture(image)
    require_positive(width, height)
    image_height, image_width = image.shape[1:3]
    new_width, new_height = _covering_size(image_width, image_height, width, height)
    top, left = (new_height - height) // 2, (new_width - width) // 2
    is_shrinking = new_height <= image_height and new_width <= image_width
    taps = _area_taps if is_shrinking else _enlarging_taps
    rows = _gather(image, 1, *taps(image_height, new_height, top, height))
    return _gather(rows, 2, *taps(image_width, new_width, left, width))


def crop_box(image_width: int, image_height: int, width: int, height: int) -> CropBox:
    """Return the region of a picture that `resize_and_center_crop` to width x height keeps.

    Raises:
        ValueError: a side is under 1.
    """
    require_positive(image_width, image_height)
    require_positive(width, height)
    new_width, new_height = _covering_size(image_width, image_height, width, height)
    x, y = image_width / new_width, image_height / new_height
    left, top = (new_width - width) // 2, (new_height - height) // 2
    return CropBox(left * x, top * y, (left + width) * x, (top + height) * y, image_width, image_height)


def placed_area(image_width: int, image_height: int, width: int, height: int) -> PlacedArea:
    """Tell where a picture lies that is scaled to fit into width x height whole, in the middle.

    Both sides of the area are even, because most video formats store colours for 2 x 2 pixels.

    Raises:
        ValueError: a size under 1.
    """
    require_positive(image_width, image_height)
    require_positive(width, height)
    scale = min(width / image_width, height / image_height)
    placed_width = min(max(2, 2 * round(image_width * scale / 2)), width)
    placed_height = min(max(2, 2 * round(image_height * scale / 2)), height)
    return PlacedArea((height - placed_height) // 2, (width - placed_width) // 2, placed_height, placed_width)


def place_on_white(image: Tensor, area: PlacedArea, width: int, height: int) -> Tensor:
    """Scale pictures (B, H, W, C) to an area of a white frame; return the frames (B, height, width, C)."""
    frames = image.new_ones(image.shape[0], height, width, image.shape[3])
    area.cut_from(frames).copy_(resize_and_center_crop(image, area.width, area.height))
    return frames
