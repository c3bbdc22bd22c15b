"""Upscaling models, as ComfyUI's Load Upscale Model gives them."""

from typing import Any

from torch import Tensor


def upscale(upscale_model: Any, frame: Tensor) -> Tensor:
    """Return a frame (H, W, 3) in [0, 1], made larger by a model: (H', W', 3) in [0, 1].

    The host's own node does it, with its tiles and its way out of too little memory.
    """
    # Here, because this module of the host loads every architecture of upscaling models.
    from comfy_extras.nodes_upscale_model import ImageUpscaleWithModel

    return ImageUpscaleWithModel.execute(upscale_model, frame[None]).args[0][0]
