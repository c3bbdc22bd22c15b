"""Segments: sixteen frames between two pictures, by the multi-frame model."""

import math

import comfy.clip_vision
import comfy.model_patcher
import comfy.samplers
import comfy.sd
import node_helpers
import torch
from torch import Tensor

from .checkpoints.parts import MULTI_FRAME_LOADER
from .constants import DEFAULT_FS, FRAMES_PER_SEGMENT
from .host.clip_vision import encode_any_aspect
from .host.encoding_cache import cached_encoding, picture_key
from .host.model_options import multi_frame_sampling
from .host.multi_frame import FS, VISION_TOKENS
from .host.objects import MultiFrameObjects, Prompts
from .host.sampling import (
    Conditioning,
    SamplerSettings,
    encode_prompt,
    require_finite,
    sample_latent,
    scheduled_sigmas,
)
from .host.video_vae import VideoVAE
from .multi_frame.ddim import sample_ddim
from .pictures.inputs import require_single_picture
from .pictures.resizing import resize_and_center_crop
from .pictures.sizes import NEAREST_TRAINED, frame_size
from .schedule import NUM_TIMESTEPS

REFERENCE_SAMPLER = "paintsundo_ddim"
REFERENCE_SCHEDULER = "trailing"


def interpolation_conditioning(
    positive: Conditioning,
    negative: Conditioning,
    clip_vision: comfy.clip_vision.ClipVisionModel,
    vae: comfy.sd.VAE,
    start_image: Tensor,
    end_image: Tensor,
    fs: int = DEFAULT_FS,
    resolution: str = NEAREST_TRAINED,
) -> tuple[Conditioning, Conditioning, dict, VideoVAE]:
    """Conditioning, empty latent (1, 4, 16, h, w) and the VAE that knows both pictures.

    Args:
        positive: of the prompt.
        negative: of the negative prompt.
        clip_vision: of the multi-frame model.
        vae: of the multi-frame model.
        start_image: (1, H, W, C) in [0, 1], frame 0.
        end_image: likewise, frame 15.
        fs: the frame-rate number of the training.
        resolution: one of RESOLUTIONS.

    Raises:
        ValueError: several pictures on an input, or another model's VAE.
    """
    if not isinstance(vae, VideoVAE):
        raise ValueError(
            f"This VAE is not the multi-frame model's. Connect the VAE of the {MULTI_FRAME_LOADER}."
        )
    start_image = require_single_picture(start_image, "start_image")
    end_image = require_single_picture(end_image, "end_image")
    height, width = frame_size(resolution, start_image, vae.trained_sizes)
    start, end = (resize_and_center_crop(image, width, height) for image in (start_image, end_image))

    def look(image: Tensor) -> Tensor:
        return cached_encoding(clip_vision, picture_key(image), lambda: encode_any_aspect(clip_vision, image))

    def encode(image: Tensor) -> Tensor:
        latent = cached_encoding(vae, picture_key(image), lambda: vae.encode(image))  # (1, 4, 1, h, w)
        return latent  # pyright: ignore[reportReturnType]  # the host's annotation says None as well

    seen = torch.stack([look(start), look(end)], dim=1)  # (1, 2, N, C)
    grey = look(torch.full_like(start, 0.5))  # what the negative branch sees
    first, last = encode(start), encode(end)
    pictures = first.new_zeros(1, first.shape[1], FRAMES_PER_SEGMENT, *first.shape[3:])
    pictures[:, :, :1], pictures[:, :, -1:] = first, last

    shared = {"concat_latent_image": pictures, FS: fs}
    return (
        node_helpers.conditioning_set_values(positive, {**shared, VISION_TOKENS: seen}),
        node_helpers.conditioning_set_values(
            negative, {**shared, VISION_TOKENS: torch.stack([grey, grey], dim=1)}
        ),
        {"samples": torch.zeros_like(pictures)},
        vae.with_references(start, end),
    )


def trailing_sigmas(model: comfy.model_patcher.ModelPatcher, steps: int, denoise: float = 1.0) -> Tensor:
    """Sigmas of the reference's schedule, (steps + 1,); below 1, denoise keeps the last of steps / denoise of them.

    Raises:
        ValueError: the MODEL has another process, or the number of steps, with this denoise, is out of range.
    """
    sampling = multi_frame_sampling(model)
    if denoise <= 0:
        return torch.zeros(0)
    whole = int(steps / denoise)
    if steps <= NUM_TIMESTEPS < whole:
        smallest = math.ceil(100 * steps / NUM_TIMESTEPS) / 100  # on the widget's grid
        raise ValueError(
            f"With steps {steps} and denoise {denoise:g} the whole schedule would have {whole} steps, and the most is "
            f"{NUM_TIMESTEPS}. The smallest denoise for {steps} steps is {smallest:g}; raise denoise or lower steps."
        )
    return sampling.trailing_sigmas(whole)[-(steps + 1) :]


def ddim_sampler(eta: float = 1.0) -> comfy.samplers.KSAMPLER:
    """The reference's sampler as a SAMPLER."""
    return comfy.samplers.KSAMPLER(sample_ddim, extra_options={"eta": eta})


def interpolate(
    objects: MultiFrameObjects,
    images: tuple[Tensor, Tensor],
    prompts: Prompts,
    settings: SamplerSettings,
    fs: int = DEFAULT_FS,
    resolution: str = NEAREST_TRAINED,
) -> Tensor:
    """Sixteen frames from the first picture to the second, (16, height, width, 3) in [0, 1].

    Raises:
        ValueError: objects of another model, or what interpolation_conditioning refuses.
        OverflowedNumbersError: the result is not finite.
    """
    model = objects.model
    multi_frame_sampling(model)
    positive, negative, latent, vae = interpolation_conditioning(
        encode_prompt(objects.clip, prompts.positive),
        encode_prompt(objects.clip, prompts.negative),
        objects.clip_vision,
        objects.vae,
        *images,
        fs,
        resolution,
    )
    is_reference = settings.sampler_name == REFERENCE_SAMPLER
    sampler = ddim_sampler() if is_reference else comfy.samplers.sampler_object(settings.sampler_name)
    if settings.scheduler == REFERENCE_SCHEDULER:
        sigmas = trailing_sigmas(model, settings.steps)
    else:
        sigmas = scheduled_sigmas(model, settings.sampler_name, settings.scheduler, settings.steps)
    samples = sample_latent(model, latent, positive, negative, sampler, sigmas, settings.cfg, settings.seed)
    require_finite(samples, "while the multi-frame MODEL was sampling")
    frames = vae.decode(samples).flatten(0, 1)  # (1, 16, H, W, 3) before
    return require_finite(frames, "while the video VAE was decoding")
