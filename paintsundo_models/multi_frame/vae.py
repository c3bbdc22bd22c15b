"""The multi-frame model's video VAE: its decoder also reads features of two full-resolution reference pictures.

Computes what Paints-UNDO's diffusers_vdm/vae.py computes (own code; same tensor names except for KEY_RENAMES); the
architecture is ToonCrafter's (arXiv 2405.17933, section 3.3). Decoding needs more memory than any other step of the
chain. To save memory, layers that treat each frame separately run on a few frames at a time (see `slices`); only group
norms and convolutions over time run on all frames; and no function keeps a tensor that its caller no longer needs.
Cancelling works during decoding, because ComfyUI's layers check for an interruption.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, cast

import comfy.ldm.modules.attention as host_attention
import comfy.ops
import torch
import torch.nn.functional as F
from comfy.ldm.modules.diffusionmodules.model import AttnBlock, Downsample, ResnetBlock, Upsample
from einops import rearrange
from torch import Tensor, nn

from ..layout import channels_last_on_cpu
from .slices import USUAL, Slices, Step, add_by_bands, per_frames
from .time_conv import time_conv

KEY_RENAMES = {
    "decoder.conv_out.weight": "decoder.conv_out.conv.weight",
    "decoder.conv_out.bias": "decoder.conv_out.conv.bias",
}
"""Tensor name in the checkpoint -> tensor name here. In the checkpoint the last convolution has a child module
(`time_mix_conv`), and ComfyUI's partial loading skips the weights of a module that has children."""

REFERENCE_HEADS = 8
REFERENCE_HEAD_WIDTH = 64
"""Heads of the attention to the reference pictures, and channels of a head; the same at every level of the decoder."""

CONVOLVED_LEVELS = 2
"""How many of the finest levels add their reference features through a 1x1 convolution; the coarser ones use attention."""


@dataclass(frozen=True)
class VideoVAEParams:
    """Sizes of the VAE; the defaults are the released checkpoint's."""

    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    z_channels: int = 4
    in_channels: int = 3
    out_channels: int = 3

    @property
    def widths(self) -> list[int]:
        """Channels of each level, finest first."""
        return [self.ch * mult for mult in self.ch_mult]


@dataclass(frozen=True)
class Layers:
    """The dtype, device and operations of a VAE's layers, bound to functions that build a layer.

    ComfyUI's VAE blocks take such functions (`conv_op`, `norm_op`), where its UNet blocks take the three values.
    """

    conv2d: Any  # ComfyUI's blocks call a function as well, but their annotation names the class
    time_conv: Callable[..., nn.Module]
    linear: Callable[..., nn.Module]
    group_norm: Callable[..., nn.Module]
    empty: Callable[..., Tensor]

    @classmethod
    def of(cls, dtype: torch.dtype | None, device: torch.device | None, operations: type) -> "Layers":
        """Bind one dtype, one device and one of ComfyUI's sets of operations."""
        factory: dict = {"dtype": dtype, "device": device}
        return cls(
            conv2d=partial(operations.Conv2d, **factory),
            time_conv=partial(time_conv, operations=operations, **factory),
            linear=partial(operations.Linear, **factory),
            group_norm=partial(operations.GroupNorm, 32, **factory),
            empty=partial(torch.empty, **factory),
        )

    def norm(self, channels: int) -> nn.Module:
        """Build a group norm with eps 1e-6, as everywhere but in TimeStack, which keeps torch's default eps."""
        return self.group_norm(channels, eps=1e-6)

    def res_block(self, in_channels: int, channels: int) -> ResnetBlock:
        return ResnetBlock(
            in_channels=in_channels,
            out_channels=channels,
            temb_channels=0,
            conv_op=self.conv2d,
            norm_op=self.norm,
        )

    def attention(self, channels: int) -> AttnBlock:
        return AttnBlock(channels, conv_op=self.conv2d, norm_op=self.norm)


