"""Where painting sequences come from: the procedural painter, or a folder of recordings. All in operation steps.

A sequence answers "how did the picture look s undos ago": step 0 is the finished picture, 999 the first stroke. The
white canvas before it is step CANVAS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageOps

from tools.pictures import load_picture

CANVAS = 1000
LAST_STEP = 999

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi")


class SequenceSource(Protocol):
    """A numbered collection of painting sequences."""

    def __len__(self) -> int: ...

    def states(self, index: int, steps: Sequence[int]) -> np.ndarray:
        """The pictures of sequence `index` at these steps, 0 to CANVAS: uint8 (N, H, W, 3), H and W one of the sizes."""
        ...


@dataclass(frozen=True)
class ProceduralSequences:
    """Sequences of the procedural painter: number i is seed first_seed + i, and the sizes take turns."""

    first_seed: int
    count: int
    sizes: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return self.count

    def of_first_size(self, count: int) -> range:
        """The first `count` indices of sequences of the first size, which can be shown on one sheet."""
        return range(0, count * len(self.sizes), len(self.sizes))

    def states(self, index: int, steps: Sequence[int]) -> np.ndarray:
        # here, because only this source needs the drawing library
        from .scenes import Painting

        height, width = self.sizes[index % len(self.sizes)]
        painting = Painting(self.first_seed + index, width, height)
        return with_canvas(painting.states([min(step, LAST_STEP) for step in steps]), steps)


def with_canvas(states: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """The states with those at CANVAS made white."""
    states[np.asarray(steps) >= CANVAS] = 255
    return states


class RecordedSequences:
    """Recordings of real drawing: each entry of a folder is a sub-folder of pictures in the order of their names, or a video.

    The first picture is near the blank canvas, the last one is finished; the steps between are spread evenly over them.

    Args:
        folder: holds the recordings.
        sizes: (height, width) to choose from; each recording takes the one nearest to its shape.

    Raises:
        ValueError: there is no recording in it.
    """

    def __init__(self, folder: Path, sizes: tuple[tuple[int, int], ...]) -> None:
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        self.recordings = [
            entry for entry in entries if len(_frame_files(entry)) > 1 or entry.suffix.lower() in VIDEOS
        ]
        self.sizes = sizes
        if not self.recordings:
            raise ValueError(
                f"There are no recordings in {folder}. Put one sub-folder of numbered pictures a drawing into it "
                f"(two at least, oldest first; {', '.join(PICTURES)}), or videos ({', '.join(VIDEOS)})."
            )

    def __len__(self) -> int:
        return len(self.recordings)

    def states(self, index: int, steps: Sequence[int]) -> np.ndarray:
        recording = self.recordings[index]
        files = _frame_files(recording)
        count = len(files) or _count_video_frames(recording)
        wanted = [frame_of_step(step, count) for step in steps]
        if files:
            pictures = [load_picture(files[frame]) for frame in wanted]
        else:
            read = _read_video_frames(recording, set(wanted))
            pictures = [read[frame] for frame in wanted]
        size = nearest_size(pictures[0].height, pictures[0].width, self.sizes)
        fitted = [ImageOps.fit(picture, size[::-1], Image.Resampling.LANCZOS) for picture in pictures]
        return with_canvas(np.stack([np.asarray(picture) for picture in fitted]), steps)


def frame_of_step(step: int, count: int) -> int:
    """Which of `count` frames in painting order shows a step: the last one step 0, the first one LAST_STEP."""
    return round((1 - min(step, LAST_STEP) / LAST_STEP) * (count - 1))


def nearest_size(height: int, width: int, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The size whose shape is nearest to height x width."""
    return min(sizes, key=lambda size: abs(height * size[1] - width * size[0]) / (size[0] * size[1]))


def _frame_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)


def _count_video_frames(file: Path) -> int:
    return imageio_ffmpeg.count_frames_and_secs(file)[0]


def _read_video_frames(file: Path, wanted: set[int]) -> dict[int, Image.Image]:
    # As they are stored: for a constant rate ffmpeg would repeat the frame that stands while the painter pauses.
    frames = imageio_ffmpeg.read_frames(str(file), output_params=["-fps_mode", "passthrough"])
    width, height = next(frames)["size"]
    read: dict[int, Image.Image] = {}
    last = b""
    for number, last in enumerate(frames):
        if number in wanted:
            read[number] = Image.frombytes("RGB", (width, height), last)
        if len(read) == len(wanted):
            break
    frames.close()
    # a container may promise a frame more than it holds
    return {
        number: read[number] if number in read else Image.frombytes("RGB", (width, height), last)
        for number in wanted
    }
