"""What ComfyUI's Save Checkpoint and Save Model write of our MODELs: the single file that the loaders read.

ComfyUI asks a MODEL's configuration for the names of the tensors in the file, those of the connected CLIP and VAE among
them. Its own names would say neither which model this is nor what each part is.
"""

from collections.abc import Callable, Mapping

import comfy.model_patcher
import torch

from ..checkpoints.files import Checkpoint, read_checkpoint
from ..checkpoints.host_names import CONFIGS_TENSOR, configs_tensor, released

Named = dict[str, torch.Tensor]

_CLIP_PREFIXES = ("clip_l.", "clip_h.", "transformer.")


class SavedAsReleased:
    """Mixin for ComfyUI's configurations of a model family: saves every part by its released name.

    Attributes:
        origin: function from a tensor's name in the network to (part, name in the file).
        configs: of all parts of the checkpoint: what no tensor shape tells.
        also: returns the parts of the checkpoint that no Save node has an input for, by names in the file.
    """

    origin: Callable[[str], tuple[str, str]]
    configs: Mapping[str, Mapping] = {}
    also: Callable[[], Named] = dict

    def process_unet_state_dict_for_saving(self, state_dict: Named) -> Named:
        named = {".".join(self.origin(name)): tensor for name, tensor in state_dict.items()}
        return {**named, CONFIGS_TENSOR: configs_tensor(self.configs)}

    def process_clip_state_dict_for_saving(self, state_dict: Named) -> Named:
        text = {}
        for name, tensor in state_dict.items():
            for prefix in _CLIP_PREFIXES:
                name = name.removeprefix(prefix)  # noqa: PLW2901
            text[name] = tensor
        # Only Save Checkpoint writes a CLIP, so its file is to be complete.
        return {**_prefixed("text_encoder", text), **self.also()}

    def process_vae_state_dict_for_saving(self, state_dict: Named) -> Named:
        return _prefixed("vae", state_dict)


def _prefixed(part: str, tensors: Named) -> Named:
    return {f"{part}.{name}": tensor for name, tensor in released(tensors).items()}


def save_with(patcher: comfy.model_patcher.ModelPatcher, checkpoint: Checkpoint, *also: str) -> None:
    """Tell a MODEL what belongs into its files besides its weights.

    Args:
        patcher: MODEL whose configuration is a SavedAsReleased.
        checkpoint: from which it was loaded.
        also: parts that no Save node has an input for. They are read from the checkpoint when something is saved.
    """
    path, kind = checkpoint.path, checkpoint.kind

    def read() -> Named:
        parts = read_checkpoint(path, kind).parts
        return {f"{part}.{name}": tensor for part in also for name, tensor in parts[part].items()}

    config = patcher.model.model_config
    config.configs, config.also = checkpoint.configs, read
