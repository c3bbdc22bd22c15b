"""Write a checkpoint that ComfyUI loads as SD 1.5: its names and shapes, two levels of its UNet, and no knowledge."""

from pathlib import Path

import comfy.ops
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from comfy.sd1_clip import SDClipModel
from safetensors.torch import save_file

VAE = {"double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128}
VAE |= {"ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0}
UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [1, 1],
}
UNET |= {"channel_mult": (1, 1), "transformer_depth": [0, 1], "transformer_depth_output": [0, 0, 1, 1]}
UNET |= {"transformer_depth_middle": 1, "context_dim": 768, "num_heads": 8, "use_spatial_transformer": True}
UNET |= {"use_linear_in_transformer": False, "legacy": False}
COLOUR = (0.5, -0.25, 0.0)
"""Of every picture that the checkpoint makes, in -1 to 1: the last bias of its VAE; everything else in it is 0."""


def write_small_sd15(path: Path) -> tuple[int, int, int]:
    """Write the checkpoint; return the colour of its pictures, 0 to 255."""
    with torch.device("meta"):
        parts = {
            "model.diffusion_model": UNetModel(
                **UNET, dtype=torch.float16, device="meta", operations=comfy.ops.disable_weight_init
            ),
            "first_stage_model": AutoencoderKL(ddconfig=VAE, embed_dim=4),
            "cond_stage_model.transformer": SDClipModel(device="meta", dtype=torch.float16).transformer,
        }
    tensors = {
        f"{part}.{name}": torch.zeros(tensor.shape, dtype=torch.float16)
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    tensors["first_stage_model.decoder.conv_out.bias"] = torch.tensor(COLOUR, dtype=torch.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    red, green, blue = (round((value + 1) / 2 * 255) for value in COLOUR)
    return red, green, blue
