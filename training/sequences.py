"""The two sources of painting sequences: the procedural painter, and a folder of recordings.

A sequence has a state for each operation step: step 0 is the finished picture, step 999 shows the first stroke, and
step CANVAS is the white canvas before it.
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
        """Return sequence `index` at these operation steps, 0 to CANVAS: uint8 (N, H, W, 3).

        H and W are one of the sizes that the source was made with.
        """
        ...


@dataclass(frozen=True)
class ProceduralSequences:
    """Sequences of the procedural painter: sequence i has the seed first_seed + i and size i % len(sizes)."""

    first_seed: int
    count: int
    sizes: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return self.count

    def of_first_size(self, count: int) -> range:
        """Return the first `count` indices of sequences of the first size; a sheet needs pictures of one size."""
        return range(0, count * len(self.sizes), len(self.sizes))

    def states(self, index: int, steps: Sequence[int]) -> np.ndarray:
        # Imported here, because only this source needs the drawing library (skia).
        from .scenes import Painting

        height, width = self.sizes[index % len(self.sizes)]
        painting = Painting(self.first_seed + index, width, height)
        return with_canvas(painting.states([min(step, LAST_STEP) for step in steps]), steps)


def with_canvas(states: np.ndarray, steps: Sequence[int]) -> np.ndarray:
    """Make the states at step CANVAS white, in place, and return all states."""
    states[np.asarray(steps) >= CANVAS] = 255
    return states


class RecordedSequences:
    """Recordings of real drawing: sub-folders of pictures in the order of their names, and videos.

    In each recording the first picture is near the blank canvas and the last one is finished. The operation steps are
    spread evenly over its pictures.

    Args:
        folder: the folder of the recordings.
        sizes: (height, width); each recording is scaled to the size whose aspect ratio is nearest to its own.

    Raises:
        ValueError: there is no recording in the folder.
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
        height, width = nearest_size(pictures[0].height, pictures[0].width, self.sizes)
        fitted = [ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS) for picture in pictures]
        return with_canvas(np.stack([np.asarray(picture) for picture in fitted]), steps)


def frame_of_step(step: int, count: int) -> int:
    """Return which of `count` frames in painting order shows an operation step: the last frame shows step 0."""
    return round((1 - min(step, LAST_STEP) / LAST_STEP) * (count - 1))


def nearest_size(height: int, width: int, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the size whose aspect ratio is nearest to that of height x width."""
    return min(sizes, key=lambda size: abs(height * size[1] - width * size[0]) / (size[0] * size[1]))


def _frame_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)


def _count_video_frames(file: Path) -> int:
    frames, _ = imageio_ffmpeg.count_frames_and_secs(file)
    return int(frames or 0)


def _read_video_frames(file: Path, wanted: set[int]) -> dict[int, Image.Image]:
    # passthrough: at a constant frame rate ffmpeg would repeat a frame for as long as the painter pauses.
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
    # A container may announce one frame more than it holds; the last frame then stands for it.
    return {
        number: read[number] if number in read else Image.frombytes("RGB", (width, height), last)
        for number in wanted
    }
