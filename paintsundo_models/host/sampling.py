"""Prompts and sampling through the host, as its own CLIP Text Encode, KSampler and SamplerCustom do."""

import inspect

import comfy.model_patcher
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import latent_preview
from torch import Tensor

from .memo import remembered

Conditioning = list
"""The host's CONDITIONING: a list of [tokens (1, N, D), dict]."""


def encode_prompt(clip: comfy.sd.CLIP, prompt: str) -> Conditioning:
    """CONDITIONING of a prompt."""
    return remembered(clip, prompt, lambda: clip.encode_from_tokens_scheduled(clip.tokenize(prompt)))


def scheduled_sigmas(model: comfy.model_patcher.ModelPatcher, scheduler: str, steps: int) -> Tensor:
    """Sigmas of one of the host's schedulers for this MODEL, (steps + 1,)."""
    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps).cpu()


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
