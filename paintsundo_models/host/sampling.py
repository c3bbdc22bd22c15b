"""Encoding of prompts and sampling through ComfyUI, as its nodes CLIP Text Encode, KSampler and SamplerCustom do it."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import comfy.model_patcher
import comfy.sample
import comfy.samplers
import comfy.sd
import comfy.utils
import latent_preview
import torch
from torch import Tensor

from ..constants import MAX_SAMPLING_STEPS
from ..errors import OverflowedNumbersError
from ..pictures.inputs import described
from .encoding_cache import cached_encoding
from .out_of_memory import OTHER_REMEDIES, BranchesApart, Stage, once

READING_PROMPT = Stage("reading a prompt", OTHER_REMEDIES)

Conditioning = list
"""ComfyUI's CONDITIONING: a list of [tokens (1, N, D), dict]."""


@dataclass(frozen=True)
class SamplerSettings:
    """The widgets of a sampler, named as in ComfyUI's KSampler."""

    seed: int
    steps: int
    cfg: float
    sampler_name: str
    scheduler: str

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_SAMPLING_STEPS:
            raise ValueError(f"steps is {self.steps}, and must be from 1 to {MAX_SAMPLING_STEPS}.")
        if not math.isfinite(self.cfg):
            raise ValueError(
                f"cfg is {self.cfg}, which is not a number that can be used. Write one from 0 to 30."
            )


def encode_prompt(clip: comfy.sd.CLIP, prompt: str) -> Conditioning:
    """Return the CONDITIONING of a prompt.

    Raises:
        ValueError: this is no CLIP.
        OverflowedNumbersError: the tokens hold inf or NaN.
        NotEnoughMemoryError: memory does not suffice.
    """
    if not hasattr(clip, "encode_from_tokens_scheduled"):
        raise ValueError(f"clip is no CLIP: {described(clip)} came. Connect the CLIP of a PaintsUndo loader.")

    def encode() -> Conditioning:
        conditioning = once(READING_PROMPT, lambda: clip.encode_from_tokens_scheduled(clip.tokenize(prompt)))
        for tokens, _ in conditioning:
            require_finite(tokens, "while the CLIP was encoding the prompt")
        return conditioning

    return cached_encoding(clip, prompt, encode)


def require_finite(result: Tensor, where: str) -> Tensor:
    """Return the result after checking all of it at once, because every check waits for the device.

    Args:
        result: any tensor.
        where: when the numbers were computed, for the message: "while ... was sampling".

    Raises:
        OverflowedNumbersError: the result contains inf or NaN.
    """
    if not result.isfinite().all():
        raise OverflowedNumbersError(
            f"Numbers overflowed {where}: the result holds values that are infinite or not a number, and would be black. "
            "Choose weight_dtype bf16 or fp32 in the loader, or start ComfyUI with --fp32-vae where it happens in a VAE. If it "
            "happens with every type, the file of that part is damaged: download it again."
        )
    return result


def finite_output(process: Callable[[Tensor], Tensor], where: str) -> Callable[[Tensor], Tensor]:
    """Return a VAE's `process_output` with a check before it, also where ComfyUI's own nodes decode.

    Behind it, infinite numbers would be white, and those that are none black in every saved file.

    Args:
        process: turns what the network gives into pictures.
        where: see require_finite.
    """
    return lambda image: process(require_finite(image, where))


def scheduled_sigmas(
    model: comfy.model_patcher.ModelPatcher, sampler_name: str, scheduler: str, steps: int
) -> Tensor:
    """Return the sigmas that ComfyUI's KSampler would use, (steps + 1,), without the last but one for some samplers."""
    return comfy.samplers.KSampler(
        model, steps, torch.device("cpu"), sampler=sampler_name, scheduler=scheduler
    ).sigmas


def batching_changes_results(sampler_name: str) -> bool:
    """Return whether sampling several latents as a batch, with the same first noise, changes the result of each.

    True for samplers that draw noise at their steps, because each item of a batch then gets other noise, and for
    dpm_adaptive, which chooses its steps by the whole batch.
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
    branches: BranchesApart,
) -> Tensor:
    """Sample with ComfyUI's noise, progress bar, previews and cancelling; return the samples, shaped as the latent's.

    Args:
        model: the MODEL.
        latent: ComfyUI's LATENT; its `batch_index` tells which noise each item gets.
        positive: CONDITIONING of the prompt.
        negative: CONDITIONING of the negative prompt.
        sampler: the SAMPLER.
        sigmas: falling, (steps + 1,).
        cfg: strength of guidance.
        seed: of the first noise and of noise at the steps.
        branches: what happens where memory does not suffice for all branches of guidance at once.
    """
    model = branches.put_on(model)
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
