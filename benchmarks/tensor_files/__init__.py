"""Custom nodes for compare_chain.py: pictures to a safetensors file and back, because PNG files round to 8 bits."""

from pathlib import Path

import folder_paths
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

CATEGORY = "PaintsUndo/measurement"
KEY = "images"


class SaveImagesAsTensors:
    """Write a list of batches of pictures as one tensor into ComfyUI's output folder."""

    CATEGORY, FUNCTION, RETURN_TYPES = CATEGORY, "save", ()
    INPUT_IS_LIST = OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict:  # noqa: N802  the host's name
        """Return the inputs, as ComfyUI asks for them."""
        return {"required": {"images": ("IMAGE",), "file": ("STRING", {"default": "images.safetensors"})}}

    def save(self, images: list[Tensor], file: list[str]) -> dict:
        """Write (N, B, H, W, C) float32 for N batches."""
        stacked = torch.stack(images).float().contiguous()
        save_file({KEY: stacked}, Path(folder_paths.get_output_directory(), file[0]))
        return {"ui": {}}


class LoadImagesFromTensors:
    """Read pictures of 8 bits from ComfyUI's input folder."""

    CATEGORY, FUNCTION, RETURN_TYPES = CATEGORY, "load", ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict:  # noqa: N802  the host's name
        """Return the inputs, as ComfyUI asks for them."""
        return {"required": {"file": ("STRING", {"default": "images.safetensors"})}}

    def load(self, file: str) -> tuple[Tensor]:
        """Return (B, H, W, C) in [0, 1]."""
        return (load_file(Path(folder_paths.get_input_directory(), file))[KEY].float() / 255,)


NODE_CLASS_MAPPINGS = {
    "PaintsUndoSaveImagesAsTensors": SaveImagesAsTensors,
    "PaintsUndoLoadImagesFromTensors": LoadImagesFromTensors,
}
