"""Small files that the host's loaders read, with seeded weights: LoRAs of every kind, a hypernetwork, a ControlNet."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folder_paths
import torch
from comfy.cldm.cldm import ControlNet as ControlNetwork
from comfy.controlnet import ControlNet
from comfy.model_patcher import ModelPatcher
from safetensors.torch import save_file
from torch import Tensor

RANK = 2
PATCHED = ("attn1.to_v.weight", "attn2.to_out.0.weight")
"""Ends of the names of the weights that the LoRAs change."""

Tensors = dict[str, Tensor]


def _numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))) / math.sqrt(shape[-1])


def _lora(height: int, width: int) -> Tensors:
    return {
        "lora_up.weight": _numbers(height, RANK),
        "lora_down.weight": _numbers(RANK, width),
        "alpha": torch.tensor(float(RANK)),
    }


def _dora(height: int, width: int) -> Tensors:
    return {**_lora(height, width), "dora_scale": _numbers(height, 1).abs() + 0.5}


def _loha(height: int, width: int) -> Tensors:
    tensors = {}
    for number in (1, 2):
        tensors[f"hada_w{number}_a"] = _numbers(height, RANK)
        tensors[f"hada_w{number}_b"] = _numbers(RANK, width)
    return tensors


def _lokr(height: int, width: int) -> Tensors:
    return {"lokr_w1": _numbers(2, 2), "lokr_w2": _numbers(height // 2, width // 2)}


def _glora(height: int, width: int) -> Tensors:
    shapes = {"a1": (width, RANK), "a2": (RANK, width), "b1": (height, RANK), "b2": (RANK, width)}
    return {f"{name}.weight": _numbers(*shape) for name, shape in shapes.items()}


def _oft(height: int, width: int) -> Tensors:
    return {"oft_blocks": _numbers(height // 8, 8, 8)}


def _boft(height: int, width: int) -> Tensors:
    return {"oft_blocks": _numbers(2, height // 8, 8, 8), "alpha": torch.tensor(1.0)}


def _full(height: int, width: int) -> Tensors:
    return {"diff": _numbers(height, width)}


KINDS: dict[str, Callable[[int, int], Tensors]] = {
    "LoRA": _lora,
    "DoRA": _dora,
    "LoHa": _loha,
    "LoKr": _lokr,
    "GLoRA": _glora,
    "OFT": _oft,
    "BOFT": _boft,
    "full difference": _full,
}
"""The kinds of LoRA files that the host reads, each a function from a weight's shape to the file's tensors for it."""


def lora_tensors(model: ModelPatcher, kind: str = "LoRA") -> Tensors:
    """Return a LoRA for a MODEL, in the names that the host knows for every model."""
    weights = {
        name: tuple(value.shape)
        for name, value in model.model.state_dict().items()
        if name.endswith(PATCHED) and value.ndim == 2
    }
    return {
        f"{name.removesuffix('.weight')}.{part}": tensor
        for name, (height, width) in weights.items()
        for part, tensor in KINDS[kind](height, width).items()
    }


def write_files(folder: Path, name: str, model: ModelPatcher, context_width: int) -> None:
    """Write a LoRA of each kind, and a hypernetwork, and tell the host where they lie.

    Args:
        folder: becomes one of the host's folders for loras and hypernetworks.
        name: start of the files' names.
        model: the MODEL that they are for.
        context_width: numbers in a token of its prompt.
    """
    for kind in ("loras", "hypernetworks"):
        (folder / kind).mkdir(exist_ok=True)
        folder_paths.add_model_folder_path(kind, str(folder / kind))
    for kind in KINDS:
        save_file(lora_tensors(model, kind), folder / "loras" / f"{name} {kind}.safetensors")
    layer = {
        "linear.0.weight": _numbers(context_width, context_width),
        "linear.0.bias": torch.zeros(context_width),
    }
    names = ("is_layer_norm", "use_dropout", "activate_output", "last_layer_dropout")
    settings: dict[Any, Any] = {"activation_func": "linear", **dict.fromkeys(names, False)}
    torch.save({**settings, context_width: (layer, layer)}, folder / "hypernetworks" / f"{name}.pt")


def make_control_net(model: ModelPatcher) -> ControlNet:
    """Return a CONTROL_NET for pictures, with the structure and the widths of the single-frame model's UNet."""
    config = {**model.model.model_config.unet_config, "in_channels": 4, "hint_channels": 3}
    for name in ("out_channels", "num_classes", "adm_in_channels"):
        config.pop(name, None)
    network = ControlNetwork(**{"image_size": 32, **config, "dtype": torch.float32})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(_numbers(*parameter.shape) if parameter.ndim > 1 else torch.ones(parameter.shape))
    return ControlNet(network, load_device=model.load_device, manual_cast_dtype=None)
