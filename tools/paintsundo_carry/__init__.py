"""Nodes that carry pictures from one ComfyUI to another to the bit; only the workers of a cluster load them.

They never appear in a workflow of a user: `tools/by_segment.py` puts them into the prompts that the workers run.
"""

from pathlib import Path
from typing import Any

import folder_paths
from safetensors.torch import load_file, save_file
from torch import Tensor

ANY = "IMAGE,INT,STRING,FLOAT"


class Keep:
    """Write the pictures that come in, a list of batches, into one file; show how many values the other input has."""

    CATEGORY = "PaintsUndo/cluster"
    INPUT_IS_LIST = True
    OUTPUT_NODE = True
    RETURN_TYPES = ()
    FUNCTION = "keep"

    @classmethod
    def INPUT_TYPES(cls) -> dict:  # noqa: N802  the host's name
        """Describe the inputs."""
        return {"required": {"images": ("IMAGE",), "counted": (ANY,), "file": ("STRING", {"default": ""})}}

    def keep(self, images: list[Tensor], counted: list[Any], file: list[str]) -> dict:
        """Run the node."""
        entries = {f"{number:05}": batch.contiguous() for number, batch in enumerate(images)}
        save_file(entries, Path(folder_paths.get_output_directory(), file[0]))
        return {"ui": {"text": (str(len(counted)),)}}


class Give:
    """Read what Keep has written, from one file or several, a name in each line; `behind` is not read."""

    CATEGORY = "PaintsUndo/cluster"
    RETURN_TYPES = ("IMAGE",)
    OUTPUT_IS_LIST = (True,)
    FUNCTION = "give"

    @classmethod
    def INPUT_TYPES(cls) -> dict:  # noqa: N802  the host's name
        """Describe the inputs."""
        return {
            "required": {"files": ("STRING", {"default": "", "multiline": True})},
            "optional": {"behind": (ANY, {"lazy": True})},
        }

    def give(self, files: str, behind: object = None) -> tuple[list[Tensor]]:
        """Run the node."""
        batches = []
        for name in files.split("\n"):
            entries = load_file(Path(folder_paths.get_input_directory(), name))
            batches += [entries[number] for number in sorted(entries)]
        return (batches,)


class Pick:
    """Pass on one value of a list; of a shorter list, the last, as ComfyUI does where lists meet."""

    CATEGORY = "PaintsUndo/cluster"
    INPUT_IS_LIST = True
    RETURN_TYPES = (ANY,)
    FUNCTION = "pick"

    @classmethod
    def INPUT_TYPES(cls) -> dict:  # noqa: N802  the host's name
        """Describe the inputs."""
        return {"required": {"values": (ANY,), "index": ("INT", {"default": 0, "min": 0, "max": 10000})}}

    def pick(self, values: list[Any], index: list[int]) -> tuple[Any]:
        """Run the node."""
        return (values[min(index[0], len(values) - 1)],)


NODE_CLASS_MAPPINGS = {"PaintsUndoCarryKeep": Keep, "PaintsUndoCarryGive": Give, "PaintsUndoCarryPick": Pick}