class TimeStack(nn.Module):
    """Two times: a group norm over all frames, SiLU, and a convolution over three neighbouring frames."""

    def __init__(self, channels: int, layers: Layers) -> None:
        super().__init__()
        conv = partial(layers.time_conv, channels)
        self.in_layers = nn.Sequential(layers.group_norm(channels), nn.SiLU(inplace=True), conv())
        # The Identity takes the position of the original's dropout layer, so that the tensor names agree.
        self.out_layers = nn.Sequential(
            layers.group_norm(channels), nn.SiLU(inplace=True), nn.Identity(), conv()
        )

    def forward(self, x: Tensor) -> Tensor:
        # out_layers(in_layers(x)) would keep the result of in_layers in memory until out_layers is done.
        for layer in (*self.in_layers, *self.out_layers):
            x = layer(x)
        return x

    @property
    def norms_and_convolutions(self) -> list[nn.Module]:
        """Return the layers that have weights, in order."""
        return [layer for layer in (*self.in_layers, *self.out_layers) if list(layer.parameters())]


class VideoResBlock(ResnetBlock):
    """ComfyUI's residual block for single frames (`forward`), and a mixing over time for the whole video (`mix_time`)."""

    def __init__(self, in_channels: int, channels: int, layers: Layers) -> None:
        super().__init__(
            in_channels=in_channels,
            out_channels=channels,
            temb_channels=0,
            conv_op=layers.conv2d,
            norm_op=layers.norm,
        )
        self.time_stack = TimeStack(channels, layers)
        self.mix_factor = nn.Parameter(layers.empty(1), requires_grad=False)

    def mix_time(self, x: Tensor, slices: Slices = USUAL) -> Tensor:
        """Return a * (x + time_stack(x)) + (1 - a) * x with a = sigmoid(mix_factor); changes x, except in training."""
        amount = torch.sigmoid(comfy.ops.cast_to_input(self.mix_factor, x))
        if slices.bands > 1:
            return add_by_bands(x, self.time_stack.norms_and_convolutions, amount, slices.bands)
        if torch.is_grad_enabled():
            return x + amount * self.time_stack(x)
        return x.add_(self.time_stack(x).mul_(amount))


class ReferenceAttention(nn.Module):
    """Attention of every frame to the features of both reference pictures."""

    def __init__(self, channels: int, layers: Layers) -> None:
        super().__init__()
        inner = REFERENCE_HEADS * REFERENCE_HEAD_WIDTH
        self.norm = layers.norm(channels)
        self.to_q = layers.linear(channels, inner, bias=False)
        self.to_k = layers.linear(channels, inner, bias=False)
        self.to_v = layers.linear(channels, inner, bias=False)
        self.to_out = nn.Sequential(layers.linear(inner, channels))

    def forward(self, x: Tensor, features: Tensor, slices: Slices = USUAL) -> Tensor:
        features = rearrange(features, "b c l h w -> b (l h w) c")
        # Compute keys and values once for all frames; the frames of a slice are joined into one query sequence.
        k, v = self.to_k(features), self.to_v(features)

        def attend(frames: Tensor) -> Tensor:
            h, w = frames.shape[-2:]
            q = self.to_q(rearrange(self.norm(frames), "(b t) c h w -> b (t h w) c", b=len(k)))
            out = host_attention.optimized_attention(q, k, v, REFERENCE_HEADS, low_precision_attention=False)
            return frames + rearrange(self.to_out(out), "b (t h w) c -> (b t) c h w", h=h, w=w)

        return per_frames([attend], x, slices)


class ReferenceConv(nn.Module):
    """Adds features of the first picture to the first frame and features of the last picture to the last frame, in place."""

    def __init__(self, channels: int, layers: Layers) -> None:
        super().__init__()
        self.conv = layers.conv2d(channels, channels, 1)

    def forward(self, x: Tensor, features: Tensor, slices: Slices = USUAL) -> Tensor:
        added = per_frames([self.conv], features, replace(slices, replaces=False))
        x[:, :, 0] += added[:, :, 0]
        x[:, :, -1] += added[:, :, -1]
        return x


