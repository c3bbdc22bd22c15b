"""CLIP ViT-H/14 for pictures of any aspect ratio, on ComfyUI's own CLIP_VISION object.

Computes what Paints-UNDO's diffusers_vdm/improved_clip_vision.py computes (own code): the picture keeps its aspect
ratio, and the learned square grid of position embeddings is resized to the picture's grid of patches.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comfy.clip_vision
import comfy.model_management
import comfy.ops
import torch
import torch.nn.functional as F
from torch import Tensor

from ..checkpoints.files import check_tensors
from ..errors import UnsupportedCheckpointError
from .patchers import shapes_of, shapes_of_network

HEAD_WIDTH = 80
"""Channels of one attention head in ViT-H; used if no config.json tells the number of heads."""

_LAYER = "vision_model.encoder.layers."
_POSITION_IDS = "vision_model.embeddings.position_ids"


def encode_any_aspect(clip_vision: comfy.clip_vision.ClipVisionModel, image: Tensor) -> Tensor:
    """Encode pictures without cropping them.

    Args:
        clip_vision: a CLIP_VISION with a class token (any CLIP ViT; the released one is ViT-H/14).
        image: (B, H, W, C) in [0, 1], C at least 3.

    Returns:
        (B, 1 + N, D) float32: all tokens of the last hidden state, before the final layer norm. N is the number of
        patches: 16 along the shorter side times 16 * aspect ratio (rounded) along the longer side.

    Raises:
        UnsupportedCheckpointError: `clip_vision` belongs to another family (SigLIP, DINO).
    """
    model = clip_vision.model
    vision: Any = getattr(model, "vision_model", None)
    if getattr(getattr(vision, "embeddings", None), "class_embedding", None) is None:
        raise UnsupportedCheckpointError(
            f"This CLIP_VISION is a {type(model).__name__} without a class token. The multi-frame model "
            "needs a CLIP ViT-H/14: use the CLIP_VISION output of the multi-frame loader."
        )
    comfy.model_management.load_model_gpu(clip_vision.patcher)
    embeddings = vision.embeddings
    pixels = image[..., :3].to(clip_vision.load_device, torch.float32).movedim(-1, 1)
    grid_side = round((embeddings.position_embedding.num_embeddings - 1) ** 0.5)
    pixels = _resize_to_patches(pixels, grid_side, embeddings.patch_embedding.stride[0])
    mean, std = (
        torch.tensor(v, device=pixels.device)[:, None, None]
        for v in (clip_vision.image_mean, clip_vision.image_std)
    )
    patches = embeddings.patch_embedding((pixels - mean) / std)  # (B, D, h, w)

    # These weights are used without a layer that would move them to the device and dtype of the input.
    positions = comfy.ops.cast_to_input(embeddings.position_embedding.weight, patches)
    grid = positions[1:].T.reshape(1, -1, grid_side, grid_side)
    patches = patches + F.interpolate(grid, size=patches.shape[-2:], mode="nearest")
    first = comfy.ops.cast_to_input(embeddings.class_embedding, patches) + positions[0]
    tokens = torch.cat([first.expand(len(patches), 1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
    tokens = vision.encoder(vision.pre_layrnorm(tokens), mask=None, intermediate_output=None)[0]
    return tokens.to(comfy.model_management.intermediate_device())


def _resize_to_patches(pixels: Tensor, grid_side: int, patch: int) -> Tensor:
    """Resize (B, 3, H, W) so that the shorter side has `grid_side` patches and both sides are whole patches."""
    scale = grid_side / min(pixels.shape[-2:])
    size = [patch * round(scale * side) for side in pixels.shape[-2:]]
    return F.interpolate(pixels, size=size, mode="bicubic", antialias=True)


def clip_vision_config(
    state_dict: Mapping[str, Tensor], config: Mapping[str, object] | None = None
) -> dict[str, object]:
    """Return ComfyUI's configuration of a CLIP vision model, derived from tensor shapes.

    Args:
        state_dict: tensors (or anything with a shape), named as in transformers' CLIPVisionModelWithProjection.
        config: the checkpoint's config.json, if there is one. Only the number of heads and the activation are taken
            from it, because no shape tells them; without it those of ViT-H are assumed.

    Raises:
        UnsupportedCheckpointError: a tensor that every CLIP vision model has is missing.
    """
    config = config or {}
    names = {
        "patch": "vision_model.embeddings.patch_embedding.weight",
        "position": "vision_model.embeddings.position_embedding.weight",
        "fc1": f"{_LAYER}0.mlp.fc1.weight",
    }
    missing = [name for name in names.values() if name not in state_dict]
    if missing:
        raise UnsupportedCheckpointError(
            f"This is not a CLIP vision model: {', '.join(missing)} not found among {len(state_dict)} tensors. Use the "
            "image_encoder of the multi-frame checkpoint."
        )
    shape = {key: tuple(state_dict[name].shape) for key, name in names.items()}
    width, channels, patch, _ = shape["patch"]
    result = {
        "model_type": "clip_vision_model",
        "hidden_size": width,
        "num_channels": channels,
        "patch_size": patch,
        "image_size": patch * round((shape["position"][0] - 1) ** 0.5),
        "intermediate_size": shape["fc1"][0],
        "num_hidden_layers": len({name.split(".")[3] for name in state_dict if name.startswith(_LAYER)}),
        "num_attention_heads": config.get("num_attention_heads", max(1, width // HEAD_WIDTH)),
        "hidden_act": config.get("hidden_act", "gelu"),
    }
    if "visual_projection.weight" in state_dict:
        result["projection_dim"] = state_dict["visual_projection.weight"].shape[0]
    return result


def build_clip_vision(
    state_dict: Mapping[str, Tensor],
    config: Mapping[str, object],
    path: Path,
    dtype: torch.dtype | None = None,
) -> comfy.clip_vision.ClipVisionModel:
    """Build ComfyUI's CLIP_VISION object in the size of these tensors, and fill it strictly.

    Args:
        state_dict: as for `clip_vision_config`.
        config: as for `clip_vision_config`.
        path: the checkpoint's path, for error messages.
        dtype: type in which the weights are kept; None: ComfyUI's choice, which is half precision on a CPU too.

    Raises:
        UnsupportedCheckpointError: the tensors do not belong to a CLIP vision model.
        CheckpointMismatchError: tensors are missing, unexpected or of another shape.
    """
    tensors = {name: tensor for name, tensor in state_dict.items() if name != _POSITION_IDS}
    derived = clip_vision_config(tensors, config)
    # ComfyUI's constructor reads its configuration from a JSON file.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.json"
        file.write_text(json.dumps(derived), encoding="utf-8")
        clip_vision = comfy.clip_vision.ClipVisionModel(str(file))
    if dtype is not None:
        clip_vision.dtype = dtype
        clip_vision.model.to(dtype)
    check_tensors("image_encoder", path, shapes_of_network(clip_vision.model), shapes_of(tensors))
    clip_vision.load_sd(tensors)
    return clip_vision
