"""A key of everything that a sampling depends on, or none where something in it cannot be identified.

Two samplings with equal keys give equal latents on this machine. So the key must change with every input, weight and
patch; what this module does not know by its type is never guessed at, and makes the sampling unidentified.
"""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import comfy.ldm.modules.attention
import comfy.model_management as mm
import comfy.model_patcher
import numpy as np
import torch
from torch import Tensor

from ..multi_frame.guidance import GuidanceInterval, GuidanceRescale
from ..multi_frame.windows import TemporalWindow
from .sampling import Conditioning, SamplerSettings

if TYPE_CHECKING:
    from hashlib import _Hash

SOURCE = "paintsundo_source"
"""Attribute of a MODEL's network: the names, sizes and times of the checkpoint's files and the type of the weights."""

VERSION = 1
"""Counted up when the pack's sampling gives other numbers than before, so that nothing older is used again."""

_UNUSED = (
    "object_patches",
    "weight_wrapper_patches",
    "attachments",
    "additional_models",
    "callbacks",
    "wrappers",
    "injections",
    "hook_patches",
    "current_hooks",
    "forced_hooks",
)
"""What other nodes hang on a MODEL besides weight patches and options; only where all are empty is it identified."""


class UnidentifiedError(TypeError):
    """Something that a result depends on cannot be told apart from others of its kind."""


def sampling_key(
    model: comfy.model_patcher.ModelPatcher,
    conditioning: tuple[Conditioning, Conditioning],
    latent: Mapping[str, object],
    sigmas: Tensor,
    settings: SamplerSettings,
) -> str | None:
    """Return the key of a sampling, 64 hexadecimal digits, or None where something in it cannot be identified.

    Args:
        model: with the attribute SOURCE on its network.
        conditioning: positive and negative, with all that they carry.
        latent: the host's LATENT.
        sigmas: (steps + 1,).
        settings: seed, cfg and the names of sampler and scheduler.
    """
    digest = hashlib.sha256()
    try:
        read = [_read_by_the_model(entries) for entries in conditioning]
        _feed(digest, [VERSION, _machine(model), _patched(model), read, dict(latent), sigmas])
        _feed(digest, [settings.seed, settings.cfg, settings.sampler_name, settings.scheduler])
    except UnidentifiedError:
        return None
    return digest.hexdigest()


def _read_by_the_model(entries: Conditioning) -> list:
    """Leave out the pooled output, which the model does not read.

    Checkpoints without a text projection leave its weights to chance, so it differs from one start of ComfyUI to the next.
    """
    return [
        [tokens, {name: value for name, value in values.items() if name != "pooled_output"}]
        for tokens, values in entries
    ]


def _machine(model: comfy.model_patcher.ModelPatcher) -> list:
    """List what changes the last bits of a result although the inputs are the same."""
    network = model.model
    device = model.load_device
    return [
        torch.__version__,
        mm.get_torch_device_name(device),
        torch.get_num_threads() if mm.is_device_cpu(device) else 0,
        network.get_dtype(),
        network.manual_cast_dtype,
        comfy.ldm.modules.attention.optimized_attention.__name__,
    ]


def _patched(model: comfy.model_patcher.ModelPatcher) -> list:
    """List what the MODEL consists of: the checkpoint's files, the patches of its weights, and its options."""
    source = getattr(model.model, SOURCE, None)
    if source is None:
        raise UnidentifiedError("the checkpoint is unknown")
    if any(_holds_anything(getattr(model, name, None)) for name in _UNUSED):
        raise UnidentifiedError("another node has changed more than weights and options")
    return [source, model.patches, model.model_options]


def _holds_anything(value: object) -> bool:
    """Tell whether something lies in a container, or in the containers inside it."""
    if isinstance(value, Mapping):
        return any(_holds_anything(inner) for inner in value.values())
    if isinstance(value, list | tuple | set):
        return any(_holds_anything(inner) for inner in value)
    return value is not None


def _feed(digest: "_Hash", value: object) -> None:
    """Add a value to a digest, so that different values of all known types add different bytes.

    Raises:
        UnidentifiedError: the value, or one inside it, is of another type.
    """
    digest.update(f"<{type(value).__module__}.{type(value).__qualname__}>".encode())
    if value is None or isinstance(value, bool | int | float | str | torch.dtype | torch.device):
        digest.update(repr(value).encode("utf-8", "surrogatepass"))
    elif isinstance(value, Tensor):
        _feed_tensor(digest, value)
    elif isinstance(value, Mapping):
        digest.update(f"{len(value)}:".encode())
        for key in sorted(value, key=repr):
            _feed(digest, key)
            _feed(digest, value[key])
    elif isinstance(value, set | frozenset):
        _feed(digest, sorted(value, key=repr))
    elif isinstance(value, list | tuple):
        digest.update(f"{len(value)}:".encode())
        for inner in value:
            _feed(digest, inner)
    elif isinstance(value, GuidanceRescale | GuidanceInterval | TemporalWindow) or _is_weight_adapter(value):
        _feed(digest, vars(value))
    else:
        raise UnidentifiedError(f"a {type(value).__qualname__} cannot be identified")


def _is_weight_adapter(value: object) -> bool:
    """Tell whether this is one of the host's own forms of a LoRA, which consist of tensors and numbers."""
    return type(value).__module__.startswith("comfy.weight_adapter.")


def _feed_tensor(digest: "_Hash", value: Tensor) -> None:
    digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
    flat = value.detach().cpu().contiguous().reshape(-1)
    digest.update(np.ascontiguousarray(flat.view(torch.uint8).numpy()).data)
