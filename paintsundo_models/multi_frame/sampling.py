"""The multi-frame model's process as the host sees it: a ModelSampling, the reference's DDIM as a sampler, guidance.

Process: x_t = sqrt(a) k x0 + sqrt(1 - a) eps and v = sqrt(a) eps - sqrt(1 - a) k x0, with a = alpha_bar(t), k = k(t).
In the host's coordinates X = x0 + sigma eps, sigma = sqrt((1 - a) / a) / k, and with q = 1 + (sigma k)^2 = 1 / a
    x_t = X k / sqrt(q),    x0 = X / q - v sigma / sqrt(q).
So every sampler that knows variance-exploding processes runs on it.
"""

from collections.abc import Callable

import comfy.model_sampling
import comfy.samplers
import torch
from comfy.model_sampling import reshape_sigma
from torch import Tensor
from tqdm.auto import trange

from ..schedule import (
    MULTI_FRAME_BETAS,
    NUM_TIMESTEPS,
    TERMINAL_ALPHA_BAR,
    clean_latent_scale,
    trailing_timesteps,
    zero_snr_alphas_cumprod,
)

NoiseSampler = Callable[[Tensor, Tensor], Tensor]
"""Unit noise for a step from one sigma to the next."""


class ScaledZeroSNRSampling(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.V_PREDICTION):
    """v prediction with zero terminal SNR and the clean latent scaled by k(t).

    The table's last sigma only labels the terminal step, where alpha_bar is 0: there x0 = -v / k, nothing of x_t.
    """

    sigmas: Tensor
    log_sigmas: Tensor
    scales: Tensor

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)  # the base would register its own schedule
        alphas = zero_snr_alphas_cumprod()
        alphas[-1] = TERMINAL_ALPHA_BAR
        scale = clean_latent_scale()
        self.sigma_data = 1.0
        self.num_timesteps = NUM_TIMESTEPS
        self.linear_start, self.linear_end = MULTI_FRAME_BETAS  # read by other packs' nodes
        self.zsnr = True
        self.set_sigmas(((1 - alphas) / alphas) ** 0.5 / scale)
        self.register_buffer("scales", scale.float())

    def scale_at(self, sigma: Tensor) -> Tensor:
        """k at any sigma: exact on the table, linear in log sigma between its entries, constant beyond its ends."""
        table = self.log_sigmas.to(sigma.device)
        scales = self.scales.to(sigma.device)
        # flat: with an index of no dimensions the table would wait for the GPU, at every step
        log_sigma = sigma.float().reshape(-1).clamp(min=1e-10).log().clamp(table[0], table[-1])
        upper = torch.searchsorted(table, log_sigma).clamp(1, len(table) - 1)
        lower = upper - 1
        weight = (log_sigma - table[lower]) / (table[upper] - table[lower])
        return torch.lerp(scales[lower], scales[upper], weight).reshape(sigma.shape)

    def input_scale(self, sigma: Tensor) -> Tensor:
        """x_t / X."""
        k = self.scale_at(sigma)
        return k / (1 + (sigma * k) ** 2) ** 0.5

    def is_terminal(self, sigma: Tensor) -> Tensor:
        return sigma >= self.sigma_max.to(sigma.device) * (1 - 1e-6)

    def calculate_input(self, sigma: Tensor, noise: Tensor) -> Tensor:
        return noise * self.input_scale(reshape_sigma(sigma, noise.ndim))

    def calculate_denoised(self, sigma: Tensor, model_output: Tensor, model_input: Tensor) -> Tensor:
        share, v_share = self._denoised_shares(sigma, model_output.ndim)
        return model_input * share - model_output * v_share

    def calculate_v(self, sigma: Tensor, denoised: Tensor, model_input: Tensor) -> Tensor:
        """The v that gives this denoised latent; the inverse of calculate_denoised."""
        share, v_share = self._denoised_shares(sigma, denoised.ndim)
        return (model_input * share - denoised) / v_share

    def _denoised_shares(self, sigma: Tensor, ndim: int) -> tuple[Tensor, Tensor]:
        sigma = reshape_sigma(sigma, ndim)
        q = 1 + (sigma * self.scale_at(sigma)) ** 2
        return torch.where(self.is_terminal(sigma), torch.zeros_like(q), 1 / q), sigma / q**0.5

    def noise_scaling(
        self, sigma: Tensor, noise: Tensor, latent_image: Tensor, max_denoise: bool = False
    ) -> Tensor:
        sigma = reshape_sigma(sigma, noise.ndim)
        # At zero SNR the network was trained on pure unit noise, and must see it unscaled.
        scaled = noise / self.input_scale(sigma) if max_denoise else noise * sigma
        return scaled + latent_image

    def trailing_sigmas(self, steps: int) -> Tensor:
        """Sigmas at the reference sampler's timesteps and a final 0, (steps + 1,)."""
        return torch.cat([self.sigmas.cpu()[trailing_timesteps(steps)], torch.zeros(1)])


