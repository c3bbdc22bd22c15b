"""A small picture that shows what a crop cuts off."""

import math

import numpy as np
import torch
from torch import Tensor

from .resizing import CropBox, resize_and_center_crop

_CUT_SHADE = 0.25  # brightness of the margins that are cut off

_PREVIEW_SIDE = 320  # pixels; about the size at which a node shows it, and quick to save


def cut_preview(image: Tensor, box: CropBox) -> Tensor:
    """Return a small copy of the picture in which the margins that a crop cuts off are dark, with a caption below.

    Args:
        image: the uncropped picture, (1, H, W, 3) in [0, 1].
        box: the region that the crop keeps.

    Returns:
        (1, h, w, 3) in [0, 1], float32; the picture's longer side is 320 pixels.
    """
    from PIL import Image, ImageDraw

    scale = _PREVIEW_SIDE / max(box.image_width, box.image_height)
    width, height = max(1, round(box.image_width * scale)), max(1, round(box.image_height * scale))
    small = resize_and_center_crop(image.float(), width, height)[0].cpu()
    kept = torch.zeros(height, width, 1, dtype=torch.bool)
    kept[
        round(box.top * scale) : round(box.bottom * scale), round(box.left * scale) : round(box.right * scale)
    ] = True
    shaded = (torch.where(kept, small, small * _CUT_SHADE).clamp(0, 1) * 255).round().to(torch.uint8)

    caption = box.describe().replace("; ", ";\n")
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), caption)
    caption_width, caption_height = math.ceil(measure[2]), math.ceil(measure[3])
    canvas = Image.new("RGB", (max(width, caption_width + 8), height + caption_height + 8), (32, 32, 32))
    canvas.paste(Image.fromarray(shaded.numpy()), ((canvas.width - width) // 2, 0))
    ImageDraw.Draw(canvas).multiline_text((4, height + 4), caption, fill=(235, 235, 235))
    return torch.from_numpy(np.array(canvas)).float().div_(255)[None]
