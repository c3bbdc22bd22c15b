"""The settings of a training run: one JSON file, in which unknown and missing entries are errors."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

OPTIMIZERS = ("adamw", "muon")

NARROWEST_UNET = 96
"""networks.begin_as_identity needs three channels in each of the 32 groups of a group norm."""

RecordT = TypeVar("RecordT")


@dataclass(frozen=True)
class StageSettings:
    """One stage's optimisation."""

    steps: int
    batch: int
    learning_rate: float
    optimizer: str = "adamw"  # or "muon"
    warmup: int = (
        100  # steps over which the learning rate rises; then it falls to a hundredth as half a cosine
    )
    restarts: tuple[int, ...] = ()  # steps at which the rise and fall of the learning rate begin again
    weight_decay: float = 0.01
    ema: float = 0.999  # decay of the averaged weights, which are the result of the training
    clip: float = 1.0  # largest norm of the gradient
    crop: int = 0  # side of random crops in pixels, in the VAEs' stages; 0: whole pictures
    late_crop: int = 0  # crop at the end of the training, where a batch keeps its number of pixels; 0: the same crop throughout
    late_from: float = 1.0  # share of the steps after which late_crop is used
    sequences: int = 0  # how many the VAEs' stages keep in memory


@dataclass(frozen=True)
class Networks:
    """Widths of the networks. Their structure is that of the released models."""

    vae_width: int
    vae_multipliers: tuple[int, ...]
    vae_blocks: int
    unet_width: int
    unet_multipliers: tuple[int, ...]
    unet_blocks: int
    unet_heads: int
    video_unet_width: int
    video_unet_multipliers: tuple[int, ...]
    video_unet_blocks: int
    video_unet_attention: tuple[bool, ...]
    video_unet_head_channels: int
    context: int  # width of text and image tokens
    text_layers: int
    vision_width: int
    vision_layers: int
    projection_width: int
    projection_layers: int
    image_tokens: int  # for each frame


@dataclass(frozen=True)
class Settings:
    """The settings of a whole run."""

    seed: int
    sizes: tuple[tuple[int, int], ...]  # (height, width) of the pictures, multiples of 64
    sequences: int  # number of sequences that are encoded for the diffusion stages
    segments_per_sequence: int
    first_seed: int  # of the procedural painter; seeds below it are never trained on
    dropout: (
        float  # share of batches whose vision tokens are those of grey pictures, for classifier-free guidance
    )
    networks: Networks
    stages: dict[str, StageSettings]


def load_settings(path: Path) -> Settings:
    """Read a settings file.

    Raises:
        ValueError: an entry is missing, unknown or out of range.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    try:
        data["networks"] = _build(Networks, data["networks"])
        data["stages"] = {name: _build(StageSettings, entry) for name, entry in data["stages"].items()}
        settings = _build(Settings, data)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no settings file: {error}. Compare it with training/demo.json."
        ) from error
    for height, width in settings.sizes:
        if height % 64 or width % 64:
            raise ValueError(f"{path}: sizes must be multiples of 64, and {width}x{height} is none.")
    for name, stage in settings.stages.items():
        if stage.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"{path}: the optimizer of {name} is {stage.optimizer!r}; it has to be {' or '.join(OPTIMIZERS)}."
            )
    if settings.networks.unet_width < NARROWEST_UNET:
        raise ValueError(
            f"{path}: unet_width has to be {NARROWEST_UNET} channels wide at least (see networks.begin_as_identity)."
        )
    return settings


def _build(cls: type[RecordT], entries: dict[str, Any]) -> RecordT:
    """Make one of the dataclasses above from a JSON object; the Any is that of json.loads."""
    unknown = entries.keys() - cls.__annotations__.keys()
    if unknown:
        raise KeyError(f"{cls.__name__} has no {', '.join(sorted(unknown))}")
    return cls(**{name: _tuples(value) for name, value in entries.items()})


def _tuples(value: Any) -> Any:
    """Turn lists into tuples at every depth, as the dataclasses are frozen."""
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value
