"""The multi-frame model's image projection: CLIP vision tokens of two pictures -> image tokens of every frame.

A Perceiver resampler; computes what Paints-UNDO's diffusers_vdm/projection.py computes (own code, same tensor names).
"""

from dataclasses import dataclass
from typing import cast

import comfy.ldm.modules.attention as host_attention
import comfy.ops
import torch
from einops import rearrange
from torch import Tensor, nn


@dataclass(frozen=True)
class ImageProjectionParams:
    """Sizes of the projection; the defaults are the released checkpoint's."""

    dim: int = 1024
    depth: int = 4
    dim_head: int = 64
    heads: int = 12
    num_queries: int = 16
    embedding_dim: int = 1280
    output_dim: int = 1024
    ff_mult: int = 4
    video_length: int = 16
    input_frames: int = 2


class PerceiverAttention(nn.Module):
    """Attention of the learned latents to the pictures' tokens and to each other."""

    def __init__(
        self,
        params: ImageProjectionParams,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        operations: type = comfy.ops.disable_weight_init,
    ) -> None:
        super().__init__()
        factory: dict = {"dtype": dtype, "device": device}
        inner = params.heads * params.dim_head
        self.heads = params.heads
        self.norm1 = operations.LayerNorm(params.dim, **factory)
        self.norm2 = operations.LayerNorm(params.dim, **factory)
        self.to_q = operations.Linear(params.dim, inner, bias=False, **factory)
        self.to_kv = operations.Linear(params.dim, 2 * inner, bias=False, **factory)
        self.to_out = operations.Linear(inner, params.dim, bias=False, **factory)

    def forward(self, tokens: Tensor, latents: Tensor) -> Tensor:
        latents = self.norm2(latents)
        k, v = self.to_kv(torch.cat([self.norm1(tokens), latents], dim=1)).chunk(2, dim=-1)
        # Look the function up at each call, because ComfyUI may replace it after this module is imported.
        # Some attention back ends require contiguous inputs.
        out = host_attention.optimized_attention(
            self.to_q(latents), k.contiguous(), v.contiguous(), self.heads, low_precision_attention=False
        )
        return self.to_out(out)


def feed_forward(
    dim: int,
    mult: int,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    operations: type = comfy.ops.disable_weight_init,
) -> nn.Sequential:
    """Build a LayerNorm followed by two bias-free linear layers with a GELU between them."""
    factory: dict = {"dtype": dtype, "device": device}
    return nn.Sequential(
        operations.LayerNorm(dim, **factory),
        operations.Linear(dim, dim * mult, bias=False, **factory),
        nn.GELU(),
        operations.Linear(dim * mult, dim, bias=False, **factory),
    )


class ImageProjection(nn.Module):
    """CLIP vision tokens of two pictures -> image tokens of every frame."""

    def __init__(
        self,
        params: ImageProjectionParams,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        operations: type = comfy.ops.disable_weight_init,
    ) -> None:
        super().__init__()
        factory: dict = {"dtype": dtype, "device": device}
        self.params = params
        self.latents = nn.Parameter(
            torch.empty(1, params.num_queries * params.video_length, params.dim, **factory),
            requires_grad=False,
        )
        self.input_pos = nn.Parameter(
            torch.empty(1, params.input_frames, 1, params.embedding_dim, **factory), requires_grad=False
        )
        self.proj_in = operations.Linear(params.embedding_dim, params.dim, **factory)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PerceiverAttention(params, operations=operations, **factory),
                    feed_forward(params.dim, params.ff_mult, operations=operations, **factory),
                ]
            )
            for _ in range(params.depth)
        )
        self.proj_out = operations.Linear(params.dim, params.output_dim, **factory)
        self.norm_out = operations.LayerNorm(params.output_dim, **factory)

    def forward(self, tokens: Tensor) -> Tensor:
        """Project the tokens of both pictures to image tokens of every frame.

        Args:
            tokens: (B, 2, N, C), all CLIP vision tokens of the first and the last picture.

        Returns:
            (B, video_length, num_queries, output_dim), the image tokens of each frame.
        """
        tokens = tokens + comfy.ops.cast_to_input(self.input_pos, tokens)
        tokens = self.proj_in(rearrange(tokens, "b l n c -> b (l n) c"))
        latents = comfy.ops.cast_to_input(self.latents, tokens).expand(tokens.shape[0], -1, -1)
        for attention, feed in cast("list[nn.ModuleList]", list(self.layers)):
            latents = latents + attention(tokens, latents)
            latents = latents + feed(latents)
        out = self.norm_out(self.proj_out(latents))
        return rearrange(out, "b (t q) c -> b t q c", t=self.params.video_length)
