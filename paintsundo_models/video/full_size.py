"""Enlarge the frames of a video to the size of the finished picture, and let the video end with exactly that picture.

`picture_detail` enlarges a single frame. This module decides which part of the picture the frames show, how large they
become, and how the last frames pass into the picture, so that nothing jumps.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..constants import FRAMES_PER_SEGMENT
from ..pictures.inputs import require_single_picture
from ..pictures.resizing import CropBox, crop_box, resize_and_center_crop
from ..pictures.sizes import keyframe_size
from .frames import Frames
from .picture_detail import PictureDetail
from .timeline import ORDER_PAINTING, ORDER_UNDO

SIZE_PICTURE = "as the finished picture"
SIZE_SEGMENTS = "as the segments"
SIZES = (SIZE_PICTURE, SIZE_SEGMENTS)
"""Sizes of a video whose finished picture is known; the first is the default."""

DEFAULT_LONGEST_SIDE = 2048

_SAMPLES = 12  # frames that tell how soft the model draws
_REDRAWN = 0.02  # mean difference that a model leaves when it draws a picture again; an earlier stage differs by more
_ENDING = 8  # frames over which the video passes into the exact picture


def shown_part(finished: Tensor, first: Tensor, keyframe_sizes: list[tuple[int, int]]) -> CropBox:
    """Find the part of the finished picture that the frames show.

    The frames were cropped out of the picture directly, or out of keyframes that had been cropped out of it before. The
    part that looks most like the first frame in undo order is taken.

    Args:
        finished: (1, H, W, 3).
        first: the first frame in undo order, (h, w, 3).
        keyframe_sizes: (width, height) that the keyframes may have had between.
    """
    height, width = first.shape[:2]
    _, image_height, image_width, _ = finished.shape
    boxes = [crop_box(image_width, image_height, width, height)]
    for size in keyframe_sizes:
        outer, inner = crop_box(image_width, image_height, *size), crop_box(*size, width, height)
        x, y = (outer.right - outer.left) / size[0], (outer.bottom - outer.top) / size[1]
        box = CropBox(
            outer.left + inner.left * x,
            outer.top + inner.top * y,
            outer.left + inner.right * x,
            outer.top + inner.bottom * y,
            image_width,
            image_height,
        )
        boxes.append(box)

    def difference(box: CropBox) -> float:
        part = resize_and_center_crop(_cut(finished, box), width, height)[0]
        return float((part - first.to(part)).abs().mean())

    boxes = [box for i, box in enumerate(boxes) if not any(_is_same(box, other) for other in boxes[:i])]
    return boxes[0] if len(boxes) == 1 else min(boxes, key=difference)


def _edges(box: CropBox) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in whole pixels."""
    left, top = round(box.left), round(box.top)
    width, height = round(box.right - box.left), round(box.bottom - box.top)
    return left, top, min(left + max(width, 1), box.image_width), min(top + max(height, 1), box.image_height)


def _is_same(box: CropBox, other: CropBox) -> bool:
    return max(abs(a - b) for a, b in zip(_edges(box), _edges(other), strict=True)) <= 1


def _cut(picture: Tensor, box: CropBox) -> Tensor:
    left, top, right, bottom = _edges(box)
    return picture[:, top:bottom, left:right]


def picture_of_video(
    finished: Tensor, frames: Frames, longest_side: int, keyframe_sizes: list[tuple[int, int]]
) -> Tensor:
    """Return the finished picture as the video shows it: the part that the frames show, at the size of the video.

    Args:
        finished: (1, H, W, C) in [0, 1]; alpha is laid on white.
        frames: of the segments, in undo order.
        longest_side: the most that a side may have, in pixels; 0 for the frames' own size. The picture is never
            enlarged, but for one that is smaller than the frames, whose size is the least.
        keyframe_sizes: (width, height) that the keyframes may have had.

    Returns:
        (height, width, 3), a part of the picture's own pixels where it need not be resized.

    Raises:
        ValueError: several pictures, or something that is none.
    """
    picture = require_single_picture(finished, "finished")
    own = keyframe_size(0, 0, picture.shape[2], picture.shape[1])
    part = _cut(picture, shown_part(picture, frames[0], [*keyframe_sizes, own]))
    height, width = part.shape[1:3]
    scale = min(1.0, longest_side / max(height, width))
    size = round(width * scale), round(height * scale)
    if size[0] <= frames.width or size[1] <= frames.height:
        size = frames.width, frames.height
    return part[0] if size == (width, height) else resize_and_center_crop(part, *size)[0]