def sample_ddim(
    model: comfy.samplers.KSamplerX0Inpaint,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict | None = None,
    callback: Callable[[dict], None] | None = None,
    disable: bool | None = None,
    eta: float = 1.0,
    noise_sampler: NoiseSampler | None = None,
) -> Tensor:
    """The reference's DDIM, in the model's own coordinates x_t and in float32. Where the sigmas end at 0 it stops at t = 0
    and returns x_0 as it is, with the little noise that belongs to it: so does the reference.

    Each step: e = (x_t - sqrt(a) k D) / sqrt(1 - a), s = eta sqrt((1 - a') / (1 - a) (1 - a / a')),
    x_t' = sqrt(a') k' D + sqrt(1 - a' - s^2) e + s noise, primes marking the next step and D the denoised latent.
    Source: Song et al. 2021 (DDIM), eq. 12, with diffusers_vdm/dynamic_tsnr_sampler.py's scaling of the clean latent.

    Args:
        model: the host's denoiser; model(x, sigma) gives D.
        x: X at sigmas[0], (B, C, T, H, W).
        sigmas: falling, (steps + 1,).
        extra_args: the host's; `seed` starts the step noise.
        callback: the host's progress and preview callback.
        disable: True hides the console's progress bar.
        eta: 0 (deterministic) to 1 (the reference).
        noise_sampler: called with two sigmas, gives unit noise like x; the default draws on the CPU.

    Returns:
        The latent, like x.

    Raises:
        ValueError: the model has another process.
    """
    extra_args = extra_args or {}
    sampling = model.inner_model.model_patcher.get_model_object("model_sampling")
    if not isinstance(sampling, ScaledZeroSNRSampling):
        raise ValueError(
            "PaintsUndo DDIM Sampler only knows the process of the multi-frame model. Connect the MODEL of the PaintsUndo "
            "Multi-Frame Loader (without a ModelSampling node behind it), or choose another sampler."
        )
    noise_sampler = noise_sampler or cpu_noise_sampler(x, extra_args.get("seed"))
    batch = x.new_ones([x.shape[0]])
    ends_at_zero = bool(sigmas[-1] == 0)
    sigmas = sigmas.clamp(min=float(sampling.sigma_min))

    on_cpu = sigmas.cpu()  # some devices have no float64
    k = sampling.scale_at(on_cpu).double()
    alphas = 1 / (1 + (on_cpu.double() * k) ** 2)
    alphas = torch.where(sampling.is_terminal(on_cpu), torch.zeros_like(alphas), alphas)

    for i in trange(len(sigmas) - 1, disable=disable):
        denoised = model(x, sigmas[i] * batch, **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})

        a, a_next, k_now, k_next = (float(value) for value in (alphas[i], alphas[i + 1], k[i], k[i + 1]))
        x_t = x * sampling.input_scale(sigmas[i])
        e = (x_t - a**0.5 * k_now * denoised) / (1 - a) ** 0.5
        # Both differences are 0 in theory at the ends; rounding below 0 is what made the reference's videos black.
        s = eta * max((1 - a_next) / (1 - a) * (1 - a / a_next), 0.0) ** 0.5
        x_t = a_next**0.5 * k_next * denoised + max(1 - a_next - s**2, 0.0) ** 0.5 * e
        if s > 0:
            x_t = x_t + s * noise_sampler(sigmas[i], sigmas[i + 1])

        is_last = i + 2 == len(sigmas)
        x = x_t if is_last and ends_at_zero else x_t / sampling.input_scale(sigmas[i + 1])
    return x


def cpu_noise_sampler(x: Tensor, seed: int | None) -> NoiseSampler:
    """Unit noise like x from the CPU generator that drew the first noise, so that a seed gives one result on any device."""
    generator = torch.Generator("cpu")
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    torch.randn(x.shape, generator=generator)  # the first noise, which the host drew from the same seed

    def sample(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=generator).to(x)

    return sample


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
