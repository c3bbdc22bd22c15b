"""Pictures for the VAEs' stages and for sample sheets, and what both need: pixels as tensors, sheets."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from .loop import draw
from .sequences import LAST_STEP, SequenceSource


def to_pixels(states: np.ndarray) -> Tensor:
    """uint8 (N, H, W, 3) -> float32 (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(states).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_states(pixels: Tensor) -> np.ndarray:
    """(N, 3, H, W) in [-1, 1] -> uint8 (N, H, W, 3)."""
    scaled = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round()
    return scaled.permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy()


def sheet(rows: Sequence[np.ndarray]) -> Image.Image:
    """Rows of pictures, each uint8 (N, H, W, 3); all pictures of one size."""
    return Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0))


class PictureSet:
    """States of many sequences in memory: of each the finished picture and some others, grouped by size."""

    def __init__(self, source: SequenceSource, count: int, states: int, generator: torch.Generator) -> None:
        self.groups: dict[tuple[int, int], list[np.ndarray]] = {}
        for number in tqdm(range(min(count, len(source))), desc="pictures", unit="sequence"):
            steps = [0] + [draw(generator, LAST_STEP + 1) for _ in range(states - 1)]
            pictures = source.states(number, steps)
            self.groups.setdefault(pictures.shape[1:3], []).extend(pictures)

    def batch(self, count: int, crop: int, generator: torch.Generator) -> Tensor:
        """Pixels of `count` pictures of one size, (N, 3, H, W); crop: side of the random crops, 0 for whole ones."""
        sizes = sorted(self.groups)
        pictures = self.groups[sizes[draw(generator, len(sizes))]]
        chosen = [pictures[draw(generator, len(pictures))] for _ in range(count)]
        if crop:
            chosen = [random_crop(picture[None], crop, generator)[0] for picture in chosen]
        return to_pixels(np.stack(chosen))


def random_crop(states: np.ndarray, side: int, generator: torch.Generator) -> np.ndarray:
    """The same square out of all states (N, H, W, 3), its corner a multiple of 8 so that latents can be cut alike."""
    height, width = states.shape[1:3]
    top, left = (8 * draw(generator, (size - side) // 8 + 1) for size in (height, width))
    return np.ascontiguousarray(states[:, top : top + side, left : left + side])
