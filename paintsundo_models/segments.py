"""Segments: 16 frames from one picture to another, made by the multi-frame model."""

import math
from typing import NamedTuple

import comfy.clip_vision
import comfy.model_patcher
import comfy.samplers
import comfy.sd
import node_helpers
import torch
from torch import Tensor

from .checkpoints.parts import MULTI_FRAME, MULTI_FRAME_LOADER
from .constants import DEFAULT_FS, FRAMES_PER_SEGMENT
from .host.clip_vision import encode_any_aspect
from .host.encoding_cache import cached_encoding, picture_key
from .host.identity import sampling_key
from .host.model_options import check_multi_frame_model, multi_frame_sampling
from .host.multi_frame import FS, VISION_TOKENS
from .host.objects import MultiFrameObjects, Prompts
from .host.out_of_memory import OTHER_REMEDIES, BranchesApart, Stage, once
from .host.sampling import (
    Conditioning,
    SamplerSettings,
    encode_prompt,
    require_finite,
    sample_latent,
    scheduled_sigmas,
)
from .host.segment_store import SegmentStore
from .host.text import check_clip
from .host.video_vae import VideoVAE
from .multi_frame.ddim import sample_ddim
from .pictures.inputs import described, require_single_picture
from .pictures.resizing import place_on_white, placed_area, resize_and_center_crop
from .pictures.sizes import FIT_CROP, FIT_WHOLE, FITS, NEAREST_TRAINED, frame_size
from .schedule import NUM_TIMESTEPS
from .video.colours import match_colours

_SMALLER = f"Choose a smaller resolution. {OTHER_REMEDIES}"
SEEING = Stage("the CLIP_VISION was encoding a picture", _SMALLER)
SAMPLING = Stage("the multi-frame MODEL was sampling a segment", _SMALLER)

ORIGINAL_SAMPLER = "paintsundo_ddim"
ORIGINAL_SCHEDULER = "trailing"
"""The original's sampler and schedule, by the names that workflows save."""


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
    """Return both conditionings with the pictures added, an empty latent, and a VAE that decodes with the pictures.

    Args:
        positive: CONDITIONING of the prompt.
        negative: CONDITIONING of the negative prompt.
        clip_vision: CLIP_VISION of the multi-frame model.
        vae: VAE of the multi-frame model.
        start_image: picture of frame 0, (1, H, W, C) in [0, 1].
        end_image: picture of frame 15, (1, H, W, C) in [0, 1].
        fs: frame-rate number, a condition that the model was trained with.
        resolution: one of RESOLUTIONS.

    Returns:
        positive, negative, the latent with samples (1, 4, 16, h, w), and a copy of the VAE.

    Raises:
        ValueError: an input has several pictures, or the VAE belongs to another model.
    """
    if not isinstance(vae, VideoVAE):
        raise ValueError(
            f"This VAE is not the multi-frame model's. Connect the VAE of the {MULTI_FRAME_LOADER}."
        )
    if not hasattr(clip_vision, "model"):
        raise ValueError(
            f"clip_vision is no CLIP_VISION: {described(clip_vision)} came. Connect the CLIP_VISION of the "
            f"{MULTI_FRAME_LOADER}."
        )
    start_image = require_single_picture(start_image, "start_image")
    end_image = require_single_picture(end_image, "end_image")
    height, width = frame_size(resolution, start_image, vae.trained_sizes)
    start, end = (resize_and_center_crop(image, width, height) for image in (start_image, end_image))

    def encode_vision(image: Tensor) -> Tensor:
        def see() -> Tensor:
            tokens = once(SEEING, lambda: encode_any_aspect(clip_vision, image))
            return require_finite(tokens, "while the CLIP_VISION was encoding a picture")

        return cached_encoding(clip_vision, picture_key(image), see)

    def encode(image: Tensor) -> Tensor:
        def shrink() -> Tensor:
            latent: Tensor = vae.encode(image)  # pyright: ignore[reportAssignmentType]  ComfyUI's annotation allows None
            return require_finite(latent, "while the video VAE was encoding a picture")

        return cached_encoding(vae, picture_key(image), shrink)  # (1, 4, 1, h, w)

    seen = torch.stack([encode_vision(start), encode_vision(end)], dim=1)  # (1, 2, N, C)
    grey = encode_vision(
        torch.full_like(start, 0.5)
    )  # in place of both pictures in the negative conditioning
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
    """Return the sigmas of the original's schedule, (steps + 1,).

    With denoise below 1 they are the last steps + 1 sigmas of a schedule of steps / denoise steps; with 0 there are none.

    Raises:
        ValueError: the MODEL is not the multi-frame one, or steps / denoise is not in 1 to 1000.
    """
    sampling = multi_frame_sampling(model)
    whole = check_schedule(steps, denoise)
    return sampling.trailing_sigmas(whole)[-(steps + 1) :] if denoise > 0 else torch.zeros(0)