class EncoderLevel(nn.Module):
    """Residual blocks on pictures, followed at all but the coarsest level by a halving of the size."""

    def __init__(self, widths: list[int], is_coarsest: bool, layers: Layers) -> None:
        super().__init__()
        self.block = nn.ModuleList(layers.res_block(*pair) for pair in pairwise(widths))
        self.downsample = None if is_coarsest else Downsample(widths[-1], True, conv_op=layers.conv2d)


class Encoder(nn.Module):
    """Stable Diffusion's VAE encoder, for pictures (N, C, H, W)."""

    def __init__(self, params: VideoVAEParams, layers: Layers) -> None:
        super().__init__()
        self.conv_in = layers.conv2d(params.in_channels, params.ch, 3, padding=1)
        self.down = nn.ModuleList()
        width = params.ch
        for level, channels in enumerate(params.widths):
            widths = [width] + [channels] * params.num_res_blocks
            self.down.append(EncoderLevel(widths, level == len(params.widths) - 1, layers))
            width = channels
        self.mid = nn.ModuleDict(
            {
                "block_1": layers.res_block(width, width),
                "attn_1": layers.attention(width),
                "block_2": layers.res_block(width, width),
            }
        )
        self.norm_out = layers.norm(width)
        self.conv_out = layers.conv2d(width, 2 * params.z_channels, 3, padding=1)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """Return the features that the decoder reads: the output of each level before halving, then that of `conv_in`."""
        x = first = self.conv_in(channels_last_on_cpu(pictures))
        kept = []
        for level in cast("list[EncoderLevel]", list(self.down)):
            for block in level.block:
                x = block(x)
            kept.append(x)
            if level.downsample is not None:
                x = level.downsample(x)
        return [*kept, first]

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.features(pictures)[-2]
        for block in self.mid.values():
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x), inplace=True))


class DecoderLevel(nn.Module):
    """Residual blocks on a video, followed at all but the finest level by a doubling of the frames' size."""

    def __init__(self, widths: list[int], is_finest: bool, layers: Layers) -> None:
        super().__init__()
        self.block = nn.ModuleList(VideoResBlock(*pair, layers) for pair in pairwise(widths))
        self.upsample = None if is_finest else Upsample(widths[-1], True, conv_op=layers.conv2d)


class TimeMixedConv(nn.Module):
    """A convolution of each frame, then a convolution over three neighbouring frames."""

    def __init__(self, in_channels: int, out_channels: int, layers: Layers) -> None:
        super().__init__()
        self.conv = layers.conv2d(in_channels, out_channels, 3, padding=1)
        self.time_mix_conv = layers.time_conv(out_channels)

    def forward(self, x: Tensor, slices: Slices = USUAL) -> Tensor:
        return self.time_mix_conv(per_frames([self.conv], x, slices))


