"""The multi-frame model's video VAE: its decoder looks at two full-resolution reference pictures.

Computes what Paints-UNDO's diffusers_vdm/vae.py computes (own code; same tensor names but for KEY_RENAMES); the
architecture is ToonCrafter's (arXiv 2405.17933, section 3.3). Decoding is the chain's peak of memory. So whatever
works frame by frame runs on a few frames at a time, only group norms and convolutions over time see them all, and
no function keeps a tensor that its caller is done with. Interruption comes with the host's layers: each one checks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
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

from ..layout import channels_last_on_cpu, empty_video, fold_time, unfold_time

KEY_RENAMES = {
    "decoder.conv_out.weight": "decoder.conv_out.conv.weight",
    "decoder.conv_out.bias": "decoder.conv_out.conv.bias",
}
"""Checkpoint's name -> ours. The host's partial loading passes over weights of a module that has children, as the
checkpoint's last convolution has (`time_mix_conv`)."""

FRAMES_PER_SLICE = 4
"""How many frames the per-frame parts work on at once; changes no result. Up to here they need less than the parts
that see all frames: decoding 16 frames of 384x448 in half precision holds 2.4 GB of tensors, all at once 4.1 GB."""

REFERENCE_HEADS = 8
REFERENCE_HEAD_WIDTH = 64
"""Heads of the attention to the reference pictures: the same at every level, whatever its width."""

CONVOLVED_LEVELS = 2
"""The finest levels take their reference features in through a 1x1 convolution, the coarser ones by attention."""


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
    """Makers of the host's layers, all of one dtype and on one device."""

    conv2d: Any
    conv3d: Any
    linear: Any
    group_norm: Any
    empty: Callable[..., Tensor]

    @classmethod
    def of(cls, dtype: torch.dtype | None, device: torch.device | str | None, operations: Any) -> "Layers":
        options: dict = {"dtype": dtype, "device": device}
        return cls(
            conv2d=partial(operations.Conv2d, **options),
            conv3d=partial(operations.Conv3d, **options),
            linear=partial(operations.Linear, **options),
            group_norm=partial(operations.GroupNorm, 32, **options),
            empty=partial(torch.empty, **options),
        )

    def norm(self, channels: int) -> nn.Module:
        """Group norm of everything but the time stacks, which have torch's own eps."""
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


Step = Callable[[Tensor], Tensor]


def per_frames(fns: Sequence[Step], x: Tensor) -> Tensor:
    """Run functions of pictures (N, C, H, W), one after the other, on a video (B, C, T, H, W).

    FRAMES_PER_SLICE frames go through all of them at a time, so what lies between two never exists for all frames.
    """

    def run(start: int) -> Tensor:
        part = x[:, :, start : start + FRAMES_PER_SLICE]
        pictures = fold_time(part)
        for fn in fns:
            pictures = fn(pictures)
        return unfold_time(pictures, part.shape[2])

    first = run(0)
    out = empty_video(first, x.shape[2])
    out[:, :, :FRAMES_PER_SLICE] = first
    for start in range(FRAMES_PER_SLICE, x.shape[2], FRAMES_PER_SLICE):
        out[:, :, start : start + FRAMES_PER_SLICE] = run(start)
    return out


class TimeStack(nn.Module):
    """Two convolutions over three frames, each after a group norm over all frames."""

    def __init__(self, channels: int, layers: Layers) -> None:
        super().__init__()
        conv = partial(layers.conv3d, channels, channels, (3, 1, 1), padding=(1, 0, 0))
        self.in_layers = nn.Sequential(layers.group_norm(channels), nn.SiLU(inplace=True), conv())
        # the checkpoint's names leave a place for its dropout
        self.out_layers = nn.Sequential(
            layers.group_norm(channels), nn.SiLU(inplace=True), nn.Identity(), conv()
        )

    def forward(self, x: Tensor) -> Tensor:
        # not out_layers(in_layers(x)), which would keep the inner result to the end
        for layer in (*self.in_layers, *self.out_layers):
            x = layer(x)
        return x


class VideoResBlock(ResnetBlock):
    """The host's residual block on frames (`forward`), followed by `mix_time` on the video."""

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

    def mix_time(self, x: Tensor) -> Tensor:
        """a * (x + time_stack(x)) + (1 - a) * x with a = sigmoid(mix_factor); in place, except in training."""
        amount = torch.sigmoid(comfy.ops.cast_to_input(self.mix_factor, x))
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

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        features = rearrange(features, "b c l h w -> b (l h w) c")
        # one copy for all frames: the frames of a slice are one long query
        k, v = self.to_k(features), self.to_v(features)

        def attend(frames: Tensor) -> Tensor:
            h, w = frames.shape[-2:]
            q = self.to_q(rearrange(self.norm(frames), "(b t) c h w -> b (t h w) c", b=len(k)))
            out = host_attention.optimized_attention(q, k, v, REFERENCE_HEADS, low_precision_attention=False)
            return frames + rearrange(self.to_out(out), "b (t h w) c -> (b t) c h w", h=h, w=w)

        return per_frames([attend], x)