def check_schedule(steps: int, denoise: float) -> int:
    """Return the steps of the whole schedule, of which `steps` are taken; 0 where denoise takes none.

    Raises:
        ValueError: steps / denoise is not in 1 to 1000.
    """
    if denoise <= 0:
        return 0
    whole = int(steps / denoise)
    if steps <= NUM_TIMESTEPS < whole:
        smallest = math.ceil(100 * steps / NUM_TIMESTEPS) / 100  # rounded up to the widget's step of 0.01
        raise ValueError(
            f"With steps {steps} and denoise {denoise:g} the whole schedule would have {whole} steps, and the most is "
            f"{NUM_TIMESTEPS}. The smallest denoise for {steps} steps is {smallest:g}; raise denoise or lower steps."
        )
    return whole


def ddim_sampler(eta: float = 1.0) -> comfy.samplers.KSAMPLER:
    """Return the original's sampler as a SAMPLER; eta is its share of fresh noise, 0 to 1."""
    return comfy.samplers.KSAMPLER(sample_ddim, extra_options={"eta": eta})


SAMPLED, REUSED, FADED = "sampled", "reused", "faded"
"""How a segment came about: by the model now, from the store, or as a cross-fade."""

LEVELS = 255
"""How many levels of an 8-bit picture lie between black and white."""


class Segment(NamedTuple):
    """The result of interpolate."""

    frames: Tensor  # (16, height, width, 3) in [0, 1]
    origin: str  # SAMPLED, REUSED or FADED


def cross_fade(start: Tensor, end: Tensor) -> Tensor:
    """Mix two pictures in equal steps, (1, H, W, 3) each: (16, H, W, 3), from the first to the second."""
    shares = torch.linspace(0, 1, FRAMES_PER_SEGMENT, device=start.device).view(-1, 1, 1, 1)
    return torch.lerp(start, end.to(start), shares)


