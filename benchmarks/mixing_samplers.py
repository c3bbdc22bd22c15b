"""Every sampler of the host with every scheduler, on our chains."""

from collections.abc import Iterable

import comfy.samplers
from torch import Tensor

from .mixing_chain import SEGMENTS, Chain

FEW_STEPS = 4
LARGEST = 30.0
"""A result whose standard deviation is this many times that of euler with simple has blown up."""

ALL = "all"


def pairs(is_whole: bool) -> list[tuple[str, str]]:
    """Return pairs of a sampler and a scheduler: all of them, or each sampler and each scheduler at least once."""
    samplers, schedulers = comfy.samplers.KSampler.SAMPLERS, comfy.samplers.KSampler.SCHEDULERS
    return [
        (sampler, scheduler)
        for sampler in samplers
        for scheduler in schedulers
        if is_whole or scheduler in ("simple", "linear_quadratic") or sampler == "euler"
    ]


def words_of_samplers(chain: Chain, tried: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Sample with each pair; return {sampler: "all", or "all but" the schedulers with which it fails}."""
    usual = float(_sampled(chain, "euler", "simple").std())
    failed: dict[str, list[str]] = {}
    for sampler, scheduler in tried:
        failures = failed.setdefault(sampler, [])
        try:
            result = _sampled(chain, sampler, scheduler)
        except Exception:  # noqa: BLE001  whatever is raised counts as a failure
            failures.append(scheduler)
            continue
        if not float(result.std()) < LARGEST * usual:  # not a number is not below either
            failures.append(scheduler)
    return {
        sampler: f"{ALL} but {', '.join(failures)}" if failures else ALL
        for sampler, failures in failed.items()
    }


def _sampled(chain: Chain, sampler: str, scheduler: str) -> Tensor:
    """Sample from pure noise, without guidance and, for keyframes, at a quarter of the size."""
    latent = chain.values["latent"]
    samples = latent["samples"] * 0
    if chain.name != SEGMENTS:
        samples = samples[:, :, :8, :8]
    inputs = {
        **chain.values,
        "latent_image": {**latent, "samples": samples},
        "seed": 1,
        "steps": FEW_STEPS,
        "cfg": 1.0,
        "sampler_name": sampler,
        "scheduler": scheduler,
        "denoise": 1.0,
    }
    return chain.nodes["KSampler"].run(inputs)[0]["samples"]
