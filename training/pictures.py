"""Pictures as tensors and back, the VAEs' training pictures, and sample sheets."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from .loop import draw
from .sequences import LAST_STEP, SequenceSource


def to_pixels(states: np.ndarray) -> Tensor:
    """Convert uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(states).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_states(pixels: Tensor) -> np.ndarray:
    """Convert (N, 3, H, W) in [-1, 1] to uint8 (N, H, W, 3); other values are clamped."""
    scaled = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round()
    return scaled.permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy()


def sheet(rows: Sequence[np.ndarray]) -> Image.Image:
    """Put rows of pictures, each uint8 (N, H, W, 3), one below the other; all pictures have one size."""
    return Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0))


class PictureSet:
    """States of many sequences in memory, grouped by size.

    Args:
        source: the sequences.
        count: number of sequences to take, or all where the source has fewer.
        states: number of states of each: the finished picture, and others at random operation steps.
        generator: draws the operation steps.
    """

    def __init__(self, source: SequenceSource, count: int, states: int, generator: torch.Generator) -> None:
        self.groups: dict[tuple[int, int], list[np.ndarray]] = {}
        for number in tqdm(range(min(count, len(source))), desc="pictures", unit="sequence"):
            steps = [0] + [draw(generator, LAST_STEP + 1) for _ in range(states - 1)]
            pictures = source.states(number, steps)
            height, width = pictures.shape[1:3]
            self.groups.setdefault((height, width), []).extend(pictures)

    def batch(self, count: int, crop: int, generator: torch.Generator) -> Tensor:
        """Draw pictures of one size: (count, 3, H, W) in [-1, 1].

        Args:
            count: number of pictures.
            crop: side of the random crops in pixels; 0: whole pictures.
            generator: draws the pictures and the crops.
        """
        sizes = sorted(self.groups)
        pictures = self.groups[sizes[draw(generator, len(sizes))]]
        chosen = [pictures[draw(generator, len(pictures))] for _ in range(count)]
        if crop:
            chosen = [random_crop(picture[None], crop, generator)[0] for picture in chosen]
        return to_pixels(np.stack(chosen))


def random_crop(states: np.ndarray, side: int, generator: torch.Generator) -> np.ndarray:
    """Cut the same random square out of all states (N, H, W, 3); its corner is a multiple of 8, as latents need."""
    height, width = states.shape[1:3]
    top, left = (8 * draw(generator, (size - side) // 8 + 1) for size in (height, width))
    return np.ascontiguousarray(states[:, top : top + side, left : left + side])
