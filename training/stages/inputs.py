"""The arguments that several stages share, as records."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..latents import EncodedSequence
from ..sequences import ProceduralSequences, SequenceSource
from ..settings import StageSettings

LatentSize = tuple[int, int]
"""Height and width of a latent, an eighth of the picture's."""


@dataclass(frozen=True)
class StageInputs:
    """The arguments of every stage."""

    source: SequenceSource  # sequences to train on
    held_out: ProceduralSequences  # sequences that are never trained on, for sample sheets
    settings: StageSettings
    device: torch.device


@dataclass(frozen=True)
class Encoded:
    """The training data of the two diffusion stages."""

    sequences: dict[LatentSize, list[EncodedSequence]]
    prompts: Tensor  # (N, 77, D) text tokens


@dataclass(frozen=True)
class VisionTokens:
    """Tokens of the vision encoder, for pictures that are not among the encoded sequences."""

    grey: dict[LatentSize, Tensor]  # (2, L, D) of two plain grey pictures, for each size
    shown: list[Tensor]  # (1, 2, L, D) of the first and last picture of each segment on the sample sheet
