"""Checkpoints in the released folder layout whose weights are numbers drawn from a seed.

They have the format and the structure of the real ones, and their output is noise: enough to run everything where the
real checkpoints are not at hand. The golden data of the tests were computed with exactly these weights.
"""

import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "data" / "golden"
SMALL, FULL_SIZE = GOLDEN / "configs.json", GOLDEN / "released_layout.json"
TAG = "dev-1"
MODELS = ("single_frame", "multi_frame")
# Parts whose weights have diffusers' file name; the others have the file name of transformers.
DIFFUSERS_PARTS = {"unet", "vae", "image_projection"}


def seeded_tensor(tag: str, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a float32 tensor of `shape`, a pure function of the arguments.

    RandomState is NumPy's frozen generator: its stream never changes between versions.
    """
    generator = np.random.RandomState(zlib.crc32(f"{tag}/{name}".encode()) & 0xFFFFFFFF)
    values = generator.standard_normal(size=shape).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(scaled(name, values), dtype=np.float32)).reshape(shape)


def scaled(name: str, values: np.ndarray) -> np.ndarray:
    """Scale unit normal numbers so that activations keep their size through the networks.

    Args:
        name: the tensor's name, which tells what it is.
        values: float32, in the tensor's shape.
    """
    if name.endswith("bias"):
        return 0.02 * values
    if any(part in name for part in ("embedding.weight", "class_embedding", "latents", "input_pos")):
        return 0.1 * values
    if values.ndim >= 2:
        return values / math.sqrt(math.prod(values.shape[1:]))  # by fan-in
    if name.endswith(("mix_factor", "alpha")):
        return values
    return 1.0 + 0.1 * values  # gains of normalisation layers


def listed_shapes(part: str, listing: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a part's tensors by name; the arguments are those of seeded_part."""
    shapes = json.loads(listing.read_text(encoding="utf-8"))["tensors"][part]
    return {name: tuple(shape) for name, shape in shapes.items()}


def seeded_part(part: str, listing: Path = SMALL, tag: str = TAG) -> dict[str, torch.Tensor]:
    """Return the weights of one part, float32.

    Args:
        part: such as "multi_frame.unet".
        listing: SMALL or FULL_SIZE, the tensors' names and shapes.
        tag: another tag gives other weights.
    """
    prefix = f"{tag}/{part.replace('.', '/')}"
    return {name: seeded_tensor(prefix, name, shape) for name, shape in listed_shapes(part, listing).items()}


def write_model(
    folder: Path,
    model: str,
    listing: Path,
    dtype: torch.dtype,
    make_part: Callable[[str], dict[str, torch.Tensor]],
) -> None:
    """Write one model in the released layout.

    Args:
        folder: the model's folder; its parts become sub-folders.
        model: "single_frame" or "multi_frame".
        listing: SMALL or FULL_SIZE.
        dtype: of the stored weights.
        make_part: returns the weights of a part such as "multi_frame.unet".
    """
    layout = json.loads(listing.read_text(encoding="utf-8"))
    for part in layout["tensors"]:
        if not part.startswith(f"{model}."):
            continue
        component = part.removeprefix(f"{model}.")
        target = folder / component
        target.mkdir(parents=True, exist_ok=True)
        stem = "diffusion_pytorch_model" if component in DIFFUSERS_PARTS else "model"
        weights = {name: tensor.to(dtype) for name, tensor in make_part(part).items()}
        save_file(weights, target / f"{stem}.safetensors", metadata={"format": "pt"})
        (target / "config.json").write_text(json.dumps(layout["configs"][part], indent=2), encoding="utf-8")


def write_seeded_checkpoints(
    models_dir: Path,
    *,
    name: str = "seeded",
    tag: str = TAG,
    dtype: torch.dtype = torch.float32,
    listing: Path = SMALL,
) -> tuple[Path, Path]:
    """Write both models in the released layout.

    Args:
        models_dir: ComfyUI's models folder; the checkpoints go into its sub-folder `paintsundo`.
        name: start of the two folders' names.
        tag: another tag gives other weights.
        dtype: of the stored weights.
        listing: SMALL (about 30 MB in float32), or FULL_SIZE (7.2 GB in float16).

    Returns:
        The folders `<name>_single_frame` and `<name>_multi_frame`.
    """
    single, multi = (models_dir / "paintsundo" / f"{name}_{model}" for model in MODELS)
    for model, folder in zip(MODELS, (single, multi), strict=True):
        write_model(folder, model, listing, dtype, lambda part: seeded_part(part, listing, tag))
    return single, multi
