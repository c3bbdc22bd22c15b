"""Options of the multi-frame model's guidance: rescaling, and the interval of the sampling in which it is on."""

import comfy.samplers
import torch
from torch import Tensor


class GuidanceRescale:
    """Post-CFG function of ComfyUI: scales the guided v to the standard deviation of the positive v, and mixes both.

    v = phi * v_guided * std(v_positive) / std(v_guided) + (1 - phi) * v_guided, with the unbiased std of each sample.
    Source: Lin et al. 2023, section 3.4.

    It is no sampler_cfg_function, because ComfyUI subtracts that function's result from X, whose values reach 6000 at
    the first step, and float32 then loses precision (relative error 1e-3).
    """

    def __init__(self, phi: float) -> None:
        self.phi = phi

    def __call__(self, args: dict) -> Tensor:
        x, sigma, sampling = args["input"], args["sigma"], args["model"].model_sampling
        positive = sampling.calculate_v(sigma, args["cond_denoised"], x)
        guided = sampling.calculate_v(sigma, args["denoised"], x)
        dims = list(range(1, guided.ndim))
        rescaled = guided * (positive.std(dim=dims, keepdim=True) / guided.std(dim=dims, keepdim=True))
        return sampling.calculate_denoised(sigma, torch.lerp(guided, rescaled, self.phi), x)


class GuidanceInterval:
    """Runs the negative branch only while sigma is in [sigma_end, sigma_start].

    Outside that interval only the positive branch runs: a step takes half the time and is not guided.
    """

    def __init__(self, sigma_start: float, sigma_end: float) -> None:
        self.sigma_start = sigma_start
        self.sigma_end = sigma_end

    def __call__(self, args: dict) -> list[Tensor]:
        conds, sigma = args["conds"], float(args["sigma"][0])
        if not self.sigma_end <= sigma <= self.sigma_start:
            conds = conds[:1]
        out = comfy.samplers.calc_cond_batch(
            args["model"], conds, args["input"], args["sigma"], args["model_options"]
        )
        return out if len(conds) > 1 else [out[0], out[0]]