class ReferenceConv(nn.Module):
    """Adds the first picture's features to the first frame and the last picture's to the last, in place."""

    def __init__(self, channels: int, layers: Layers) -> None:
        super().__init__()
        self.conv = layers.conv2d(channels, channels, 1)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        added = per_frames([self.conv], features)
        x[:, :, 0] += added[:, :, 0]
        x[:, :, -1] += added[:, :, -1]
        return x


class EncoderLevel(nn.Module):
    """Residual blocks on pictures, then, but at the coarsest level, a halving."""

    def __init__(self, widths: list[int], is_coarsest: bool, layers: Layers) -> None:
        super().__init__()
        self.block = nn.ModuleList(layers.res_block(*pair) for pair in pairwise(widths))
        self.downsample = None if is_coarsest else Downsample(widths[-1], True, conv_op=layers.conv2d)


class Encoder(nn.Module):
    """Stable Diffusion's encoder, on pictures (N, C, H, W)."""

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
        """What the decoder looks at: each level's output before it is halved, then that of `conv_in`."""
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
    """Residual blocks on a video, then, but at the finest level, a doubling of each frame."""

    def __init__(self, widths: list[int], is_finest: bool, layers: Layers) -> None:
        super().__init__()
        self.block = nn.ModuleList(VideoResBlock(*pair, layers) for pair in pairwise(widths))
        self.upsample = None if is_finest else Upsample(widths[-1], True, conv_op=layers.conv2d)


class TimeMixedConv(nn.Module):
    """A convolution on each frame, then one over three frames."""

    def __init__(self, in_channels: int, out_channels: int, layers: Layers) -> None:
        super().__init__()
        self.conv = layers.conv2d(in_channels, out_channels, 3, padding=1)
        self.time_mix_conv = layers.conv3d(out_channels, out_channels, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x: Tensor) -> Tensor:
        return self.time_mix_conv(per_frames([self.conv], x))


class Decoder(nn.Module):
    """Latent video to pixels, with or without the reference pictures' features."""

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

    def forward(self, latent: Tensor, features: list[Tensor] | None) -> Tensor:
        x = channels_last_on_cpu(latent)
        for step in self.steps(features):
            x = step(x)  # x is the only reference: what a step no longer needs is freed
        return x

    def steps(self, features: list[Tensor] | None) -> Iterator[Step]:
        """All that happens to the video (B, C, T, H, W), in order."""
        yield from _block_steps(self.mid.values(), self.conv_in)
        enlarge: list[Step] = []
        for index, level in reversed(list(enumerate(cast("list[DecoderLevel]", list(self.up))))):
            yield from _block_steps(level.block, *enlarge)
            if features is not None:
                yield partial(self.attn_refinement[index], features=features[index])
            enlarge = [] if level.upsample is None else [level.upsample]
        yield partial(per_frames, [self.norm_out, partial(F.silu, inplace=True)])
        if features is not None:
            yield partial(self.attn_refinement[-1], features=features[-1])
        yield self.conv_out


def _block_steps(blocks: Iterable[nn.Module], *before: Step) -> Iterator[Step]:
    """The blocks, with what comes before them run on the same slices as the first."""
    for block in blocks:
        yield partial(per_frames, [*before, block])
        before = ()
        if isinstance(block, VideoResBlock):
            yield block.mix_time


class VideoAutoencoder(nn.Module):
    """The video VAE. Pixels are in [-1, 1]; latents are unscaled (the host's latent format scales them)."""

    def __init__(
        self,
        params: VideoVAEParams,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        operations: Any = None,
    ) -> None:
        super().__init__()
        layers = Layers.of(dtype, device, operations)
        self.encoder = Encoder(params, layers)
        self.decoder = Decoder(params, layers)
        self.quant_conv = layers.conv2d(2 * params.z_channels, 2 * params.z_channels, 1)
        self.post_quant_conv = layers.conv2d(params.z_channels, params.z_channels, 1)

    def encode(self, pixels: Tensor) -> Tensor:
        """Encode each frame by itself: (B, 3, T, H, W) in [-1, 1] -> the posterior's mean, (B, 4, T, H/8, W/8)."""
        return per_frames([self.encoder, self.quant_conv], pixels).chunk(2, dim=1)[0]

    def decode(self, latent: Tensor, references: Tensor | None = None) -> Tensor:
        """Decode a video.

        Args:
            latent: (B, 4, T, h, w), unscaled; any T.
            references: (B or 1, 3, 2, 8h, 8w) in [-1, 1], the pictures that the first and the last frame show.
                Without them this is a plain video VAE, which invents what the latent does not say.

        Returns:
            (B, 3, T, 8h, 8w), about [-1, 1], not clamped.
        """
        if references is None:
            # with references the released program leaves post_quant_conv out, and the decoder was tuned to that
            return self.decoder(per_frames([self.post_quant_conv], latent), None)
        features = self.reference_features(references.to(latent))
        return self.decoder(latent, [feature.expand(len(latent), -1, -1, -1, -1) for feature in features])

    def reference_features(self, references: Tensor) -> list[Tensor]:
        """Both pictures' features, each (B, C, 2, H, W), finest level first and that of `conv_in` last."""
        pictures = [self.encoder.features(picture) for picture in references.unbind(dim=2)]
        return [torch.stack(pair, dim=2) for pair in zip(*pictures, strict=True)]
