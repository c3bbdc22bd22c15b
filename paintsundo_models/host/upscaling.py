"""Upscaling models, as ComfyUI's Load Upscale Model gives them."""

from typing import Any

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

_TILE, _LEAST_TILE, _OVERLAP = 512, 128, 32  # pixels, as in the host's own node
_VALUES_A_PIXEL = 3 * 384  # the host's estimate of what these networks need for a pixel of their result


def upscale(upscale_model: Any, frame: Tensor) -> Tensor:
    """Make a frame larger with an upscaling model.

    Args:
        upscale_model: a spandrel ImageModelDescriptor; it goes back to main memory afterwards.
        frame: (H, W, 3) in [0, 1].

    Returns:
        (H * scale, W * scale, 3) in [0, 1], in main memory.
    """
    device = comfy.model_management.get_torch_device()
    needed = comfy.model_management.module_size(upscale_model.model)
    needed += _TILE**2 * _VALUES_A_PIXEL * max(upscale_model.scale, 1) * frame.element_size()
    comfy.model_management.free_memory(needed, device)
    upscale_model.to(device)
    picture = frame.movedim(-1, 0)[None].float().to(device)
    tile = _TILE
    try:
        while True:
            try:
                large = comfy.utils.tiled_scale(
                    picture, upscale_model, tile, tile, _OVERLAP, upscale_amount=upscale_model.scale
                )
                return torch.clamp(large[0].movedim(0, -1), 0, 1)
            except comfy.model_management.OOM_EXCEPTION:
                tile //= 2
                if tile < _LEAST_TILE:
                    raise
    finally:
        upscale_model.to("cpu")
