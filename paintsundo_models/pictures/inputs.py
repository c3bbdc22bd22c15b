"""Check and convert pictures from an IMAGE socket: (B, H, W, C) in [0, 1], any float dtype, any device."""

import torch
from torch import Tensor


def require_picture(image: Tensor) -> None:
    """Check that a tensor has the shape of a batch of pictures.

    Raises:
        ValueError: it has not four dimensions, or one of them is 0.
    """
    if image.ndim != 4 or 0 in image.shape:
        raise ValueError(
            f"A picture batch has the shape (batch, height, width, channels), none of them 0; got {tuple(image.shape)}."
        )


def composite_on_white(image: Tensor) -> Tensor:
    """Return the pictures as RGB, (B, H, W, 3): RGBA (straight alpha) is laid on white, grey is copied to three channels.

    Raises:
        ValueError: the shape is not (B, H, W, C) with 1, 3 or 4 channels.
    """
    require_picture(image)
    channels = image.shape[-1]
    if channels == 4:
        alpha = image[..., 3:]
        return image[..., :3] * alpha + (1 - alpha)
    if channels == 1:
        return image.expand(-1, -1, -1, 3)
    if channels == 3:
        return image
    raise ValueError(f"A picture has 1 (grey), 3 (RGB) or 4 (RGBA) channels; this one has {channels}.")


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
    picture = composite_on_white(image)  # checks the shape, so that len() below is the number of pictures
    if len(picture) != 1:
        raise ValueError(
            f"{name} is a batch of {len(picture)} pictures, and one is needed. Pick one with ImageFromBatch; for a video of "
            "each, queue the pictures one by one."
        )
    return picture
