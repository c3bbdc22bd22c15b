"""Checkpoints in the released folder layout whose weights are numbers drawn from a seed.

They have the format and the structure of the real ones and compute noise: enough to run everything where the real
checkpoints are not at hand. The golden data of the tests were computed with exactly these weights.
"""

import json
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "data" / "golden"
SMALL, FULL_SIZE = GOLDEN / "configs.json", GOLDEN / "released_layout.json"
TAG = "dev-1"
# Sub-folders that hold a diffusers model; the others are named as transformers names them.
DIFFUSERS_PARTS = {"unet", "vae", "image_projection"}


def seeded_tensor(tag: str, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """float32 tensor of `shape`, a pure function of the arguments.

    RandomState is NumPy's frozen generator: its stream never changes between versions. Scales are such that
    activations keep their size through the networks.
    """
    generator = np.random.RandomState(zlib.crc32(f"{tag}/{name}".encode()) & 0xFFFFFFFF)
    values = generator.standard_normal(size=shape).astype(np.float32)
    if name.endswith("bias"):
        values = 0.02 * values
    elif any(part in name for part in ("embedding.weight", "class_embedding", "latents", "input_pos")):
        values = 0.1 * values
    elif len(shape) <= 1 and not name.endswith(("mix_factor", "alpha")):
        values = 1.0 + 0.1 * values  # gains of normalisation layers
    elif len(shape) >= 2:
        values = values / math.sqrt(math.prod(shape[1:]))  # by fan-in
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).reshape(shape)


def seeded_part(part: str, listing: Path = SMALL, tag: str = TAG) -> dict[str, torch.Tensor]:
    """Weights of one part, float32.

    Args:
        part: such as "multi_frame.unet".
        listing: SMALL or FULL_SIZE, the tensors' names and shapes.
        tag: another one gives other weights.
    """
    shapes = json.loads(listing.read_text(encoding="utf-8"))["tensors"][part]
    prefix = f"{tag}/{part.replace('.', '/')}"
    return {name: seeded_tensor(prefix, name, tuple(shape)) for name, shape in shapes.items()}


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
        models_dir: ComfyUI's models folder; they go into its sub-folder `paintsundo`.
        name: start of the two folders' names.
        tag: another one gives other weights.
        dtype: of the stored weights.
        listing: SMALL (about 30 MB in float32), or FULL_SIZE (7.2 GB in float16).

    Returns:
        The folders `<name>_single_frame` and `<name>_multi_frame`.
    """
    layout = json.loads(listing.read_text(encoding="utf-8"))
    folders = {}
    for part in layout["tensors"]:
        model, component = part.split(".")
        folders[model] = models_dir / "paintsundo" / f"{name}_{model}"
        folder = folders[model] / component
        folder.mkdir(parents=True, exist_ok=True)
        stem = "diffusion_pytorch_model" if component in DIFFUSERS_PARTS else "model"
        weights = {key: value.to(dtype) for key, value in seeded_part(part, listing, tag).items()}
        save_file(weights, folder / f"{stem}.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(layout["configs"][part], indent=2), encoding="utf-8")
    return folders["single_frame"], folders["multi_frame"]
