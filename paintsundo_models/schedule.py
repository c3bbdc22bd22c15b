"""Noise schedules of the two models, as pure functions.

Source of both: Paints-UNDO, diffusers_helper/k_diffusion.py (single frame) and
diffusers_vdm/dynamic_tsnr_sampler.py (multi frame).
"""

import numpy as np
import torch
from torch import Tensor

NUM_TIMESTEPS = 1000

SINGLE_FRAME_BETAS = (0.00085, 0.020)
"""First and last beta of the single-frame model; the betas are a linspace between them, without square roots."""

MULTI_FRAME_BETAS = (0.00085, 0.012)
"""First and last beta of the multi-frame model, whose square roots are a linspace; before the rescaling to zero SNR."""

TERMINAL_SCALE = 0.7
TURNING_STEP = 400
"""k(t) falls from 1 to TERMINAL_SCALE until TURNING_STEP, and stays there."""

TERMINAL_ALPHA_BAR = 4.8973451890853435e-08
"""Used in place of alpha_bar(999) = 0 to get a finite sigma; the number that ComfyUI uses for its zero-SNR schedules."""


def zero_snr_alphas_cumprod() -> Tensor:
    """Return alpha_bar of the multi-frame model, float64 (1000,), with alpha_bar[999] = 0 exactly.

    sqrt(alpha_bar) is shifted so that its last entry becomes 0, and then scaled so that its first entry is unchanged.
    Source: Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1.
    """
    start, end = MULTI_FRAME_BETAS
    betas = np.linspace(start**0.5, end**0.5, NUM_TIMESTEPS, dtype=np.float64) ** 2
    root = np.sqrt(np.cumprod(1.0 - betas))
    root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    return torch.from_numpy(root**2)


def clean_latent_scale() -> Tensor:
    """Return k(t), by which the multi-frame model scales the clean latent, float64 (1000,).

    It falls linearly from 1 to 0.7 over t = 0 to 399 and is 0.7 from t = 400 on.
    """
    ramp = np.linspace(1.0, TERMINAL_SCALE, TURNING_STEP)
    return torch.from_numpy(np.concatenate([ramp, np.full(NUM_TIMESTEPS - TURNING_STEP, TERMINAL_SCALE)]))


def trailing_timesteps(steps: int) -> list[int]:
    """Return the timesteps of the original's sampler of the multi-frame model, falling from 999.

    They are round(1000, 1000 - c, 1000 - 2c, ...) - 1 with c = 1000 / steps.

    Args:
        steps: 1 to 1000.

    Raises:
        ValueError: steps is not in 1 to 1000.
    """
    if not 1 <= steps <= NUM_TIMESTEPS:
        raise ValueError(
            f"{steps} sampling steps were asked for; the trailing schedule takes 1 to {NUM_TIMESTEPS}."
        )
    # Rounding of c makes arange return one entry too many for 62 of the 1000 step counts (61 is the first). That entry
    # becomes t = -1 and is dropped.
    spaced = np.round(np.arange(NUM_TIMESTEPS, 0, -NUM_TIMESTEPS / steps)).astype(int) - 1
    return [int(t) for t in spaced if t >= 0]
