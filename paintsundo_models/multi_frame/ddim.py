"""The original's DDIM as a sampler of ComfyUI, in the coordinates of the multi-frame model's process."""

from collections.abc import Callable

import comfy.samplers
import torch
from torch import Tensor
from tqdm.auto import trange

from .process import ScaledZeroSNRSampling

NoiseSampler = Callable[[Tensor, Tensor], Tensor]
"""Function of a step's sigma and the next sigma that returns unit noise for that step."""


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
    """Sample with the original's DDIM, in the model's own coordinates x_t and in float32.

    If the sigmas end at 0, the last step goes to t = 0 and returns x_0 with the small amount of noise of that timestep,
    as the original does.

    Each step: e = (x_t - sqrt(a) k D) / sqrt(1 - a), s = eta sqrt((1 - a') / (1 - a) (1 - a / a')),
    x_t' = sqrt(a') k' D + sqrt(1 - a' - s^2) e + s noise, primes marking the next step and D the denoised latent.
    Source: Song et al. 2021 (DDIM), eq. 12, with diffusers_vdm/dynamic_tsnr_sampler.py's scaling of the clean latent.

    Args:
        model: ComfyUI's denoiser; model(x, sigma) returns D.
        x: the noisy latent X at sigmas[0], (B, C, T, H, W).
        sigmas: falling, (steps + 1,).
        extra_args: arguments that ComfyUI passes on to `model`; `seed` seeds the noise of the steps.
        callback: ComfyUI's progress and preview callback.
        disable: True hides the progress bar in the console.
        eta: share of fresh noise at each step, 0 (none) to 1 (the original).
        noise_sampler: returns unit noise shaped like x; None draws it on the CPU.

    Returns:
        The latent, shaped like x.

    Raises:
        ValueError: the model's process is not that of the multi-frame model.
    """
    extra_args = extra_args or {}
    sampling = model.inner_model.model_patcher.get_model_object("model_sampling")
    if not isinstance(sampling, ScaledZeroSNRSampling):
        raise ValueError(
            "PaintsUndo DDIM Sampler works only with the multi-frame model. Connect the MODEL of the PaintsUndo "
            "Multi-Frame Loader (without a ModelSampling node behind it), or choose another sampler."
        )
    noise_sampler = noise_sampler or cpu_noise_sampler(x, extra_args.get("seed"))
    batch = x.new_ones([x.shape[0]])
    ends_at_zero = bool(sigmas[-1] == 0)
    sigmas = sigmas.clamp(min=float(sampling.sigma_min))

    on_cpu = sigmas.cpu()  # because some devices have no float64
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
        # At both ends of the schedule these differences are 0 in theory. Rounding can make them negative, and the root
        # of a negative number made the original's videos black; so clamp them at 0.
        s = eta * max((1 - a_next) / (1 - a) * (1 - a / a_next), 0.0) ** 0.5
        x_t = a_next**0.5 * k_next * denoised + max(1 - a_next - s**2, 0.0) ** 0.5 * e
        if s > 0:
            x_t = x_t + s * noise_sampler(sigmas[i], sigmas[i + 1])

        is_last = i + 2 == len(sigmas)
        x = x_t if is_last and ends_at_zero else x_t / sampling.input_scale(sigmas[i + 1])
    return x


def cpu_noise_sampler(x: Tensor, seed: int | None) -> NoiseSampler:
    """Return a noise sampler that draws on the CPU, so that a seed gives the same result on every device.

    It continues the random sequence behind the first noise, which ComfyUI drew from the same seed.
    """
    generator = torch.Generator("cpu")
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    torch.randn(x.shape, generator=generator)  # skip the numbers of the first noise

    def sample(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=generator).to(x)

    return sample
