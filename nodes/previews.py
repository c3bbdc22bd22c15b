"""Previews on the nodes: the results, and what cropping cut off the input picture."""

from comfy_api.latest import io, ui
from torch import Tensor

from ..paintsundo_models.pictures import crop_preview, inputs, resizing
from ..paintsundo_models.pictures.resizing import CropBox


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
    shown = ui.PreviewImage(results, cls=cls).as_dict()
    return {**shown, "images": [*shown["images"], *cut_shown(cls, image, box_of(image, results))]}
