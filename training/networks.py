"""The networks to train: classes of the pack and of ComfyUI, with the settings' widths and fresh weights."""

from typing import Any, TypeVar

import comfy.ops
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor, nn

from paintsundo_models.multi_frame.projection import ImageProjectionParams
from paintsundo_models.multi_frame.unet import UNet3D, UNet3DParams
from paintsundo_models.multi_frame.vae import VideoAutoencoder, VideoVAEParams

from .settings import Networks

FIRST_LOG_VARIANCE = (
    -6.0
)  # of the posterior; at the usual 0 its noise hides the colours for thousands of steps
OPERATION_CHANNELS = 256  # of the operation step's sinusoidal embedding
PROJECTION_HEAD_CHANNELS = 32
RESIDUAL_ENDS = (
    "out_layers.3",  # residual blocks of the UNets, and the time stacks of the video VAE
    "conv2",  # residual blocks of the VAEs
    "proj_out",  # transformers
    "conv4.3",  # temporal convolutions
    "to_out.0",  # attention to the reference pictures
)
"""Last layers of residual branches. They begin at zero, so that every residual block begins as an identity."""

LayerT = TypeVar("LayerT", bound=nn.Module)


def image_vae(networks: Networks) -> AutoencoderKL:
    """Make the single-frame model's VAE. It begins by scaling the picture down and up again, which keeps its colours."""
    vae = initialise(AutoencoderKL(**image_vae_config(networks)))
    with torch.no_grad():
        for name, layer in vae.named_modules():
            if isinstance(layer, nn.Conv2d) and name.endswith(("conv_in", "conv_out", "sample.conv")):
                taps = 2 if "downsample" in name else 1
                _mix_channels_only(layer, taps)
        channels = vae.quant_conv.out_channels // 2
        weight, bias = weight_and_bias(vae.quant_conv)
        weight[channels:] = 0
        bias[channels:] = FIRST_LOG_VARIANCE
    return vae


def _mix_channels_only(layer: nn.Conv2d, taps: int) -> None:
    """Fill a convolution with random weights over channels that read one pixel, or the mean of taps x taps pixels."""
    mixture = torch.empty(layer.out_channels, layer.in_channels, 1, 1)
    nn.init.kaiming_uniform_(mixture, a=5**0.5)
    first = 1 if taps == 1 else 0  # ComfyUI pads a downsampling convolution on the right and below
    layer.weight.zero_()
    layer.weight[:, :, first : first + taps, first : first + taps] = mixture * 3**0.5 / taps**2


def image_vae_config(networks: Networks) -> dict[str, Any]:
    """Return the arguments of ComfyUI's AutoencoderKL for the image VAE."""
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
    """Make the multi-frame model's VAE."""
    params = VideoVAEParams(
        ch=networks.vae_width, ch_mult=networks.vae_multipliers, num_res_blocks=networks.vae_blocks
    )
    vae = initialise(VideoAutoencoder(params, operations=comfy.ops.disable_weight_init))
    for name, parameter in vae.named_parameters():
        if name.endswith("mix_factor") or ("attn_refinement" in name and ".conv." in name):
            nn.init.zeros_(parameter)
    return vae


def single_frame_config(networks: Networks) -> dict[str, Any]:
    """Return the arguments of ComfyUI's UNetModel for the single-frame UNet."""
    levels, blocks = len(networks.unet_multipliers), networks.unet_blocks
    attends = [1] * (levels - 1) + [0]  # attention at all levels but the coarsest, as in SD 1.5
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
    """Make the single-frame model's UNet."""
    unet = initialise(UNetModel(**single_frame_config(networks), operations=comfy.ops.disable_weight_init))
    begin_as_identity(unet)
    return unet


GROUPS = 32  # of every group norm
CONSTANT = 16.0  # large against the signals of unit size, so that it determines the norm's mean and deviation


@torch.no_grad()
def begin_as_identity(unet: UNetModel) -> None:
    """Make the noise prediction begin as a copy of the noisy latent, with the right mean and size.

    The sampler begins at sigma 190, and an error of the predicted noise appears in the picture 190 times as large. So
    the prediction must be right to a thousandth there. A wide network learns to pass the noise through its last group
    norm. A narrow network has few channels in each of the norm's groups, and the norm removes their mean and size.

    Therefore every group of the finest level begins with three channels: a signal, its negative and a large constant.
    The constant determines the norm's statistics, so the signal passes. As silu(x) - silu(-x) = x, the output layer
    restores it. The four layers that do this are not trained; the layers between them learn what to add.
    """
    first = layer_at(unet.input_blocks, "0.0", nn.Conv2d)
    last = layer_at(unet.output_blocks[-1], "0.skip_connection", nn.Conv2d)
    norm, out = layer_at(unet.out, "0", nn.GroupNorm), layer_at(unet.out, "2", nn.Conv2d)
    size = first.out_channels // GROUPS  # at least 3, see settings.NARROWEST_UNET
    signal = torch.arange(GROUPS) * size
    negative, constant = signal + 1, signal + 2
    weight, bias = weight_and_bias(first)
    for number in range(first.in_channels):
        weight[signal[number]] = 0
        weight[signal[number], number, 1, 1] = 1
    weight[negative] = -weight[signal]
    weight[constant], bias[constant] = 0, CONSTANT
    # The last block's input is the output of the coarser levels, then the first layer's output.
    below = last.in_channels - first.out_channels
    copied = torch.cat([signal[: first.in_channels], constant])
    last.weight[copied] = 0
    last.weight[copied, below + copied, 0, 0] = 1
    last.weight[negative] = -last.weight[signal]
    last.weight[negative[: first.in_channels]] = 0
    last.weight[negative[: first.in_channels], below + negative[: first.in_channels], 0, 0] = 1
    # Variance of a group: a signal of unit size, its negative and the constant.
    variance = (2 + CONSTANT**2) / 3 - (CONSTANT / 3) ** 2
    for channels in (signal, negative):
        norm.weight[channels], norm.bias[channels] = variance**0.5, CONSTANT / 3
    out.weight.zero_()
    for number in range(out.out_channels):
        out.weight[number, signal[number], 1, 1] = 1
        out.weight[number, negative[number], 1, 1] = -1
    for layer in (first, last, norm, out):
        layer.requires_grad_(False)


def layer_at(parent: nn.Module, path: str, kind: type[LayerT]) -> LayerT:
    """Return the layer at a path such as "0.skip_connection".

    Raises:
        TypeError: the layer there is of another class.
    """
    layer = parent.get_submodule(path)
    if not isinstance(layer, kind):
        raise TypeError(f"{path} is a {type(layer).__name__}, and a {kind.__name__} was expected.")
    return layer


def weight_and_bias(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Return both parameters of a convolution, which torch and ComfyUI declare as optional."""
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    return weight, bias


def multi_frame_unet(networks: Networks) -> UNet3D:
    """Make the multi-frame model's 3D UNet with its image projection."""
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
    nn.init.zeros_(unet.out.get_parameter("2.weight"))
    return unet


def initialise(network: LayerT) -> LayerT:
    """Give a network fresh weights, because ComfyUI's layers are made with uninitialised memory.

    Convolutions and linear layers get PyTorch's usual weights; norms and residual branches begin as identities.

    Returns:
        The network itself, in float32 and training mode.
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
            # On a CPU a convolution's output has a memory layout in which the norm's backward takes 40 times as long.
            layer.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
    for name, parameter in network.named_parameters():
        if name.endswith(("latents", "input_pos")):
            nn.init.normal_(parameter, std=0.1)
    return network.requires_grad_(True).to(torch.float32).train()
