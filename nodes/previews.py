"""What nodes show of their pictures: the results, and what resizing cut off the picture that came in."""

from comfy_api.latest import io, ui
from torch import Tensor

from ..paintsundo_models.pictures import crop_preview, inputs, resizing
from ..paintsundo_models.pictures.resizing import CropBox


def box_of(image: Tensor, result: Tensor) -> CropBox:
    """The part of a picture that its resizing to the results' size keeps."""
    return resizing.crop_box(image.shape[2], image.shape[1], result.shape[2], result.shape[1])


def cut_shown(cls: type[io.ComfyNode], image: Tensor, box: CropBox) -> list:
    """A small picture of what was cut off, as an entry of the node's pictures; none where nothing was."""
    if not box.cuts:
        return []
    small = crop_preview.cut_preview(inputs.composite_on_white(image), box)
    return ui.PreviewImage(small, cls=cls).as_dict()["images"]


def results_shown(cls: type[io.ComfyNode], results: Tensor, image: Tensor) -> dict:
    """The results, and behind them what was cut off the picture they were made from."""
    shown = ui.PreviewImage(results, cls=cls).as_dict()
    return {**shown, "images": [*shown["images"], *cut_shown(cls, image, box_of(image, results))]}