def is_first_finished(frames: Frames, picture: Tensor, order: str) -> bool:
    """Tell whether the first frame is the finished picture as a model has re-drawn it, or an earlier stage.

    Args:
        frames: in undo order, if `order` is right.
        picture: the finished picture as they show it, (H, W, 3) in [0, 1].
        order: the order that was chosen.

    Raises:
        ValueError: not the first but the last frame is the finished picture: the order is the other one.
    """
    small = resize_and_center_crop(picture[None], width=frames.width, height=frames.height)[0]
    first, last = (float((frames[i].to(small) - small).abs().mean()) for i in (0, -1))
    if last < _REDRAWN < first:
        other = ORDER_PAINTING if order == ORDER_UNDO else ORDER_UNDO
        raise ValueError(
            f'order is "{order}", but the finished picture is at the other end of the frames. Choose "{other}".'
        )
    return first < _REDRAWN


class FullSizeFrames(Frames):
    """Frames in undo order at the size of the finished picture, with that picture at their end.

    Args:
        source: the frames in undo order.
        picture: what frame 0 shows, (H, W, 3) in [0, 1], from `picture_of_video`.
        is_end_exact: frame 0 is the picture itself. In a video, which has a segment's frames at least, the frames before
            it (in painting order) pass into it: what the last of them lacks is added little by little, so that nothing
            jumps.
        enlarge: makes frames (H', W', 3) with sharp lines larger, to any size: an upscaling model.
    """

    def __init__(
        self,
        source: Frames,
        picture: Tensor,
        is_end_exact: bool = True,
        enlarge: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._source, self._picture, self._is_end_exact, self._enlarge = (
            source,
            picture,
            is_end_exact,
            enlarge,
        )
        self._detail: PictureDetail | None = None
        self._missing: Tensor | None = None
        self._ending = _ENDING if len(source) >= FRAMES_PER_SEGMENT else 1
        self.height, self.width = picture.shape[:2]

    def __len__(self) -> int:
        return len(self._source)

    def frame(self, index: int) -> Tensor:
        if not self._is_end_exact or index >= self._ending:
            return self._large(index)
        if index == 0:
            return self._picture
        if self._missing is None:
            # In half precision: it may be a large picture, and is itself a small difference.
            self._missing = (self._picture - self._large(1)).half()
        return torch.add(self._large(index), self._missing, alpha=1 - index / self._ending).clamp_(0, 1)

    @property
    def _is_own_size(self) -> bool:
        return (self.height, self.width) == (self._source.height, self._source.width)

    def _drawn(self, index: int) -> Tensor:
        # With ComfyUI's --gpu-only the frames are on the card, and a loaded picture is not.
        return self._source.frame(index).to(self._picture.device)

    def _large(self, index: int) -> Tensor:
        frame = self._drawn(index)
        if self._is_own_size:
            return frame
        if self._detail is None:
            count = len(self._source)
            chosen = (
                {round(1 + i * (count - 2) / (_SAMPLES - 1)) for i in range(_SAMPLES)} if count > 1 else ()
            )
            samples = [self._drawn(i) for i in sorted(chosen)]
            self._detail = PictureDetail(self._picture, (self._source.height, self._source.width), samples)
        return self._detail.carried_into(frame, self._enlarge(frame) if self._enlarge else None)