class Decoder(nn.Module):
    """Decodes a latent video to pixels, with or without features of the reference pictures."""

    def __init__(self, params: VideoVAEParams, layers: Layers) -> None:
        super().__init__()
        width = params.widths[-1]
        self.conv_in = layers.conv2d(params.z_channels, width, 3, padding=1)
        self.mid = nn.ModuleDict(
            {
                "block_1": VideoResBlock(width, width, layers),
                "attn_1": layers.attention(width),
                "block_2": VideoResBlock(width, width, layers),
            }
        )
        self.up = nn.ModuleList()
        for level, channels in reversed(list(enumerate(params.widths))):
            widths = [width] + [channels] * (params.num_res_blocks + 1)
            self.up.insert(0, DecoderLevel(widths, level == 0, layers))
            width = channels
        kinds = [
            ReferenceConv if level < CONVOLVED_LEVELS else ReferenceAttention for level in range(len(self.up))
        ]
        self.attn_refinement = nn.ModuleList(
            kind(channels, layers)
            for kind, channels in zip([*kinds, ReferenceConv], [*params.widths, width], strict=True)
        )
        self.norm_out = layers.norm(width)
        self.conv_out = TimeMixedConv(width, params.out_channels, layers)

    def forward(self, latent: Tensor, features: list[Tensor] | None, slices: Slices = USUAL) -> Tensor:
        x = channels_last_on_cpu(latent)
        for step in self.steps(features, slices):
            x = step(x)  # no other variable holds the previous x, so its memory is freed here
        return x

    def steps(self, features: list[Tensor] | None, slices: Slices = USUAL) -> Iterator[Step]:
        """Yield the functions that turn the latent video into pixels, (B, C, T, H, W) -> (B, C, T, H, W), in order."""
        yield from _block_steps(self.mid.values(), slices, self.conv_in)
        enlarge: list[Step] = []
        for index, level in reversed(list(enumerate(cast("list[DecoderLevel]", list(self.up))))):
            yield from _block_steps(level.block, slices, *enlarge)
            if features is not None:
                yield partial(self.attn_refinement[index], features=features[index], slices=slices)
            enlarge = [] if level.upsample is None else [level.upsample]
        yield partial(per_frames, [self.norm_out, partial(F.silu, inplace=True)], slices=slices)
        if features is not None:
            yield partial(self.attn_refinement[-1], features=features[-1], slices=slices)
        yield partial(self.conv_out, slices=slices)


def _block_steps(blocks: Iterable[nn.Module], slices: Slices, *before: Step) -> Iterator[Step]:
    """Yield the blocks as steps; the functions `before` run together with the first block, on the same few frames."""
    for block in blocks:
        yield partial(per_frames, [*before, block], slices=slices)
        before = ()
        if isinstance(block, VideoResBlock):
            yield partial(block.mix_time, slices=slices)


class VideoAutoencoder(nn.Module):
    """The video VAE. Pixels are in [-1, 1]; latents are not scaled (ComfyUI's latent format of the MODEL scales them)."""

    def __init__(
        self,
        params: VideoVAEParams,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        operations: type = comfy.ops.disable_weight_init,
    ) -> None:
        super().__init__()
        layers = Layers.of(dtype, device, operations)
        self.encoder = Encoder(params, layers)
        self.decoder = Decoder(params, layers)
        self.quant_conv = layers.conv2d(2 * params.z_channels, 2 * params.z_channels, 1)
        self.post_quant_conv = layers.conv2d(params.z_channels, params.z_channels, 1)

    def encode(self, pixels: Tensor) -> Tensor:
        """Encode each frame separately: (B, 3, T, H, W) in [-1, 1] -> the posterior's mean, (B, 4, T, H/8, W/8)."""
        return per_frames([self.encoder, self.quant_conv], pixels).chunk(2, dim=1)[0]

    def decode(self, latent: Tensor, references: Tensor | None = None, slices: Slices = USUAL) -> Tensor:
        """Decode a video.

        Args:
            latent: (B, 4, T, h, w), unscaled; any T.
            references: (B or 1, 3, 2, 8h, 8w) in [-1, 1], the pictures that the first and the last frame show.
                None decodes from the latent alone; fine details are then made up.
            slices: how much is worked on at once; not for training, where only `USUAL` is possible.

        Returns:
            (B, 3, T, 8h, 8w), about in [-1, 1], not clamped.
        """
        if references is None:
            # Only here: the original skips post_quant_conv when it has reference pictures, and the decoder was
            # trained that way.
            return self.decoder(per_frames([self.post_quant_conv], latent), None, slices)
        features = self.reference_features(references.to(latent))
        return self.decoder(
            latent, [feature.expand(len(latent), -1, -1, -1, -1) for feature in features], slices
        )

    def reference_features(self, references: Tensor) -> list[Tensor]:
        """Return the features of both pictures, (B, C, 2, H, W) each, finest level first, then those of `conv_in`."""
        pictures = [self.encoder.features(picture) for picture in references.unbind(dim=2)]
        return [torch.stack(pair, dim=2) for pair in zip(*pictures, strict=True)]
