"""Check and convert pictures from an IMAGE socket: (B, H, W, C) in [0, 1], any float dtype, any device."""

from collections.abc import Sequence

import torch
from torch import Tensor


def require_picture(image: object, name: str = "A picture") -> None:
    """Check that this is a batch of pictures.

    Args:
        image: what came through a socket.
        name: of the input, for the message.

    Raises:
        ValueError: it is no tensor, its numbers are whole or complex, it has not four dimensions, one of them is 0, or there
            are not 1, 3 or 4 channels.
    """
    if not isinstance(image, Tensor):
        raise ValueError(
            f"{name} is no picture: {described(image)} came. Connect an output of the type IMAGE."
        )
    if image.ndim != 4 or 0 in image.shape:
        raise ValueError(
            f"{name} has the shape {tuple(image.shape)}, and a batch of pictures has (batch, height, width, channels), none of "
            "them 0. Connect an output of the type IMAGE."
        )
    if image.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"{name} has {image.shape[-1]} channels, and a picture has 1 (grey), 3 (RGB) or 4 (RGBA). Connect an output of the "
            "type IMAGE."
        )
    if not image.is_floating_point():
        raise ValueError(
            f"{name} holds numbers of the type {str(image.dtype).removeprefix('torch.')}, and the values of a picture are "
            "decimal numbers from 0 to 1. The node that makes this picture does not follow ComfyUI; connect another output "
            "of the type IMAGE."
        )


def described(value: object) -> str:
    """Say in words what came through a socket in place of the right object."""
    if value is None:
        return "nothing"
    if isinstance(value, Tensor):
        return f"a tensor of the shape {list(value.shape)}"
    if isinstance(value, dict) and "samples" in value:
        return "a latent"
    for kind, words in (
        (str, "a text"),
        (int | float, "a number"),
        (list | tuple, "a list"),
        (dict, "a table"),
    ):
        if isinstance(value, kind):
            return words
    return f"an object of another type ({type(value).__name__})"


def require_finite_picture(image: Tensor, name: str) -> None:
    """Check that no value of a picture is infinite or not a number; such a value would become black without a word.

    Raises:
        ValueError: there is one.
    """
    if not image.isfinite().all():
        raise ValueError(
            f"{name} holds values that are infinite or not a number. The node that makes this picture computed them, mostly "
            "a VAE or an upscaling model in half precision: choose fp32 or bf16 there, or another picture."
        )


def require_pictures(batches: Sequence[Tensor], name: str) -> None:
    """Check the batches of a list, each as require_picture and require_finite_picture do; the message counts them.

    Args:
        batches: what an input that takes a list got.
        name: of the input, for the message.

    Raises:
        ValueError: one of them is refused.
    """
    for number, batch in enumerate(batches, start=1):
        place = name if len(batches) == 1 else f"{name}, number {number} of the list,"
        require_picture(batch, place)
        require_finite_picture(batch, place)


def composite_on_white(image: Tensor, name: str = "The picture") -> Tensor:
    """Return the pictures as RGB, (B, H, W, 3): RGBA (straight alpha) is laid on white, grey is copied to three channels.

    Args:
        image: (B, H, W, C) in [0, 1].
        name: of the input, for the message.

    Raises:
        ValueError: require_picture or require_finite_picture refuses it.
    """
    require_picture(image, name)
    require_finite_picture(image, name)
    channels = image.shape[-1]
    if channels == 4:
        alpha = image[..., 3:]
        return image[..., :3] * alpha + (1 - alpha)
    return image.expand(-1, -1, -1, 3) if channels == 1 else image


def white_canvas(height: int, width: int) -> Tensor:
    """Return one blank canvas (1, height, width, 3), all ones."""
    return torch.ones(1, height, width, 3)


def require_single_picture(image: Tensor, name: str) -> Tensor:
    """Return a single picture as RGB on white, (1, H, W, 3).

    Args:
        image: (1, H, W, C) in [0, 1].
        name: of the input, for the message.

    Raises:
        ValueError: it is a batch of several pictures, or composite_on_white refuses the shape.
    """
    picture = composite_on_white(
        image, name
    )  # checks the shape, so that len() below is the number of pictures
    if len(picture) != 1:
        raise ValueError(
            f"{name} is a batch of {len(picture)} pictures, and one is needed. Pick one with ImageFromBatch; for a video of "
            "each, queue the pictures one by one."
        )
    return picture