def interpolate(
    objects: MultiFrameObjects,
    images: tuple[Tensor, Tensor],
    prompts: Prompts,
    settings: SamplerSettings,
    fs: int = DEFAULT_FS,
    resolution: str = NEAREST_TRAINED,
    fit: str = FIT_CROP,
    has_matched_colours: bool = False,
    store: SegmentStore | None = None,
    fade_below: float = 0.0,
) -> Segment:
    """Return 16 frames from the first picture to the second.

    Args:
        objects: MODEL, CLIP, VAE and CLIP_VISION of the multi-frame model.
        images: pictures of frame 0 and of frame 15, (1, H, W, C) in [0, 1] each.
        prompts: what the frames show, and what they must not show.
        settings: ORIGINAL_SAMPLER and ORIGINAL_SCHEDULER are allowed besides ComfyUI's names.
        fs: frame-rate number, a condition that the model was trained with.
        resolution: one of RESOLUTIONS.
        fit: one of FITS. "whole" lays the pictures on white and cuts the white border from the frames, which then have
            the shape of the first picture and at most the size of the resolution.
        has_matched_colours: correct the frames' colours by the two pictures (see video.colours).
        store: where finished segments lie; one that is there is not sampled again. None neither looks there nor keeps
            anything.
        fade_below: pictures that differ by less than this, on average and in levels from 0 to 255, are cross-faded, and
            nothing is sampled. 0: never.

    Raises:
        ValueError: an object belongs to another model, the fit is unknown, or interpolation_conditioning refuses an input.
        OverflowedNumbersError: the result contains inf or NaN.
        NotEnoughMemoryError: memory does not suffice, even with less at once.
    """
    if fit not in FITS:
        raise ValueError(f"There is no fit {fit!r}; there are {', '.join(FITS)}.")
    check_multi_frame_model(objects.model)
    check_clip(objects.clip, MULTI_FRAME, MULTI_FRAME_LOADER)
    start, end = (
        require_single_picture(images[0], "start_image"),
        require_single_picture(images[1], "end_image"),
    )
    height, width = frame_size(resolution, start, getattr(objects.vae, "trained_sizes", ()))
    area = placed_area(start.shape[2], start.shape[1], width, height) if fit == FIT_WHOLE else None
    if area:
        start, end = (place_on_white(image, area, width, height) for image in (start, end))
    start, end = (resize_and_center_crop(image, width, height) for image in (start, end))
    seen = [area.cut_from(image) if area else image for image in (start, end)]
    if LEVELS * float((seen[0] - seen[1]).abs().mean()) < fade_below:
        return Segment(cross_fade(*seen), FADED)
    frames, origin = _made(objects, (start, end), prompts, settings, fs, resolution, store)
    if has_matched_colours:
        frames = match_colours(frames, start, end)
    return Segment(area.cut_from(frames) if area else frames, origin)


def _made(
    objects: MultiFrameObjects,
    images: tuple[Tensor, Tensor],
    prompts: Prompts,
    settings: SamplerSettings,
    fs: int,
    resolution: str,
    store: SegmentStore | None,
) -> tuple[Tensor, str]:
    """Sample a segment, or take its latent from the store, and decode it: 16 frames of the pictures' size, and the origin."""
    model = objects.model
    positive, negative, latent, vae = interpolation_conditioning(
        encode_prompt(objects.clip, prompts.positive),
        encode_prompt(objects.clip, prompts.negative),
        objects.clip_vision,
        objects.vae,
        *images,
        fs,
        resolution,
    )
    is_original = settings.sampler_name == ORIGINAL_SAMPLER
    sampler = ddim_sampler() if is_original else comfy.samplers.sampler_object(settings.sampler_name)
    if settings.scheduler == ORIGINAL_SCHEDULER:
        sigmas = trailing_sigmas(model, settings.steps)
    else:
        sigmas = scheduled_sigmas(model, settings.sampler_name, settings.scheduler, settings.steps)
    key = sampling_key(model, (positive, negative), latent, sigmas, settings) if store else None
    samples = store.load(key, tuple(latent["samples"].shape)) if store and key else None
    origin = SAMPLED if samples is None else REUSED
    if samples is None:
        samples = _sampled(model, latent, (positive, negative), sampler, sigmas, settings)
        if store and key:
            store.save(key, samples)
    frames = vae.decode(samples).flatten(0, 1)  # (1, 16, H, W, 3) before
    return require_finite(frames, "while the video VAE was decoding"), origin


def _sampled(
    model: comfy.model_patcher.ModelPatcher,
    latent: dict,
    conditioning: tuple[Conditioning, Conditioning],
    sampler: comfy.samplers.Sampler,
    sigmas: Tensor,
    settings: SamplerSettings,
) -> Tensor:
    """Return the sampled latent of a segment, with one branch of guidance after the other where memory runs out."""
    branches = BranchesApart(SAMPLING)
    samples = once(
        SAMPLING,
        lambda: sample_latent(
            model, latent, *conditioning, sampler, sigmas, settings.cfg, settings.seed, branches
        ),
    )
    return require_finite(samples, "while the multi-frame MODEL was sampling")
