"""Full-size checkpoints in seconds, in the released layout; their output is noise.

tools/seeded_checkpoint.py draws every number anew from NumPy's frozen generator, which takes minutes at full size.
Here one block of numbers is drawn, and each tensor is a stretch of it that begins at a place of its own. No golden data
belong to these weights.
"""

import functools
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tools.seeded_checkpoint import listed_shapes, scaled, write_model

BLOCK = 4_194_301  # prime, so that no two rows of a matrix are alike


@functools.cache
def _block() -> np.ndarray:
    return np.random.RandomState(0).standard_normal(BLOCK).astype(np.float32)


def quick_tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return a float32 tensor of `shape`, scaled by its name so that activations keep their size."""
    count, start = math.prod(shape), zlib.crc32(name.encode()) % BLOCK
    repeats = -(-(start + count) // BLOCK)
    numbers = _block() if repeats == 1 else np.tile(_block(), repeats)
    values = scaled(name, numbers[start : start + count].reshape(shape))
    return torch.from_numpy(np.array(values, dtype=np.float32))


def quick_part(part: str, listing: Path) -> dict[str, Tensor]:
    """Return the weights of one part, float32; the arguments are those of seeded_checkpoint.seeded_part."""
    return {name: quick_tensor(name, shape) for name, shape in listed_shapes(part, listing).items()}


def write_checkpoint(folder: Path, model: str, listing: Path, dtype: torch.dtype) -> Path:
    """Write one model in the released layout into a new folder; return the folder.

    Args:
        folder: to make the new folder in.
        model: "single_frame" or "multi_frame".
        listing: SMALL or FULL_SIZE of tools.seeded_checkpoint.
        dtype: of the stored weights; 7.2 GB for both full-size models in float16.
    """
    target = folder / model
    write_model(target, model, listing, dtype, lambda part: quick_part(part, listing))
    return target
