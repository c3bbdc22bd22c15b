"""Noise schedules of the two models: pure functions, formula and source with each.

Source of both: Paints-UNDO, diffusers_helper/k_diffusion.py (single frame) and
diffusers_vdm/dynamic_tsnr_sampler.py (multi frame).
"""

import numpy as np
import torch
from torch import Tensor

NUM_TIMESTEPS = 1000

SINGLE_FRAME_BETAS = (0.00085, 0.020)
"""Betas of the single-frame model: linspace of these themselves, not of their roots."""

MULTI_FRAME_BETAS = (0.00085, 0.012)
"""Scaled-linear betas of the multi-frame model, before the rescaling to zero terminal SNR."""

TERMINAL_SCALE = 0.7
TURNING_STEP = 400

TERMINAL_ALPHA_BAR = 4.8973451890853435e-08
"""Stands for alpha_bar(999) = 0 where a finite sigma is needed; ComfyUI's own figure for zero-SNR schedules."""


def zero_snr_alphas_cumprod() -> Tensor:
    """alpha_bar of the multi-frame model, float64 (1000,), alpha_bar[999] = 0 exactly.

    sqrt(alpha_bar) is shifted so that its last entry is 0 and stretched so that its first stays.
    Source: Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.
    """
    start, end = MULTI_FRAME_BETAS
    betas = np.linspace(start**0.5, end**0.5, NUM_TIMESTEPS, dtype=np.float64) ** 2
    root = np.sqrt(np.cumprod(1.0 - betas))
    root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    return torch.from_numpy(root**2)


def clean_latent_scale() -> Tensor:
    """k(t), by which the multi-frame model scales the clean latent: 1 to 0.7 over t < 400, then 0.7. float64 (1000,)."""
    ramp = np.linspace(1.0, TERMINAL_SCALE, TURNING_STEP)
    return torch.from_numpy(np.concatenate([ramp, np.full(NUM_TIMESTEPS - TURNING_STEP, TERMINAL_SCALE)]))


def trailing_timesteps(steps: int) -> list[int]:
    """Timesteps of the multi-frame reference sampler, falling from 999: round(1000, 1000 - c, ...) - 1 with c = 1000 / steps.

    Args:
        steps: 1 to 1000.

    Raises:
        ValueError: for any other number of steps.
    """
    if not 1 <= steps <= NUM_TIMESTEPS:
        raise ValueError(
            f"{steps} sampling steps were asked for; the trailing schedule takes 1 to {NUM_TIMESTEPS}."
        )
    # The float step makes arange overshoot by one entry at 62 step counts (61 is the first): it rounds to t = -1.
    spaced = np.round(np.arange(NUM_TIMESTEPS, 0, -NUM_TIMESTEPS / steps)).astype(int) - 1
    return [int(t) for t in spaced if t >= 0]
