"""The multi-frame model's process as a ModelSampling of ComfyUI.

Process: x_t = sqrt(a) k x0 + sqrt(1 - a) eps and v = sqrt(a) eps - sqrt(1 - a) k x0, with a = alpha_bar(t), k = k(t).
In ComfyUI's coordinates X = x0 + sigma eps, sigma = sqrt((1 - a) / a) / k, and with q = 1 + (sigma k)^2 = 1 / a
    x_t = X k / sqrt(q),    x0 = X / q - v sigma / sqrt(q).
This is an ordinary variance-exploding process, so all samplers of ComfyUI work with it.
"""

import comfy.model_sampling
import comfy.samplers
import torch
from comfy.model_sampling import reshape_sigma
from torch import Tensor

from ..schedule import (
    MULTI_FRAME_BETAS,
    NUM_TIMESTEPS,
    TERMINAL_ALPHA_BAR,
    clean_latent_scale,
    trailing_timesteps,
    zero_snr_alphas_cumprod,
)


class ScaledZeroSNRSampling(comfy.model_sampling.ModelSamplingDiscrete, comfy.model_sampling.V_PREDICTION):
    """v prediction with zero terminal SNR and the clean latent scaled by k(t).

    At the last timestep alpha_bar is 0 and sigma would be infinite. The last entry of the table of sigmas is a large
    finite number that stands for it; at that sigma x0 = -v / k is computed from v alone, without x_t.
    """

    sigmas: Tensor
    log_sigmas: Tensor
    scales: Tensor

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)  # skip the base class, which would register its own schedule
        alphas = zero_snr_alphas_cumprod()
        alphas[-1] = TERMINAL_ALPHA_BAR
        scale = clean_latent_scale()
        self.sigma_data = 1.0
        self.num_timesteps = NUM_TIMESTEPS
        self.linear_start, self.linear_end = MULTI_FRAME_BETAS  # nodes of other packs read these
        self.zsnr = True
        self.set_sigmas(((1 - alphas) / alphas) ** 0.5 / scale)
        self.register_buffer("scales", scale.float())

    def scale_at(self, sigma: Tensor) -> Tensor:
        """Return k at any sigma: exact at the table's entries, linear in log sigma between them, constant beyond its ends."""
        table = self.log_sigmas.to(sigma.device)
        scales = self.scales.to(sigma.device)
        # Flatten: indexing with a 0-d tensor makes the CPU wait for the GPU, at every step.
        log_sigma = sigma.float().reshape(-1).clamp(min=1e-10).log().clamp(table[0], table[-1])
        upper = torch.searchsorted(table, log_sigma).clamp(1, len(table) - 1)
        lower = upper - 1
        weight = (log_sigma - table[lower]) / (table[upper] - table[lower])
        return torch.lerp(scales[lower], scales[upper], weight).reshape(sigma.shape)

    def input_scale(self, sigma: Tensor) -> Tensor:
        """Return x_t / X, the factor from ComfyUI's coordinates to the model's."""
        k = self.scale_at(sigma)
        return k / (1 + (sigma * k) ** 2) ** 0.5

    def is_terminal(self, sigma: Tensor) -> Tensor:
        """Return for each sigma whether it is the last timestep's, where alpha_bar is 0."""
        return sigma >= self.sigma_max.to(sigma.device) * (1 - 1e-6)

    def calculate_input(self, sigma: Tensor, noise: Tensor) -> Tensor:
        return noise * self.input_scale(reshape_sigma(sigma, noise.ndim))

    def calculate_denoised(self, sigma: Tensor, model_output: Tensor, model_input: Tensor) -> Tensor:
        share, v_share = self._denoised_shares(sigma, model_output.ndim)
        return model_input * share - model_output * v_share

    def calculate_v(self, sigma: Tensor, denoised: Tensor, model_input: Tensor) -> Tensor:
        """Return the v from which calculate_denoised computes this denoised latent."""
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
        # At the last timestep the network was trained on pure unit noise. Dividing here by the factor by which
        # calculate_input multiplies makes the network see exactly that.
        scaled = noise / self.input_scale(sigma) if max_denoise else noise * sigma
        return scaled + latent_image

    def trailing_sigmas(self, steps: int) -> Tensor:
        """Return the sigmas at the timesteps of the original's sampler and a final 0, (steps + 1,)."""
        return torch.cat([self.sigmas.cpu()[trailing_timesteps(steps)], torch.zeros(1)])
