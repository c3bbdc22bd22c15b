"""What ComfyUI's own Save nodes write, in the names of the released files. Without ComfyUI.

The objects of this pack name their tensors themselves when a whole checkpoint or a MODEL is saved (host.saving). VAE Save
and CLIP Save ask no object: they write a part alone, the image VAE by the names of ComfyUI's network.
"""

import json
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from .parts import HOST_IMAGE_VAE, identify_part

CONFIGS_TENSOR = "paintsundo_configs"
"""Name of a tensor of bytes: JSON of {part: content of its config.json}. The Save nodes keep no header of ours."""

NOT_READ = ("logit_scale", "v_pred", "ztsnr")
"""Tensors that ComfyUI adds and that belong to no network of ours."""

_RENAMES = (
    (r"mid\.block_1\.", "mid_block.resnets.0."),
    (r"mid\.block_2\.", "mid_block.resnets.1."),
    (r"mid\.attn_1\.norm\.", "mid_block.attentions.0.group_norm."),
    (r"mid\.attn_1\.([qkv])\.", r"mid_block.attentions.0.to_\1."),
    (r"mid\.attn_1\.proj_out\.", "mid_block.attentions.0.to_out.0."),
    (r"down\.(\d+)\.block\.", r"down_blocks.\1.resnets."),
    (r"down\.(\d+)\.downsample\.", r"down_blocks.\1.downsamplers.0."),
    (r"norm_out\.", "conv_norm_out."),
)
_UP = re.compile(r"decoder\.up\.(\d+)\.(block|upsample)\.")


def configs_tensor(configs: Mapping[str, Mapping]) -> Tensor:
    """Return the configs of all parts as a tensor of bytes, for CONFIGS_TENSOR."""
    return torch.frombuffer(bytearray(json.dumps(configs).encode()), dtype=torch.uint8)


def grouped(tensors: Mapping[str, Tensor], folder: str | None) -> list[tuple[str, dict[str, Tensor]]]:
    """Divide the tensors of a file or sub-folder into parts: (name of the part's group, {released name: tensor}).

    Args:
        tensors: of several parts with a prefix each, or, in a sub-folder, also of one part without a prefix.
        folder: name of the sub-folder, None for a file.
    """
    if folder is not None and identify_part(tensors):
        return [(folder, released(tensors))]
    groups: dict[str, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        prefix, _, tail = full.partition(".")
        if full not in NOT_READ:
            groups.setdefault(prefix, {})[tail] = tensor
    if folder is not None and not any(map(identify_part, groups.values())):
        return [(folder, dict(tensors))]
    return [(prefix, released(part)) for prefix, part in groups.items()]


def released(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of one part by their released names; those of the image VAE if ComfyUI named them."""
    tensors = {name: tensor for name, tensor in tensors.items() if name not in NOT_READ}
    if identify_part(tensors) is not HOST_IMAGE_VAE:
        return tensors
    levels = 1 + max(int(match[1]) for name in tensors if (match := _UP.match(name)))
    return {
        # The attention's 1 x 1 convolutions are matrices in the released file.
        _released_name(name, levels): tensor[..., 0, 0] if ".attn_1." in name and tensor.ndim == 4 else tensor
        for name, tensor in tensors.items()
    }


def _released_name(name: str, levels: int) -> str:
    def up(match: re.Match[str]) -> str:
        inner = {"block": "resnets.", "upsample": "upsamplers.0."}[match[2]]
        return f"decoder.up_blocks.{levels - 1 - int(match[1])}.{inner}"

    name = _UP.sub(up, name).replace(".nin_shortcut.", ".conv_shortcut.")
    side, dot, tail = name.partition(".")
    for pattern, renamed in _RENAMES:
        tail, count = re.subn(f"^{pattern}", renamed, tail)
        if count:
            break
    return side + dot + tail
