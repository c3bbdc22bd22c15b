"""Previews on the nodes: the results, and what cropping cut off the input picture."""

import comfy.utils
from comfy.cli_args import LatentPreviewMethod, args
from comfy_api.latest import io, ui
from torch import Tensor

from ..paintsundo_models.pictures import crop_preview, inputs, resizing
from ..paintsundo_models.pictures.resizing import CropBox
from ..paintsundo_models.pictures.tiles import tiled

LAST_PREVIEW_SIDE_PX = 1024


def box_of(image: Tensor, result: Tensor) -> CropBox:
    """Return the part of an input picture that is kept when it is resized and cropped to the results' size."""
    return resizing.crop_box(image.shape[2], image.shape[1], result.shape[2], result.shape[1])


def cut_shown(cls: type[io.ComfyNode], image: Tensor, box: CropBox) -> list:
    """Save a small preview of what was cut off; return its entries for the node's `images`, or none if nothing was cut."""
    if not box.cuts:
        return []
    small = crop_preview.cut_preview(inputs.composite_on_white(image), box)
    return ui.PreviewImage(small, cls=cls).as_dict()["images"]


def results_shown(cls: type[io.ComfyNode], results: Tensor, image: Tensor) -> dict:
    """Preview the results, followed by what was cut off the input picture."""
    show_in_place_of_latent(results)
    shown = ui.PreviewImage(results, cls=cls).as_dict()
    return {**shown, "images": [*shown["images"], *cut_shown(cls, image, box_of(image, results))]}


def show_in_place_of_latent(results: Tensor) -> None:
    """Make the results (N, H, W, 3) the node's last live preview, as one picture.

    The page shows a live preview before the node's own pictures and keeps it after the run, so without this the blurred
    latent of the last step would stay on the node. Where live previews are off, nothing is sent.
    """
    if args.preview_method == LatentPreviewMethod.NoPreviews:
        return
    sheet = tiled(results, LAST_PREVIEW_SIDE_PX)
    comfy.utils.ProgressBar(1).update_absolute(1, 1, ("JPEG", sheet, None))
