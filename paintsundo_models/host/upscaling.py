"""Upscaling models, as ComfyUI's Load Upscale Model gives them."""

from typing import Any

import comfy.model_management
import comfy.utils
import torch
from torch import Tensor

from .out_of_memory import Stage, once

ENLARGING = Stage(
    "the upscaling model was enlarging a frame",
    "Choose a smaller upscaling model, leave it out, or close other programs.",
)

_TILES, _OVERLAP = (512, 256, 128), 32  # pixels, as in the host's own node
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
    needed += _TILES[0] ** 2 * _VALUES_A_PIXEL * max(upscale_model.scale, 1) * frame.element_size()
    comfy.model_management.free_memory(needed, device)

    def run(tile: int) -> Tensor:
        upscale_model.to(device)
        picture = frame.movedim(-1, 0)[None].float().to(device)
        large = comfy.utils.tiled_scale(
            picture, upscale_model, tile, tile, _OVERLAP, upscale_amount=upscale_model.scale
        )
        return torch.clamp(large[0].movedim(0, -1), 0, 1)

    try:
        return once(
            ENLARGING,
            lambda: run(_TILES[0]),
            [(f"in tiles of {tile} pixels", lambda tile=tile: run(tile)) for tile in _TILES[1:]],
        )
    finally:
        upscale_model.to("cpu")
