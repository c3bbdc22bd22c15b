"""Frames of a video as sequences that make one frame at a time, so that memory does not grow with their number.

A stage of the video (order, holds, full size, marks, ...) is a function from `Frames` to `Frames`; `assembly` puts the
stages together, and the encoder asks for frame after frame.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..pictures.inputs import composite_on_white


class Frames(Sequence[Tensor]):
    """A sequence of frames, each made when it is asked for: (H, W, 3) in [0, 1], all of one size.

    Attributes:
        height: of each frame, in pixels.
        width: of each frame, in pixels.
    """

    height: int
    width: int

    @abstractmethod
    def frame(self, index: int) -> Tensor:
        """Return frame `index`, 0 to len - 1; not to be written into, it may be the source's own memory."""

    def __getitem__(self, index: int) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return one frame; negative numbers count from the end.

        Raises:
            IndexError: there is no such frame.
        """
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"There are {count} frames; asked for number {index}.")
        return self.frame(index % count)

    def batch(self) -> Tensor:
        """Return all frames as one new tensor (T, H, W, 3), of the first frame's dtype, in main memory."""
        recorded = RecordedFrames(self)
        for _ in recorded:
            pass
        return recorded.images


class BatchFrames(Frames):
    """The frames of a tensor that exists already: (T, H, W, C), 1, 3 or 4 channels; alpha is laid on white.

    Raises:
        ValueError: it has another shape.
    """

    def __init__(self, images: Tensor) -> None:
        composite_on_white(images[:1])  # refuses what has no picture's shape before the first frame is wanted
        self._images = images
        self.height, self.width = images.shape[1:3]

    def __len__(self) -> int:
        return len(self._images)

    def frame(self, index: int) -> Tensor:
        return composite_on_white(self._images[index : index + 1])[0]


class JoinedFrames(Frames):
    """Several sequences of one size, one after the other."""

    def __init__(self, pieces: Sequence[Frames]) -> None:
        self._places = [(piece, i) for piece in pieces for i in range(len(piece))]
        self.height, self.width = pieces[0].height, pieces[0].width

    def __len__(self) -> int:
        return len(self._places)

    def frame(self, index: int) -> Tensor:
        piece, place = self._places[index]
        return piece.frame(place)


class MappedFrames(Frames):
    """Each frame of a sequence put through a function of the frame and its index.

    Args:
        source: where the frames come from.
        function: from (H, W, 3) and the frame's index to the new frame; must not write into the frame.
        size: (height, width) of the new frames; None where the function keeps the size.
    """

    def __init__(
        self, source: Frames, function: Callable[[Tensor, int], Tensor], size: tuple[int, int] | None = None
    ) -> None:
        self._source, self._function = source, function
        self.height, self.width = size or (source.height, source.width)

    def __len__(self) -> int:
        return len(self._source)

    def frame(self, index: int) -> Tensor:
        return self._function(self._source.frame(index), index)


class TimedFrames(Frames):
    """The frames of a sequence in another timing: each place shows one frame, or a blend of two neighbours.

    The last two frames of the source are kept, so that one that stands still, or is blended with its two neighbours in
    turn, is made once.

    Args:
        source: where the frames come from.
        positions: one for each new frame, 0 to len(source) - 1; at 2.25 three quarters of frame 2 and a quarter of
            frame 3 are shown.
    """

    def __init__(self, source: Frames, positions: Sequence[float]) -> None:
        self._source, self._positions = source, positions
        self._kept: dict[int, Tensor] = {}
        self.height, self.width = source.height, source.width

    def __len__(self) -> int:
        return len(self._positions)

    def frame(self, index: int) -> Tensor:
        position = self._positions[index]
        first = int(position)
        share = position - first
        if share == 0:
            return self._made(first)
        return torch.lerp(self._made(first), self._made(first + 1), share)

    def _made(self, index: int) -> Tensor:
        frame = self._kept.pop(index, None)
        if frame is None:
            frame = self._source.frame(index)
            if len(self._kept) > 1:
                del self._kept[next(iter(self._kept))]
        self._kept[index] = frame  # the newest last
        return frame


class RecordedFrames(Frames):
    """The frames of a sequence, kept in one tensor as they are made.

    Attributes:
        images: (T, H, W, 3) in main memory; whole when each frame has been asked for.
    """

    def __init__(self, source: Frames) -> None:
        self._source = source
        self.height, self.width = source.height, source.width
        self.images = torch.empty(len(source), self.height, self.width, 3, dtype=source[0].dtype)

    def __len__(self) -> int:
        return len(self._source)

    def frame(self, index: int) -> Tensor:
        frame = self._source.frame(index)
        self.images[index].copy_(frame)
        return frame


def as_frames(frames: Frames | Tensor) -> Frames:
    """Return a tensor (T, H, W, 3) as `Frames`, and `Frames` as they are."""
    return frames if isinstance(frames, Frames) else BatchFrames(frames)
