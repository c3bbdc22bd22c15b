"""The optimisers of the settings: AdamW for all weights, or Muon for matrices and AdamW for the others."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .precision import is_bfloat16_fast
from .settings import StageSettings

ADAM_BETAS = (0.9, 0.99)
SMALLEST_MATRIX = 16
"""Muon orthogonalises the updates of weights with at least so many rows and so many columns."""


def make_optimizer(parameters: Sequence[nn.Parameter], settings: StageSettings) -> torch.optim.Optimizer:
    """Make the optimiser that a stage's settings name.

    Muon's updates are scaled to the usual size of AdamW's updates, so both take the same learning rate. A convolution
    counts as a matrix with a row for each output channel.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, betas=ADAM_BETAS)
    common = {"lr": rate, "weight_decay": decay}
    matrices = [p for p in parameters if min(p.shape[0], p[0].numel()) >= SMALLEST_MATRIX]
    known = set(map(id, matrices))
    others = [p for p in parameters if id(p) not in known]
    groups = [
        {"params": matrices, "use_muon": True, "use_adjusted_lr": True, **common},
        {"params": others, "use_muon": False, "betas": ADAM_BETAS, **common},
    ]
    return _make_muon(groups, parameters[0].device)


def _make_muon(groups: list[dict], device: torch.device) -> torch.optim.Optimizer:
    """Make a Muon that orthogonalises in bfloat16, or in float32 where that is faster."""
    # Imported here, because the import takes a second and AdamW does not need it.
    from pytorch_optimizer import Muon
    from pytorch_optimizer.optimizer.utils.matrix import zero_power_via_newton_schulz_5

    if is_bfloat16_fast(device):
        return Muon(groups)

    class Float32Muon(Muon):
        @staticmethod
        def _orthogonalize(group: dict, updates: list[Tensor]) -> list[Tensor]:
            steps, weights = group["ns_steps"], group["ns_coeffs"]
            return [
                zero_power_via_newton_schulz_5(
                    update.flatten(1), num_steps=steps, weights=weights, dtype=torch.float32
                )
                for update in updates
            ]

    return Float32Muon(groups)
