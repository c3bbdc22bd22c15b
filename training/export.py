"""From trained weights to checkpoints in the released layout: folders, and the pack's single files."""

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
"""The image VAE's attention, by the host's name and by diffusers'."""


def export_single_frame(settings: Settings, vae: nn.Module, unet: nn.Module, folder: Path) -> Path:
    """Write the single-frame model: a folder of parts and, beside it, a float16 file; return the file."""
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
    """Write the multi-frame model: a folder of parts and, beside it, a float16 file; return the file."""
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
    """A network's tensors by their released names."""
    return {names[name]: tensor for name, tensor in network.state_dict().items()}


def image_vae_names(vae: nn.Module) -> dict[str, str]:
    """The image VAE's tensors: the host's name -> diffusers'."""
    names = {}
    for host in vae.state_dict():
        name = host
        if "attn_1." in name:
            prefix, _, layer = name.partition("attn_1.")
            layer, _, kind = layer.rpartition(".")
            name = f"{prefix}attn_1.{VAE_ATTENTION[layer]}.{kind}"
        # the longest names first, lest a part of one is taken for another
        for part, diffusers in sorted(vae_conversion_map, key=lambda pair: -len(pair[0])):
            name = name.replace(part, diffusers)
        names[host] = name
    return names


def single_frame_names(networks: Networks) -> dict[str, str]:
    """The single-frame UNet's tensors: the host's name -> diffusers'."""
    names = comfy.utils.unet_to_diffusers(single_frame_config(networks))
    # The host knows the operation step's tensors by two names; the released one is add_embedding.
    return {host: name for name, host in names.items() if not name.startswith("class_embedding.")}


def video_vae_names(vae: nn.Module) -> dict[str, str]:
    """The video VAE's tensors: our name -> the released one."""
    released = {ours: name for name, ours in KEY_RENAMES.items()}
    return {name: released.get(name, name) for name in vae.state_dict()}


def _as_linear(name: str, tensor: Tensor) -> Tensor:
    """The image VAE's attention is made of linear layers in diffusers, of 1x1 convolutions in the host."""
    return tensor.flatten(1) if ".attentions." in name and tensor.ndim == 4 else tensor


def write_checkpoint(parts: dict[str, tuple[dict[str, Tensor], dict]], folder: Path, kind: str) -> Path:
    """Write float32 parts into sub-folders of folder/kind, and all of them in float16 into folder/kind.safetensors."""
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
