"""The multi-frame model's image projection: CLIP vision tokens of two pictures to image tokens of every frame.

A Perceiver resampler; computes what Paints-UNDO's diffusers_vdm/projection.py computes (own code, same tensor names).
"""

from dataclasses import dataclass
from typing import Any, cast

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
    """Attention of the latents to the pictures' tokens and to themselves."""

    def __init__(
        self,
        params: ImageProjectionParams,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        operations: Any = None,
    ) -> None:
        super().__init__()
        options: dict = {"dtype": dtype, "device": device}
        inner = params.heads * params.dim_head
        self.heads = params.heads
        self.norm1 = operations.LayerNorm(params.dim, **options)
        self.norm2 = operations.LayerNorm(params.dim, **options)
        self.to_q = operations.Linear(params.dim, inner, bias=False, **options)
        self.to_kv = operations.Linear(params.dim, 2 * inner, bias=False, **options)
        self.to_out = operations.Linear(inner, params.dim, bias=False, **options)

    def forward(self, tokens: Tensor, latents: Tensor) -> Tensor:
        latents = self.norm2(latents)
        k, v = self.to_kv(torch.cat([self.norm1(tokens), latents], dim=1)).chunk(2, dim=-1)
        # looked up at call time, so that a back end chosen later is used; some back ends need contiguous inputs
        out = host_attention.optimized_attention(
            self.to_q(latents), k.contiguous(), v.contiguous(), self.heads, low_precision_attention=False
        )
        return self.to_out(out)


def feed_forward(
    dim: int, mult: int, dtype: torch.dtype | None, device: torch.device | str | None, operations: Any
) -> nn.Sequential:
    """LayerNorm, then two bias-free linear layers around a GELU."""
    return nn.Sequential(
        operations.LayerNorm(dim, dtype=dtype, device=device),
        operations.Linear(dim, dim * mult, bias=False, dtype=dtype, device=device),
        nn.GELU(),
        operations.Linear(dim * mult, dim, bias=False, dtype=dtype, device=device),
    )


class ImageProjection(nn.Module):
    """CLIP vision tokens of two pictures -> image tokens of every frame."""

    def __init__(
        self,
        params: ImageProjectionParams,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        operations: Any = None,
    ) -> None:
        super().__init__()
        options: dict = {"dtype": dtype, "device": device}
        self.params = params
        self.latents = nn.Parameter(
            torch.empty(1, params.num_queries * params.video_length, params.dim, **options),
            requires_grad=False,
        )
        self.input_pos = nn.Parameter(
            torch.empty(1, params.input_frames, 1, params.embedding_dim, **options), requires_grad=False
        )
        self.proj_in = operations.Linear(params.embedding_dim, params.dim, **options)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PerceiverAttention(params, operations=operations, **options),
                    feed_forward(params.dim, params.ff_mult, operations=operations, **options),
                ]
            )
            for _ in range(params.depth)
        )
        self.proj_out = operations.Linear(params.dim, params.output_dim, **options)
        self.norm_out = operations.LayerNorm(params.output_dim, **options)

    def forward(self, tokens: Tensor) -> Tensor:
        """Project both pictures' tokens together.

        Args:
            tokens: (B, 2, N, C), all CLIP vision tokens of the first and the last picture.

        Returns:
            (B, video_length, num_queries, output_dim), each frame's own image tokens.
        """
        tokens = tokens + comfy.ops.cast_to_input(self.input_pos, tokens)
        tokens = self.proj_in(rearrange(tokens, "b l n c -> b (l n) c"))
        latents = comfy.ops.cast_to_input(self.latents, tokens).expand(tokens.shape[0], -1, -1)
        for attention, feed in cast("list[nn.ModuleList]", list(self.layers)):
            latents = latents + attention(tokens, latents)
            latents = latents + feed(latents)
        out = self.norm_out(self.proj_out(latents))
        return rearrange(out, "b (t q) c -> b t q c", t=self.params.video_length)
