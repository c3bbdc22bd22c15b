"""Checkpoints of any size in seconds, in the released layout: numbers from a seed that compute noise.

tools/seeded_checkpoint.py draws every number anew from NumPy's frozen generator, which takes minutes at full size.
Here one block of numbers is drawn, and each tensor begins somewhere else in it. No golden data belong to these.
"""

import functools
import json
import math
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from tools.seeded_checkpoint import DIFFUSERS_PARTS

BLOCK = 4_194_301  # prime, so that no two rows of a matrix are alike


@functools.cache
def _block() -> Tensor:
    return torch.randn(BLOCK, generator=torch.Generator().manual_seed(0))


def quick_tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    """float32 tensor of `shape`, scaled by its name and fan-in so that activations keep their size."""
    count, start = math.prod(shape), zlib.crc32(name.encode()) % BLOCK
    values = _block().repeat(-(-(start + count) // BLOCK))[start : start + count].reshape(shape)
    if name.endswith("bias"):
        return values * 0.02
    if any(word in name for word in ("embedding.weight", "class_embedding", "latents", "input_pos")):
        return values * 0.1
    if len(shape) < 2:  # gains of norms, mixing factors
        return values * 0.1 + (0.0 if name.endswith(("mix_factor", "alpha")) else 1.0)
    return values / math.sqrt(math.prod(shape[1:]))


def quick_part(part: str, listing: Path) -> dict[str, Tensor]:
    """Weights of one part, float32.

    Args:
        part: such as "multi_frame.unet".
        listing: JSON with the tensors' names and shapes, see tools.seeded_checkpoint.
    """
    shapes = json.loads(listing.read_text(encoding="utf-8"))["tensors"][part]
    return {name: quick_tensor(name, tuple(shape)) for name, shape in shapes.items()}


def write_checkpoint(folder: Path, model: str, listing: Path, dtype: torch.dtype) -> Path:
    """Write one model in the released layout into a new folder; return the folder.

    Args:
        folder: to make it in.
        model: "single_frame" or "multi_frame".
        listing: as for quick_part.
        dtype: of the stored weights; 7.2 GB for both full-size models in float16.
    """
    layout = json.loads(listing.read_text(encoding="utf-8"))
    for part in layout["tensors"]:
        if not part.startswith(f"{model}."):
            continue
        component = part.removeprefix(f"{model}.")
        target = folder / model / component
        target.mkdir(parents=True)
        stem = "diffusion_pytorch_model" if component in DIFFUSERS_PARTS else "model"
        tensors = {name: tensor.to(dtype) for name, tensor in quick_part(part, listing).items()}
        save_file(tensors, target / f"{stem}.safetensors", metadata={"format": "pt"})
        (target / "config.json").write_text(json.dumps(layout["configs"][part]), encoding="utf-8")
    return folder / model
