"""Export of trained weights: checkpoints in the released folder layout, and as the pack's single files."""

import json
from pathlib import Path

import comfy.utils
import torch
from comfy.diffusers_convert import vae_conversion_map
from safetensors.torch import save_file
from torch import Tensor, nn

from paintsundo_models.checkpoints.files import read_checkpoint, save_single_file
from paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from paintsundo_models.constants import FRAMES_PER_SEGMENT, TRAINED_SIZES_KEY
from paintsundo_models.host.multi_frame import PROJECTION_PREFIX
from paintsundo_models.multi_frame.vae import KEY_RENAMES

from . import encoders
from .networks import PROJECTION_HEAD_CHANNELS, single_frame_config
from .settings import Networks, Settings

VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
"""Layers of the image VAE's attention: ComfyUI's name -> the name in diffusers."""


def export_single_frame(settings: Settings, vae: nn.Module, unet: nn.Module, folder: Path) -> Path:
    """Write the single-frame model as a folder of float32 parts and a single float16 file; return the file."""
    networks = settings.networks
    parts = {
        "vae": (
            {name: _as_linear(name, tensor) for name, tensor in renamed(vae, image_vae_names(vae)).items()},
            {TRAINED_SIZES_KEY: settings.sizes},
        ),
        "unet": (
            renamed(unet, single_frame_names(networks)),
            {"in_channels": 8, "out_channels": 4, "attention_head_dim": networks.unet_heads},
        ),
        "text_encoder": (
            encoders.text_encoder_tensors(networks, SINGLE_FRAME),
            encoders.text_config(networks, SINGLE_FRAME),
        ),
    }
    return write_checkpoint(parts, folder, SINGLE_FRAME)


def export_multi_frame(settings: Settings, vae: nn.Module, unet: nn.Module, folder: Path) -> Path:
    """Write the multi-frame model as a folder of float32 parts and a single float16 file; return the file."""
    networks = settings.networks
    weights = unet.state_dict()
    projection = {
        name.removeprefix(PROJECTION_PREFIX): weights.pop(name)
        for name in list(weights)
        if name.startswith(PROJECTION_PREFIX)
    }
    parts = {
        "vae": (renamed(vae, video_vae_names(vae)), {TRAINED_SIZES_KEY: settings.sizes}),
        "unet": (weights, {}),
        "image_projection": (
            projection,
            {"video_length": FRAMES_PER_SEGMENT, "dim_head": PROJECTION_HEAD_CHANNELS},
        ),
        "text_encoder": (
            encoders.text_encoder_tensors(networks, MULTI_FRAME),
            encoders.text_config(networks, MULTI_FRAME),
        ),
        "image_encoder": (encoders.vision_encoder_tensors(networks), encoders.vision_config(networks)),
    }
    return write_checkpoint(parts, folder, MULTI_FRAME)


def renamed(network: nn.Module, names: dict[str, str]) -> dict[str, Tensor]:
    """Return a network's tensors by their released names."""
    return {names[name]: tensor for name, tensor in network.state_dict().items()}


def image_vae_names(vae: nn.Module) -> dict[str, str]:
    """Return the names of the image VAE's tensors: ComfyUI's name -> the name in diffusers."""
    names = {}
    for host in vae.state_dict():
        name = host
        if "attn_1." in name:
            prefix, _, layer = name.partition("attn_1.")
            layer, _, kind = layer.rpartition(".")
            name = f"{prefix}attn_1.{VAE_ATTENTION[layer]}.{kind}"
        # Longest names first, because some names are parts of longer ones.
        for part, diffusers in sorted(vae_conversion_map, key=lambda pair: -len(pair[0])):
            name = name.replace(part, diffusers)
        names[host] = name
    return names


def single_frame_names(networks: Networks) -> dict[str, str]:
    """Return the names of the single-frame UNet's tensors: ComfyUI's name -> the name in diffusers."""
    names = comfy.utils.unet_to_diffusers(single_frame_config(networks))
    # ComfyUI lists two names for the tensors of the operation step; the released checkpoint has add_embedding.
    return {host: name for name, host in names.items() if not name.startswith("class_embedding.")}


def video_vae_names(vae: nn.Module) -> dict[str, str]:
    """Return the names of the video VAE's tensors: our name -> the released name."""
    released = {ours: name for name, ours in KEY_RENAMES.items()}
    return {name: released.get(name, name) for name in vae.state_dict()}


def _as_linear(name: str, tensor: Tensor) -> Tensor:
    """Reshape the image VAE's attention weights: linear layers in diffusers are 1x1 convolutions in ComfyUI."""
    return tensor.flatten(1) if ".attentions." in name and tensor.ndim == 4 else tensor


def write_checkpoint(parts: dict[str, tuple[dict[str, Tensor], dict]], folder: Path, kind: str) -> Path:
    """Write a model in both forms: float32 parts in sub-folders of folder/kind, and folder/kind.safetensors in float16.

    Args:
        parts: (tensors, config.json) by the part's name.
        folder: to write into.
        kind: SINGLE_FRAME or MULTI_FRAME.

    Returns:
        The single file.
    """
    for part, (tensors, config) in parts.items():
        target = folder / kind / part
        target.mkdir(parents=True, exist_ok=True)
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, target / "model.safetensors", metadata={"format": "pt"})
        (target / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    file = folder / f"{kind}.safetensors"
    file.unlink(missing_ok=True)
    save_single_file(read_checkpoint(folder / kind, kind), file, torch.float16)
    return file
