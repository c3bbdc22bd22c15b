"""The demo's checkpoints in the layout of the released ones, as the original program reads them.

The original finds its models by their names on the hub. Folders with these names in its working directory stand for them.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from paintsundo_models.checkpoints import detection
from paintsundo_models.checkpoints.files import Checkpoint, read_checkpoint
from paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from paintsundo_models.host.text import MAX_TOKENS
from paintsundo_models.multi_frame.unet import UNet3DParams
from tools.seeded_checkpoint import FULL_SIZE

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "paintsundo_models" / "demo"
FOLDERS = {
    SINGLE_FRAME: "lllyasviel/paints_undo_single_frame",
    MULTI_FRAME: "lllyasviel/paints_undo_multi_frame",
}
OPERATION_LAYER = "add_embedding.linear_1.weight"
# diffusers' classes look for this name, and transformers' and the hub's mixin for the other one.
DIFFUSERS_FILE, OTHER_FILE = "diffusion_pytorch_model.safetensors", "model.safetensors"
DIFFUSERS_PARTS = {(SINGLE_FRAME, "unet"), (SINGLE_FRAME, "vae")}


def read_demo() -> dict[str, Checkpoint]:
    """Return both demo checkpoints, by their kind."""
    return {kind: read_checkpoint(DEMO / f"{kind}.safetensors", kind) for kind in FOLDERS}


def export(checkpoints: dict[str, Checkpoint], tokenizer: Path, folder: Path) -> None:
    """Write two checkpoints as the two folders that the original loads, in float32.

    Args:
        checkpoints: by their kind; of any size, with the released tensor names.
        tokenizer: folder with the files of CLIP's tokenizer, such as ComfyUI's.
        folder: the original's working directory.
    """
    for kind, checkpoint in checkpoints.items():
        target = folder / FOLDERS[kind]
        for part, tensors in checkpoint.parts.items():
            (target / part).mkdir(parents=True)
            name = DIFFUSERS_FILE if (kind, part) in DIFFUSERS_PARTS else OTHER_FILE
            whole = {key: tensor.to(torch.float32).contiguous() for key, tensor in tensors.items()}
            save_file(whole, target / part / name, metadata={"format": "pt"})
            config = part_config(kind, part, checkpoint)
            (target / part / "config.json").write_text(json.dumps(config), encoding="utf-8")
        copy_tokenizer(tokenizer, target / "tokenizer", kind)


def copy_tokenizer(source: Path, target: Path, kind: str) -> None:
    """Copy CLIP's tokenizer with the released settings: 77 tokens; the multi-frame model's pads with the id 0, which is "!"."""
    shutil.copytree(source, target)
    changes: dict[str, Any] = {"model_max_length": MAX_TOKENS}
    if kind == MULTI_FRAME:
        changes["pad_token"] = "!"
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        settings = json.loads((target / name).read_text(encoding="utf-8"))
        (target / name).write_text(json.dumps({**settings, **changes}), encoding="utf-8")


def operation_width(single_frame: Checkpoint) -> int:
    """Return the width of the operation step's embedding, which the original's code has as 1280."""
    return single_frame.parts["unet"][OPERATION_LAYER].shape[0]


def part_config(kind: str, part: str, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the config.json of a part: the released one, with the sizes that its tensors have."""
    listed = json.loads(FULL_SIZE.read_text(encoding="utf-8"))["configs"]
    tensors, own = checkpoint.parts[part], checkpoint.configs[part]
    if part in ("text_encoder", "image_encoder"):
        sizes = own
    elif part == "image_projection":
        sizes = _projection_sizes(tensors, own)
    elif part == "unet":
        sizes = (
            _image_unet_sizes(tensors, own)
            if kind == SINGLE_FRAME
            else _video_unet_sizes(detection.video_unet_params(tensors))
        )
    else:
        sizes = _image_vae_sizes(tensors) if kind == SINGLE_FRAME else _video_vae_sizes(tensors)
    return {**listed[f"{kind.replace('-', '_')}.{part}"], **sizes}


def _image_unet_sizes(tensors: dict[str, Tensor], own: dict) -> dict[str, Any]:
    config = detection.single_frame_unet_config(tensors, own)
    return {
        "block_out_channels": [config["model_channels"] * factor for factor in config["channel_mult"]],
        "layers_per_block": config["num_res_blocks"][0],
        "cross_attention_dim": config["context_dim"],
        "attention_head_dim": config["num_heads"],
    }


def _image_vae_sizes(tensors: dict[str, Tensor]) -> dict[str, Any]:
    config = detection.image_vae_config(tensors)["ddconfig"]
    return {
        "block_out_channels": [config["ch"] * factor for factor in config["ch_mult"]],
        "layers_per_block": config["num_res_blocks"],
    }


def _video_unet_sizes(params: UNet3DParams) -> dict[str, Any]:
    return {
        "model_channels": params.model_channels,
        "channel_mult": list(params.channel_mult),
        "num_res_blocks": params.blocks_per_level,
        "attention_resolutions": [
            2**level for level, attends in reversed(list(enumerate(params.attention_levels))) if attends
        ],
        "num_head_channels": params.head_channels,
        "context_dim": params.context_dim,
        "image_cross_attention_scale_learnable": params.learned_image_scale,
    }


def _video_vae_sizes(tensors: dict[str, Tensor]) -> dict[str, Any]:
    params = detection.video_vae_params(tensors)
    return {"ch": params.ch, "ch_mult": list(params.ch_mult), "num_res_blocks": params.num_res_blocks}


def _projection_sizes(tensors: dict[str, Tensor], own: dict) -> dict[str, Any]:
    params = detection.projection_params(tensors, own)
    names = ("dim", "depth", "dim_head", "heads", "num_queries", "embedding_dim", "output_dim", "ff_mult")
    return {name: getattr(params, name) for name in names}
