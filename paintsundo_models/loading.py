"""Make ComfyUI's objects from a checkpoint: read it, derive the sizes from shapes, build the networks, fill them strictly."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import comfy.clip_vision
import comfy.model_management as mm
import comfy.model_patcher
import comfy.sd
import torch

from .checkpoints import detection
from .checkpoints.files import WEIGHT_DTYPES, Checkpoint, checkpoint_identity, read_checkpoint
from .checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from .errors import CheckpointError, CheckpointMismatchError
from .host.clip_vision import build_clip_vision
from .host.identity import SOURCE
from .host.multi_frame import load_multi_frame_unet
from .host.objects import MultiFrameObjects, SingleFrameObjects
from .host.patchers import FP8_TYPES, remember_loader, set_preview_colours
from .host.processor import computes_in
from .host.saving import save_with
from .host.single_frame import load_image_vae, load_single_frame_unet
from .host.text import load_text_encoder
from .host.video_vae import VideoVAE
from .multi_frame.vae import KEY_RENAMES


def load_single_frame(path: str | os.PathLike, weight_dtype: str = "default") -> SingleFrameObjects:
    """Load the MODEL, CLIP and VAE of the single-frame model.

    Args:
        path: released folder or single file.
        weight_dtype: one of checkpoints.WEIGHT_DTYPES. fp8 is for the diffusion network; the VAE is never fp16, in
            which it overflows.

    Raises:
        CheckpointError: see checkpoints.read_checkpoint and checkpoints.check_tensors.
    """
    checkpoint = read_checkpoint(path, SINGLE_FRAME)
    dtype = WEIGHT_DTYPES[weight_dtype]
    model = single_frame_model(checkpoint, dtype)
    remember_loader(model, reload_single_frame_model, str(path), dtype)
    return SingleFrameObjects(model, text_encoder(checkpoint, dtype), image_vae(checkpoint, dtype))


def load_multi_frame(path: str | os.PathLike, weight_dtype: str = "default") -> MultiFrameObjects:
    """Load the MODEL (with the image projection inside), CLIP, VAE and CLIP_VISION of the multi-frame model.

    Arguments and errors are those of load_single_frame.
    """
    checkpoint = read_checkpoint(path, MULTI_FRAME)
    dtype = WEIGHT_DTYPES[weight_dtype]
    model = multi_frame_model(checkpoint, dtype)
    setattr(model.model, SOURCE, [checkpoint_identity(checkpoint.path), dtype])
    remember_loader(model, reload_multi_frame_model, str(path), dtype)
    return MultiFrameObjects(
        model,
        text_encoder(checkpoint, dtype),
        video_vae(checkpoint, dtype),
        vision_encoder(checkpoint, dtype),
    )


def reload_single_frame_model(
    path: str, dtype: torch.dtype | None, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """Load only the MODEL from disk again; ComfyUI calls this (see host.patchers.remember_loader)."""
    return single_frame_model(read_checkpoint(path, SINGLE_FRAME), dtype, disable_dynamic)


def reload_multi_frame_model(
    path: str, dtype: torch.dtype | None, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """Load only the MODEL from disk again; ComfyUI calls this (see host.patchers.remember_loader)."""
    return multi_frame_model(read_checkpoint(path, MULTI_FRAME), dtype, disable_dynamic)


@contextmanager
def _reading(part: str, checkpoint: Checkpoint) -> Iterator[None]:
    """Turn errors that come from missing or misshaped tensors of this part into CheckpointMismatchError."""
    try:
        yield
    except CheckpointError:
        raise
    except (LookupError, ArithmeticError, ValueError) as error:
        what = (
            f"it lacks {error.args[0]}"
            if isinstance(error, KeyError)
            else f"its tensors do not fit together: {error}"
        )
        raise CheckpointMismatchError(
            f"The {part} in {checkpoint.path} is not the {checkpoint.kind} model's, or is damaged: {what}. Download this "
            "part again, or choose another checkpoint."
        ) from error


def single_frame_model(
    checkpoint: Checkpoint, dtype: torch.dtype | None, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """Build the MODEL of the single-frame model."""
    unet = checkpoint.parts["unet"]
    with _reading("unet", checkpoint):
        config = detection.single_frame_unet_config(unet, checkpoint.configs["unet"])
        patcher = load_single_frame_unet(unet, config, checkpoint.path, dtype, disable_dynamic)
    save_with(patcher, checkpoint)
    set_preview_colours(patcher, detection.preview_colours(checkpoint.configs["vae"]))
    return patcher


def multi_frame_model(
    checkpoint: Checkpoint, dtype: torch.dtype | None, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """Build the MODEL of the multi-frame model, with the image projection inside."""
    unet, projection = checkpoint.parts["unet"], checkpoint.parts["image_projection"]
    with _reading("image_projection", checkpoint):
        projection_params = detection.projection_params(projection, checkpoint.configs["image_projection"])
    with _reading("unet", checkpoint):
        params = detection.video_unet_params(unet)
        patcher = load_multi_frame_unet(
            unet, projection, params, projection_params, checkpoint.path, dtype, disable_dynamic
        )
    save_with(patcher, checkpoint, "image_encoder")
    set_preview_colours(patcher, detection.preview_colours(checkpoint.configs["vae"]))
    return patcher


def text_encoder(checkpoint: Checkpoint, dtype: torch.dtype | None) -> comfy.sd.CLIP:
    """Build the CLIP of either model."""
    tensors, config = checkpoint.parts["text_encoder"], checkpoint.configs["text_encoder"]
    with _reading("text_encoder", checkpoint):
        config = detection.text_config(tensors, config, checkpoint.kind, checkpoint.parts["unet"])
        return load_text_encoder(tensors, config, checkpoint.kind, checkpoint.path, _without_fp8(dtype))


def image_vae(checkpoint: Checkpoint, dtype: torch.dtype | None) -> comfy.sd.VAE:
    """Build the VAE of the single-frame model."""
    vae, sizes = checkpoint.parts["vae"], detection.trained_sizes(checkpoint.configs["vae"])
    dtype = None if dtype == torch.float16 else _vae_dtype(dtype)  # in float16 its numbers overflow
    with _reading("vae", checkpoint):
        return load_image_vae(vae, detection.image_vae_config(vae), checkpoint.path, dtype, sizes)


def video_vae(checkpoint: Checkpoint, dtype: torch.dtype | None) -> VideoVAE:
    """Build the VAE of the multi-frame model."""
    vae, sizes = checkpoint.parts["vae"], detection.trained_sizes(checkpoint.configs["vae"])
    renamed = {KEY_RENAMES.get(name, name): tensor for name, tensor in vae.items()}
    with _reading("vae", checkpoint):
        return VideoVAE(renamed, detection.video_vae_params(vae), checkpoint.path, _vae_dtype(dtype), sizes)


def vision_encoder(checkpoint: Checkpoint, dtype: torch.dtype | None) -> comfy.clip_vision.ClipVisionModel:
    """Build the CLIP_VISION of the multi-frame model."""
    tensors, config = checkpoint.parts["image_encoder"], checkpoint.configs["image_encoder"]
    with _reading("image_encoder", checkpoint):
        config = detection.vision_config(tensors, config, checkpoint.parts["image_projection"])
        return build_clip_vision(tensors, config, checkpoint.path, _without_fp8(dtype))


def _vae_dtype(dtype: torch.dtype | None) -> torch.dtype | None:
    """Return the type for a VAE, which computes in the type of its weights.

    None (ComfyUI's choice) for fp8, and for types that the device does not support or in which it is slow.
    """
    device = mm.vae_device()
    is_good = {
        torch.float32: True,
        torch.float16: mm.should_use_fp16(device),
        torch.bfloat16: mm.should_use_bf16(device) or computes_in(dtype, device, "VAE"),
    }
    return dtype if dtype is not None and is_good.get(dtype) else None


def _without_fp8(dtype: torch.dtype | None) -> torch.dtype | None:
    return None if dtype in FP8_TYPES else dtype
