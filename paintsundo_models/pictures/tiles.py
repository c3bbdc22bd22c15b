"""Several pictures as one small picture, for previews."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..layout import frames_as_sheet

if TYPE_CHECKING:
    from PIL.Image import Image


def tiled(pictures: Tensor, longest_side_px: int) -> "Image":
    """Lay pictures (N, H, W, 3) in [0, 1] side by side on white, scaled down to a longest side of `longest_side_px`."""
    from PIL import Image

    levels = (pictures.clamp(0, 1) * 255).round().to("cpu", torch.uint8)
    video = levels.movedim(-1, 0)[None]  # (1, 3, N, H, W)
    sheet = frames_as_sheet(video, blank=255)[0].movedim(0, -1)
    image = Image.fromarray(sheet.contiguous().numpy())
    image.thumbnail((longest_side_px, longest_side_px), Image.Resampling.BOX)
    return image
