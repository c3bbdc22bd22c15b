"""The multi-frame model's 3D UNet with its image projection; computes what Paints-UNDO's diffusers_vdm/unet.py computes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import comfy.ops
import comfy.patcher_extension
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import Downsample, ResBlock, Upsample
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from einops import rearrange
from torch import Tensor, nn

from ..layout import fold_time, unfold_time
from .attention import FRAMES, IMAGE_CONTEXT, ImageTextTransformer, TemporalTransformer
from .projection import ImageProjection, ImageProjectionParams
from .time_conv import time_conv

INIT_ATTENTION_HEADS = 8


@dataclass(frozen=True)
class UNet3DParams:
    """Architecture of the 3D UNet; every field but head_channels can be read from tensor shapes."""

    in_channels: int  # channels of the noisy latent and of the concat condition together
    out_channels: int
    model_channels: int  # width of the finest level
    channel_mult: tuple[int, ...]  # width of each level as a multiple of model_channels, finest level first
    blocks_per_level: int
    attention_levels: tuple[bool, ...]  # which levels have transformers
    head_channels: int  # channels of one attention head
    context_dim: int  # width of text and image tokens
    learned_image_scale: bool  # whether the checkpoint scales the image attention by a learned `alpha`


class TemporalConvBlock(nn.Module):
    """Add the output of four stages (group norm over all frames, SiLU, 3x1x1 convolution) to x, (B, C, T, H, W)."""

    def __init__(
        self,
        channels: int,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        operations: type = comfy.ops.disable_weight_init,
    ) -> None:
        super().__init__()
        factory: dict = {"dtype": dtype, "device": device}

        def stage(*after_activation: nn.Module) -> nn.Sequential:
            return nn.Sequential(
                operations.GroupNorm(32, channels, **factory),
                nn.SiLU(),
                *after_activation,
                time_conv(channels, operations, **factory),
            )

        # The original has a dropout layer in the last three stages. The Identity takes its position, so that the
        # convolution has the same index, and hence the same tensor name, as in the checkpoint.
        self.conv1 = stage()
        self.conv2 = stage(nn.Identity())
        self.conv3 = stage(nn.Identity())
        self.conv4 = stage(nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv4(self.conv3(self.conv2(self.conv1(x))))


class TemporalResBlock(ResBlock):
    """The host's residual block, then temporal convolutions: (B*T, C, H, W) -> (B*T, C', H, W)."""

    def __init__(
        self,
        channels: int,
        embedding_channels: int,
        out_channels: int,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        operations: type = comfy.ops.disable_weight_init,
    ) -> None:
        factory: dict = {"dtype": dtype, "device": device}
        super().__init__(
            channels, embedding_channels, 0.0, out_channels=out_channels, operations=operations, **factory
        )
        # "temopral" is the spelling of the checkpoint's tensor names.
        self.temopral_conv = TemporalConvBlock(out_channels, operations=operations, **factory)

    def forward(self, x: Tensor, emb: Tensor, frames: int) -> Tensor:
        h = super().forward(x, emb)
        return fold_time(self.temopral_conv(unfold_time(h, frames)))


class UNet3D(nn.Module):
    """Predicts v. The image projection is a sub-module, so that ComfyUI's offloading, LoRA and fp8 include it."""

    def __init__(
        self,
        params: UNet3DParams,
        projection: ImageProjectionParams,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        operations: type = comfy.ops.disable_weight_init,
        **host_config: object,  # BaseModel passes the whole unet_config
    ) -> None:
        super().__init__()
        self.dtype = dtype  # ComfyUI reads the type of the weights from here
        self.params = params
        self.in_channels = params.in_channels  # ComfyUI's RenormCFG node reads it
        self.model_channels = params.model_channels
        self.video_length = projection.video_length
        factory: dict = {"dtype": dtype, "device": device}  # for layers
        self._factory: dict = {
            **factory,
            "operations": operations,
        }  # for components, which make their own layers
        base, embedding = params.model_channels, 4 * params.model_channels

        def embedder() -> nn.Sequential:
            return nn.Sequential(
                operations.Linear(base, embedding, **factory),
                nn.SiLU(),
                operations.Linear(embedding, embedding, **factory),
            )

        self.time_embed = embedder()
        self.fps_embedding = embedder()
        self.init_attn = nn.ModuleList(
            [TemporalTransformer(base, INIT_ATTENTION_HEADS, params.head_channels, True, **self._factory)]
        )

        first = operations.Conv2d(params.in_channels, base, 3, padding=1, **factory)
        self.input_blocks, skips = self._input_blocks(first)
        channels = skips[-1]
        self.middle_block = nn.ModuleList(
            [
                TemporalResBlock(channels, embedding, channels, **self._factory),
                *self._transformers(channels),
                TemporalResBlock(channels, embedding, channels, **self._factory),
            ]
        )
        self.output_blocks = self._output_blocks(skips)
        self.out = nn.Sequential(
            operations.GroupNorm(32, base, **factory),
            nn.SiLU(),
            operations.Conv2d(base, params.out_channels, 3, padding=1, **factory),
        )
        self.image_proj = ImageProjection(projection, **self._factory)

    @property
    def _widths(self) -> list[int]:
        return [self.model_channels * mult for mult in self.params.channel_mult]

    def _input_blocks(self, first: nn.Module) -> tuple[nn.ModuleList, list[int]]:
        """Return the blocks of the downward half, and the channels of each block's skip connection."""
        blocks, skips = nn.ModuleList([nn.ModuleList([first])]), [self.model_channels]
        for level, width in enumerate(self._widths):
            for _ in range(self.params.blocks_per_level):
                blocks.append(self._level_block(skips[-1], width, level))
                skips.append(width)
            if level + 1 < len(self._widths):
                blocks.append(nn.ModuleList([Downsample(width, True, **self._factory)]))
                skips.append(width)
        return blocks, skips

    def _output_blocks(self, skips: list[int]) -> nn.ModuleList:
        blocks, skips = nn.ModuleList(), skips.copy()
        channels = skips[-1]
        for level, width in reversed(list(enumerate(self._widths))):
            for index in range(self.params.blocks_per_level + 1):
                block = self._level_block(channels + skips.pop(), width, level)
                channels = width
                if level > 0 and index == self.params.blocks_per_level:
                    block.append(Upsample(channels, True, **self._factory))
                blocks.append(block)
        return blocks

    def _level_block(self, channels: int, out_channels: int, level: int) -> nn.ModuleList:
        block = TemporalResBlock(channels, 4 * self.model_channels, out_channels, **self._factory)
        attends = self.params.attention_levels[level]
        return nn.ModuleList([block, *(self._transformers(out_channels) if attends else ())])

    def _transformers(self, channels: int) -> Iterable[nn.Module]:
        p = self.params
        yield ImageTextTransformer(
            channels, p.context_dim, p.head_channels, p.learned_image_scale, **self._factory
        )
        yield TemporalTransformer(channels, channels // p.head_channels, p.head_channels, **self._factory)

    def project_images(self, tokens: Tensor) -> Tensor:
        """Project the vision tokens of both pictures to image tokens of every frame: (B, 2, N, C) -> (B, T, L, D)."""
        return self.image_proj(tokens)

    def to(self, *args: Any, memory_format: torch.memory_format | None = None, **others: Any) -> "UNet3D":
        """Move or convert the network as torch does; a memory format of pictures is left to the layers for pictures.

        ComfyUI asks for it with --force-channels-last, and torch refuses it for convolutions over time.
        """
        if memory_format is not torch.channels_last:
            return super().to(*args, **others, **({"memory_format": memory_format} if memory_format else {}))
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.to(memory_format=memory_format)
        return super().to(*args, **others) if args or others else self

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        control: dict | None = None,
        transformer_options: dict = {},  # noqa: B006  the host's own signature
        **kwargs: object,
    ) -> Tensor:
        """Predict v.

        Args:
            x: noisy latent and concat condition, (B, 8, T, H, W).
            timesteps: (B,), 0 to 999.
            context: text tokens, (B, N, D).
            control: not used, because ControlNets are made for single images.
            transformer_options: ComfyUI's patches and options.
            **kwargs: image_context (B, T, L, D) and fs (B,); ComfyUI may pass further conditions, which are ignored.

        Returns:
            v, (B, 4, T, H, W).
        """
        wrappers = comfy.patcher_extension.get_all_wrappers(
            comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, transformer_options
        )
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(self._forward, self, wrappers)
        return executor.execute(x, timesteps, context, control, transformer_options, **kwargs)

    def _forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        control: dict | None = None,
        transformer_options: dict = {},  # noqa: B006
        *,
        image_context: Tensor,
        fs: Tensor,
        **_host: object,
    ) -> Tensor:
        frames = x.shape[2]
        options = transformer_options.copy()
        options[FRAMES] = frames
        options[IMAGE_CONTEXT] = rearrange(image_context, "b t l d -> (b t) l d")
        options["original_shape"] = [x.shape[0] * frames, x.shape[1], *x.shape[3:]]
        patches = options.get("patches", {})

        emb = self.time_embed(timestep_embedding(timesteps, self.model_channels).to(x.dtype))
        emb = emb + self.fps_embedding(timestep_embedding(fs, self.model_channels).to(x.dtype))
        emb = emb.repeat_interleave(frames, dim=0)

        h = fold_time(x)  # (B*T, 8, H, W)
        skips = []
        for index, block in enumerate(self.input_blocks):
            options["block"] = ("input", index)
            h = self._run(block, h, emb, context, frames, options)
            if index == 0:
                h = self.init_attn[0](h, frames, options)
            for patch in patches.get("input_block_patch", ()):
                h = patch(h, options)
            skips.append(h)
            for patch in patches.get("input_block_patch_after_skip", ()):
                h = patch(h, options)

        options["block"] = ("middle", 0)
        h = self._run(self.middle_block, h, emb, context, frames, options)
        for patch in patches.get("middle_block_patch", ()):
            h = patch(h, options)

        for index, block in enumerate(self.output_blocks):
            options["block"] = ("output", index)
            skip = skips.pop()
            for patch in patches.get("output_block_patch", ()):
                h, skip = patch(h, skip, options)
            h = torch.cat([h, skip], dim=1)
            # Upsample to the size of the next skip connection: halving an odd size on the way down lost a row.
            size = skips[-1].shape if skips else None
            h = self._run(block, h, emb, context, frames, options, size)

        return unfold_time(self.out(h), frames)  # (B, 4, T, H, W)

    @staticmethod
    def _run(
        block: nn.Module,
        h: Tensor,
        emb: Tensor,
        context: Tensor,
        frames: int,
        options: dict,
        size: torch.Size | None = None,
    ) -> Tensor:
        for layer in block.children():
            if isinstance(layer, TemporalResBlock):
                h = layer(h, emb, frames)
            elif isinstance(layer, ImageTextTransformer):
                h = layer(h, context, options)
            elif isinstance(layer, TemporalTransformer):
                h = layer(h, frames, options)
            elif isinstance(layer, Upsample):
                h = layer(h, size)
            else:
                h = layer(h)
        return h
