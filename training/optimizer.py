"""The optimisers of the settings: AdamW, or Muon for what is a matrix and AdamW for the rest."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .precision import is_bfloat16_fast
from .settings import StageSettings

ADAM_BETAS = (0.9, 0.99)
SMALLEST_MATRIX = 16
"""Rows, and columns, that a weight has at least for Muon to orthogonalise its updates."""


def make_optimizer(parameters: Sequence[nn.Parameter], settings: StageSettings) -> torch.optim.Optimizer:
    """The optimiser that a stage's settings name.

    Muon's updates are scaled to the size that AdamW's usually have, so both take the same learning rate. Convolutions
    count as matrices with a row for each output channel.
    """
    common = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, betas=ADAM_BETAS, **common)
    matrices = [p for p in parameters if min(p.shape[0], p[0].numel()) >= SMALLEST_MATRIX]
    known = set(map(id, matrices))
    others = [p for p in parameters if id(p) not in known]
    return _muon_class(parameters[0].device)(
        [
            {"params": matrices, "use_muon": True, "use_adjusted_lr": True, **common},
            {"params": others, "use_muon": False, "betas": ADAM_BETAS, **common},
        ]
    )


def _muon_class(device: torch.device) -> type[torch.optim.Optimizer]:
    """Muon, which orthogonalises in bfloat16, or the same in float32 where that is faster."""
    # here, because it takes a second that no other use of this module needs
    from pytorch_optimizer import Muon
    from pytorch_optimizer.optimizer.utils.matrix import zero_power_via_newton_schulz_5

    if is_bfloat16_fast(device):
        return Muon

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

    return Float32Muon
