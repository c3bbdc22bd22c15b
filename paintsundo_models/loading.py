"""From a checkpoint on disk to the host's objects: read, derive the architecture from shapes, build, load strictly."""

import os

import comfy.clip_vision
import comfy.model_patcher
import comfy.sd
import torch

from . import detection
from .checkpoints import Checkpoint, read_checkpoint
from .host.clip_vision import build_clip_vision
from .host.multi_frame import load_multi_frame_unet
from .host.patchers import FP8_TYPES, WEIGHT_DTYPES, remember_loader
from .host.single_frame import load_image_vae, load_single_frame_unet
from .host.text import load_text_encoder
from .host.video_vae import VideoVAE
from .multi_frame.vae import KEY_RENAMES
from .parts import MULTI_FRAME, SINGLE_FRAME


def load_single_frame(
    path: str | os.PathLike, weight_dtype: str = "default"
) -> tuple[comfy.model_patcher.ModelPatcher, comfy.sd.CLIP, comfy.sd.VAE]:
    """MODEL, CLIP and VAE of the single-frame model.

    Args:
        path: released folder or single file.
        weight_dtype: one of host.patchers.WEIGHT_DTYPES. fp8 is for the diffusion network; the VAE is never fp16, in
            which it overflows.

    Raises:
        CheckpointError: see checkpoints.read_checkpoint and checkpoints.check_tensors.
    """
    checkpoint = read_checkpoint(path, SINGLE_FRAME)
    dtype = WEIGHT_DTYPES[weight_dtype]
    model = _single_frame_model(checkpoint, dtype)
    remember_loader(model, reload_single_frame_model, str(path), dtype)
    clip = _text_encoder(checkpoint, _without_fp8(dtype))
    vae = checkpoint.parts["vae"]
    vae_dtype = dtype if dtype in (torch.float32, torch.bfloat16) else None
    return model, clip, load_image_vae(vae, detection.image_vae_config(vae), checkpoint.path, vae_dtype)


def load_multi_frame(
    path: str | os.PathLike, weight_dtype: str = "default"
) -> tuple[comfy.model_patcher.ModelPatcher, comfy.sd.CLIP, VideoVAE, comfy.clip_vision.ClipVisionModel]:
    """MODEL (image projection inside), CLIP, VAE and CLIP_VISION of the multi-frame model; arguments as load_single_frame's."""
    checkpoint = read_checkpoint(path, MULTI_FRAME)
    dtype = WEIGHT_DTYPES[weight_dtype]
    model = _multi_frame_model(checkpoint, dtype)
    remember_loader(model, reload_multi_frame_model, str(path), dtype)
    wide_dtype = _without_fp8(dtype)
    clip = _text_encoder(checkpoint, wide_dtype)
    vae = checkpoint.parts["vae"]
    renamed = {KEY_RENAMES.get(name, name): tensor for name, tensor in vae.items()}
    video_vae = VideoVAE(renamed, detection.video_vae_params(vae), checkpoint.path, wide_dtype)
    clip_vision = build_clip_vision(
        checkpoint.parts["image_encoder"], checkpoint.configs["image_encoder"], checkpoint.path, wide_dtype
    )
    return model, clip, video_vae, clip_vision


def reload_single_frame_model(
    path: str, dtype: torch.dtype | None, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """The MODEL alone, anew from disk; the host calls this (see host.patchers.remember_loader)."""
    return _single_frame_model(read_checkpoint(path, SINGLE_FRAME), dtype, disable_dynamic)


def reload_multi_frame_model(
    path: str, dtype: torch.dtype | None, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """The MODEL alone, anew from disk; the host calls this (see host.patchers.remember_loader)."""
    return _multi_frame_model(read_checkpoint(path, MULTI_FRAME), dtype, disable_dynamic)


def _single_frame_model(
    checkpoint: Checkpoint, dtype: torch.dtype | None, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    unet = checkpoint.parts["unet"]
    config = detection.single_frame_unet_config(unet, checkpoint.configs["unet"])
    return load_single_frame_unet(unet, config, checkpoint.path, dtype, disable_dynamic)


def _multi_frame_model(
    checkpoint: Checkpoint, dtype: torch.dtype | None, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    unet, projection = checkpoint.parts["unet"], checkpoint.parts["image_projection"]
    return load_multi_frame_unet(
        unet,
        projection,
        detection.video_unet_params(unet),
        detection.projection_params(projection, checkpoint.configs["image_projection"]),
        checkpoint.path,
        dtype,
        disable_dynamic,
    )


def _without_fp8(dtype: torch.dtype | None) -> torch.dtype | None:
    return None if dtype in FP8_TYPES else dtype


def _text_encoder(checkpoint: Checkpoint, dtype: torch.dtype | None) -> comfy.sd.CLIP:
    tensors, config = checkpoint.parts["text_encoder"], checkpoint.configs["text_encoder"]
    described = detection.text_config(tensors, config, checkpoint.kind)
    return load_text_encoder(tensors, described, checkpoint.kind, checkpoint.path, dtype)
