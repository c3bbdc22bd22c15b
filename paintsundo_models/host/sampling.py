"""Prompts and sampling through the host, as its own CLIP Text Encode, KSampler and SamplerCustom do."""

import inspect
from dataclasses import dataclass

import comfy.model_patcher
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import latent_preview
import torch
from torch import Tensor

from ..errors import OverflowedNumbersError
from .encoding_cache import remembered

Conditioning = list
"""The host's CONDITIONING: a list of [tokens (1, N, D), dict]."""


@dataclass(frozen=True)
class SamplerSettings:
    """How to sample, in the host's words."""

    seed: int
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str


def encode_prompt(clip: comfy.sd.CLIP, prompt: str) -> Conditioning:
    """CONDITIONING of a prompt."""
    return remembered(clip, prompt, lambda: clip.encode_from_tokens_scheduled(clip.tokenize(prompt)))


def require_finite(result: Tensor, where: str) -> Tensor:
    """The result itself; one check for the whole of it, because each waits for the device.

    Raises:
        OverflowedNumbersError: a number in it is infinite or none.
    """
    if not result.isfinite().all():
        raise OverflowedNumbersError(
            f"Numbers overflowed {where}: the result holds values that are infinite or not a number, and would be black. "
            "Choose weight_dtype bf16 or fp32 in the loader, or start ComfyUI with --fp32-vae where it happens in decoding."
        )
    return result


def scheduled_sigmas(
    model: comfy.model_patcher.ModelPatcher, sampler_name: str, scheduler: str, steps: int
) -> Tensor:
    """Sigmas for this MODEL as the host's KSampler takes them, (steps + 1,): some samplers skip the last but one."""
    return comfy.samplers.KSampler(
        model, steps, torch.device("cpu"), sampler=sampler_name, scheduler=scheduler
    ).sigmas


def couples_batch(sampler_name: str) -> bool:
    """Whether a batch's items come out otherwise than the same items sampled singly, with one noise at the start.

    So with samplers that draw noise at their steps (each item gets its own), and with the one that fits its steps to the batch.
    """
    function = comfy.samplers.sampler_object(sampler_name).sampler_function
    return "noise_sampler" in inspect.signature(function).parameters or sampler_name == "dpm_adaptive"


def sample_latent(
    model: comfy.model_patcher.ModelPatcher,
    latent: dict,
    positive: Conditioning,
    negative: Conditioning,
    sampler: comfy.samplers.Sampler,
    sigmas: Tensor,
    cfg: float,
    seed: int,
) -> Tensor:
    """Sample with the host's noise, progress, previews and cancelling; returns the latent's samples."""
    samples = latent["samples"]
    return comfy.sample.sample_custom(
        model,
        comfy.sample.prepare_noise(samples, seed, latent.get("batch_index")),
        cfg,
        sampler,
        sigmas,
        positive,
        negative,
        samples,
        callback=latent_preview.prepare_callback(model, len(sigmas) - 1),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )
