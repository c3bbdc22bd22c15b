"""The networks to train, built from the pack's own and the host's classes at the settings' widths, with fresh weights."""

from typing import Any

import comfy.ops
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import nn

from paintsundo_models.multi_frame.projection import ImageProjectionParams
from paintsundo_models.multi_frame.unet import UNet3D, UNet3DParams
from paintsundo_models.multi_frame.vae import VideoAutoencoder, VideoVAEParams

from .settings import Networks

FIRST_LOG_VARIANCE = (
    -6.0
)  # of the posterior: at the usual 0 its noise would drown the colours for a long time
OPERATION_CHANNELS = 256  # of the operation step's sinusoidal embedding
PROJECTION_HEAD_CHANNELS = 32
RESIDUAL_ENDS = (
    "out_layers.3",  # residual blocks of the UNets, and the time stacks of the video VAE
    "conv2",  # residual blocks of the VAEs
    "proj_out",  # transformers
    "conv4.3",  # temporal convolutions
    "to_out.0",  # attention to the reference pictures
)
"""Layers whose output is added to what goes past them: they begin at zero, so that every block begins as an identity."""


def image_vae(networks: Networks) -> AutoencoderKL:
    """The single-frame model's VAE. It begins as a shrinking and enlarging of the picture, whose colours it thus knows."""
    vae = initialise(AutoencoderKL(**image_vae_config(networks)))
    with torch.no_grad():
        for name, layer in vae.named_modules():
            if isinstance(layer, nn.Conv2d) and name.endswith(("conv_in", "conv_out", "sample.conv")):
                taps = 2 if "downsample" in name else 1
                _mix_channels_only(layer, taps)
        channels = vae.quant_conv.out_channels // 2
        vae.quant_conv.weight[channels:] = 0
        vae.quant_conv.bias[channels:] = FIRST_LOG_VARIANCE
    return vae


def _mix_channels_only(layer: nn.Conv2d, taps: int) -> None:
    """Random weights that look at one pixel, or at a square of taps x taps, whose mean they take."""
    mixture = torch.empty(layer.out_channels, layer.in_channels, 1, 1)
    nn.init.kaiming_uniform_(mixture, a=5**0.5)
    first = 1 if taps == 1 else 0  # the host pads a halving on the right and below
    layer.weight.zero_()
    layer.weight[:, :, first : first + taps, first : first + taps] = mixture * 3**0.5 / taps**2


def image_vae_config(networks: Networks) -> dict[str, Any]:
    """The host's description of that VAE."""
    ddconfig = {
        "double_z": True,
        "z_channels": 4,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": networks.vae_width,
        "ch_mult": list(networks.vae_multipliers),
        "num_res_blocks": networks.vae_blocks,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    return {"ddconfig": ddconfig, "embed_dim": 4}


def video_vae(networks: Networks) -> VideoAutoencoder:
    """The multi-frame model's VAE."""
    params = VideoVAEParams(
        ch=networks.vae_width, ch_mult=networks.vae_multipliers, num_res_blocks=networks.vae_blocks
    )
    vae = initialise(VideoAutoencoder(params, operations=comfy.ops.disable_weight_init))
    for name, parameter in vae.named_parameters():
        if name.endswith("mix_factor") or ("attn_refinement" in name and ".conv." in name):
            nn.init.zeros_(parameter)
    return vae


def single_frame_config(networks: Networks) -> dict[str, Any]:
    """The host's description of the single-frame UNet."""
    levels, blocks = len(networks.unet_multipliers), networks.unet_blocks
    attends = [1] * (levels - 1) + [0]  # all but the coarsest level, as in SD 1.5
    return {
        "image_size": 32,
        "in_channels": 8,
        "out_channels": 4,
        "model_channels": networks.unet_width,
        "channel_mult": list(networks.unet_multipliers),
        "num_res_blocks": [blocks] * levels,
        "transformer_depth": [a for a in attends for _ in range(blocks)],
        "transformer_depth_output": [a for a in attends for _ in range(blocks + 1)],
        "transformer_depth_middle": 1,
        "context_dim": networks.context,
        "num_heads": networks.unet_heads,
        "num_head_channels": -1,
        "num_classes": "sequential",
        "adm_in_channels": OPERATION_CHANNELS,
        "use_spatial_transformer": True,
        "use_linear_in_transformer": False,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        "use_checkpoint": False,
        "legacy": False,
    }


def single_frame_unet(networks: Networks) -> UNetModel:
    """The single-frame model's UNet."""
    unet = UNetModel(**single_frame_config(networks), operations=comfy.ops.disable_weight_init)
    initialise(unet)
    begin_as_identity(unet)
    return unet


GROUPS = 32  # of every group norm
REFERENCE = 16.0


@torch.no_grad()
def begin_as_identity(unet: UNetModel) -> None:
    """Make the noise prediction begin as the noisy latent itself, exact in its mean and size.

    The sampler begins at sigma 190, where the prediction has to be right to a thousandth: what it misses of the noise
    stays in the picture 190-fold. A wide network learns to hand the noise through its last norm; a narrow one has
    few channels in each of the norm's groups, and the norm takes mean and size away. So every group of the finest
    level begins as a signal, its negative, and a constant, next to which the signal's own statistics do not count.
    silu(x) - silu(-x) = x does the rest. The layers on this way stay as they are: what lies between them learns what
    to add to it.
    """
    first, last, norm, out = (
        unet.input_blocks[0][0],
        unet.output_blocks[-1][0].skip_connection,
        unet.out[0],
        unet.out[2],
    )
    size = unet.model_channels // GROUPS  # 3 at least: settings.load_settings sees to it
    signal = torch.arange(GROUPS) * size
    negative, constant = signal + 1, signal + 2
    for number in range(first.in_channels):
        first.weight[signal[number]] = 0
        first.weight[signal[number], number, 1, 1] = 1
    first.weight[negative] = -first.weight[signal]
    first.weight[constant], first.bias[constant] = 0, REFERENCE
    # the last block reads what comes up from below, then the first layer's output
    below = last.in_channels - unet.model_channels
    copied = torch.cat([signal[: first.in_channels], constant])
    last.weight[copied] = 0
    last.weight[copied, below + copied, 0, 0] = 1
    last.weight[negative] = -last.weight[signal]
    last.weight[negative[: first.in_channels]] = 0
    last.weight[negative[: first.in_channels], below + negative[: first.in_channels], 0, 0] = 1
    # of a unit signal, its negative and the constant
    variance = (2 + REFERENCE**2) / 3 - (REFERENCE / 3) ** 2
    for channels in (signal, negative):
        norm.weight[channels], norm.bias[channels] = variance**0.5, REFERENCE / 3
    out.weight.zero_()
    for number in range(out.out_channels):
        out.weight[number, signal[number], 1, 1] = 1
        out.weight[number, negative[number], 1, 1] = -1
    for layer in (first, last, norm, out):
        layer.requires_grad_(False)


def multi_frame_unet(networks: Networks) -> UNet3D:
    """The multi-frame model's 3D UNet with its image projection."""
    params = UNet3DParams(
        in_channels=8,
        out_channels=4,
        model_channels=networks.video_unet_width,
        channel_mult=networks.video_unet_multipliers,
        blocks_per_level=networks.video_unet_blocks,
        attention_levels=networks.video_unet_attention,
        head_channels=networks.video_unet_head_channels,
        context_dim=networks.context,
        learned_image_scale=False,
    )
    projection = ImageProjectionParams(
        dim=networks.projection_width,
        depth=networks.projection_layers,
        dim_head=PROJECTION_HEAD_CHANNELS,
        heads=networks.projection_width // PROJECTION_HEAD_CHANNELS,
        num_queries=networks.image_tokens,
        embedding_dim=networks.vision_width,
        output_dim=networks.context,
    )
    unet = initialise(UNet3D(params, projection, operations=comfy.ops.disable_weight_init))
    nn.init.zeros_(unet.out[2].weight)
    return unet


def initialise(network: nn.Module) -> Any:
    """Fresh weights: PyTorch's own for convolutions and linear layers, identities for norms and residual branches.

    The host's layers come with whatever lies in memory. Returns the network, ready to be trained.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_uniform_(layer.weight, a=5**0.5)
            if name.endswith(RESIDUAL_ENDS):
                nn.init.zeros_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.GroupNorm | nn.LayerNorm):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
            # what convolutions hand over on a CPU is laid out so that the norm's backward takes 40 times as long
            layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
    for name, parameter in network.named_parameters():
        if name.endswith(("latents", "input_pos")):
            nn.init.normal_(parameter, std=0.1)
    return network.requires_grad_(True).to(torch.float32).train()
