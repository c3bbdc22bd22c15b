"""Training that begins with the weights of an exported checkpoint: the inverse of export.py."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from paintsundo_models.checkpoints.files import read_checkpoint
from paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from paintsundo_models.host.multi_frame import PROJECTION_PREFIX

from . import networks
from .export import image_vae_names, single_frame_names, video_vae_names
from .settings import Networks

WHITENED = "whitened.pt"
"""File of the image VAE with latents of unit variance, see stages.image_vae.whiten."""


def unpack_checkpoints(source: Path, widths: Networks, folder: Path) -> None:
    """Write the weights of exported checkpoints into a run's folder, where its stages begin with them.

    Stages that have a folder already keep their weights, so that an interrupted run can be resumed.

    Args:
        source: folder with single-frame.safetensors, multi-frame.safetensors, or both.
        widths: widths of the networks; those of the checkpoint must be the same.
        folder: the run's folder.

    Raises:
        ValueError: the folder has neither file, or the networks have other widths.
        CheckpointError: a file cannot be read, or belongs to another model.
    """
    single, multi = (source / f"{kind}.safetensors" for kind in (SINGLE_FRAME, MULTI_FRAME))
    if not single.is_file() and not multi.is_file():
        raise ValueError(f"There is neither {single.name} nor {multi.name} in {source}.")
    if single.is_file():
        parts = read_checkpoint(single, SINGLE_FRAME).parts
        vae, unet = networks.image_vae(widths), networks.single_frame_unet(widths)
        _load(vae, parts["vae"], image_vae_names(vae), single)
        _load(unet, parts["unet"], single_frame_names(widths), single)
        _write(vae, folder / "image_vae" / WHITENED)
        _write(unet, folder / "single_frame" / "weights.pt")
    if multi.is_file():
        parts = read_checkpoint(multi, MULTI_FRAME).parts
        vae, unet = networks.video_vae(widths), networks.multi_frame_unet(widths)
        projection = {
            f"{PROJECTION_PREFIX}{name}": tensor for name, tensor in parts["image_projection"].items()
        }
        weights = parts["unet"] | projection
        _load(vae, parts["vae"], video_vae_names(vae), multi)
        _load(unet, weights, {name: name for name in unet.state_dict()}, multi)
        _write(vae, folder / "video_vae" / "weights.pt")
        _write(unet, folder / "multi_frame" / "weights.pt")


def _load(network: nn.Module, tensors: Mapping[str, Tensor], names: Mapping[str, str], file: Path) -> None:
    """Fill a network from tensors with released names.

    Args:
        network: to fill.
        tensors: by released name.
        names: released name by the network's own name.
        file: where the tensors come from, for the message.

    Raises:
        ValueError: a tensor is missing or has another number of elements.
    """
    weights = {}
    for name, own in network.state_dict().items():
        given = tensors.get(names[name])
        if given is None or given.numel() != own.numel():
            found = "is missing" if given is None else f"has the shape {tuple(given.shape)}"
            raise ValueError(
                f"{names[name]} {found} in {file}, and a shape like {tuple(own.shape)} is needed. Give the settings the "
                f"widths that this file was trained with."
            )
        weights[name] = given.float().view(own.shape)
    network.load_state_dict(weights)


def _write(network: nn.Module, path: Path) -> None:
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        torch.save(network.state_dict(), path)
