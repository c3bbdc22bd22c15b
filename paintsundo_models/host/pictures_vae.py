"""Encoding and decoding with the single-frame model's VAE, which is the host's own class; less at once where memory runs out."""

import comfy.sd
import torch
from torch import Tensor

from .out_of_memory import IN_TILES, OTHER_REMEDIES, Stage, in_groups, once, without_tiles

_SMALLER = f"Lower width and height. {OTHER_REMEDIES}"


def encode_whole(vae: comfy.sd.VAE, image: Tensor) -> Tensor:
    """Encode a picture (1, H, W, 3), in tiles only if nothing else helps; return its latent, (1, 4, h, w).

    Raises:
        NotEnoughMemoryError: memory does not suffice.
    """
    whole = without_tiles(vae)
    return once(
        Stage("the single-frame VAE was encoding the picture", _SMALLER),
        lambda: whole.encode(image),  # pyright: ignore[reportReturnType]  the host's annotation allows None
        [(IN_TILES, lambda: vae.encode_tiled(image))],
    )


def decode_whole(vae: comfy.sd.VAE, samples: Tensor, most: int) -> Tensor:
    """Decode latents (N, 4, h, w), in smaller groups where memory runs out; return (N, 8h, 8w, 3).

    Args:
        vae: of the single-frame model.
        samples: latents.
        most: pictures decoded at once.

    Raises:
        NotEnoughMemoryError: memory does not suffice.
    """
    whole = without_tiles(vae)
    pictures = in_groups(
        Stage("the single-frame VAE was decoding the keyframes", _SMALLER),
        len(samples),
        most,
        lambda start, stop: whole.decode(samples[start:stop]),
        [(IN_TILES, lambda start, stop: vae.decode_tiled(samples[start:stop]))],
    )
    return torch.cat(pictures)
