"""Guidance of the multi-frame model: its rescaling, and the interval in which it is on."""

import comfy.samplers
import torch
from torch import Tensor


class GuidanceRescale:
    """Post-CFG function: scale the guided v to the standard deviation of the positive v, and mix.

    v = phi * v_guided * std(v_positive) / std(v_guided) + (1 - phi) * v_guided, std unbiased over a sample.
    Source: Lin et al. 2023, section 3.4. A sampler_cfg_function would lose 1e-3: the host subtracts from X ~ 6000 there.
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
    """Run the negative branch only while the sampling is between two shares of its way; outside, guidance is off and free."""

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
