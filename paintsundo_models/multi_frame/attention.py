"""Spatial and temporal transformers of the 3D UNet, built from the host's own blocks so that patches and LoRA reach them.

Computes what Paints-UNDO's diffusers_vdm/attention.py computes; tensor names are the checkpoint's.
"""

import comfy.ops
import torch
from comfy.ldm.modules import attention
from einops import rearrange
from torch import Tensor, nn

IMAGE_CONTEXT = "paintsundo_image_context"
"""transformer_options key of the image tokens, (B*T, N, D). ComfyUI's blocks forward no other argument to attn2."""

FRAMES = "paintsundo_frames"
"""transformer_options key of T, the number of frames that are folded into the batch of the spatial layers."""


class ImageTextCrossAttention(attention.CrossAttention):
    """out = to_out(attend(q, text) + s * attend(q, image)), s = 1, or 1 + tanh(alpha) where the checkpoint has alpha.

    All frames of a video share one text, so its keys and values are computed once, and the frames' queries are joined.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        heads: int,
        head_channels: int,
        learned_image_scale: bool,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        operations: type = comfy.ops.disable_weight_init,
    ) -> None:
        factory: dict = {"dtype": dtype, "device": device}
        super().__init__(
            dim, context_dim, heads=heads, dim_head=head_channels, operations=operations, **factory
        )
        self.to_k_ip = operations.Linear(context_dim, heads * head_channels, bias=False, **factory)
        self.to_v_ip = operations.Linear(context_dim, heads * head_channels, bias=False, **factory)
        self.alpha = (
            nn.Parameter(torch.empty((), **factory), requires_grad=False) if learned_image_scale else None
        )

    def forward(
        self,
        x: Tensor,
        context: Tensor,
        value: Tensor | None = None,
        mask: Tensor | None = None,
        transformer_options: dict = {},  # noqa: B006  the host's own signature
    ) -> Tensor:
        def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
            return attention.optimized_attention(
                q,
                k,
                v,
                self.heads,
                mask=mask,
                attn_precision=self.attn_precision,
                transformer_options=transformer_options,
            )

        q = self.to_q(x)  # (B*T, N, D)
        # (B, T*N, D); unchanged where a patch gave every frame its own text
        videos = q.reshape(len(context), -1, q.shape[-1])
        out = attend(videos, self.to_k(context), self.to_v(context if value is None else value), mask)
        image = transformer_options[IMAGE_CONTEXT]
        from_image = attend(q, self.to_k_ip(image), self.to_v_ip(image))
        if self.alpha is not None:
            from_image = from_image * (1 + torch.tanh(comfy.ops.cast_to_input(self.alpha, from_image)))
        return self.to_out(out.view_as(from_image) + from_image)


class ImageTextTransformer(attention.SpatialTransformer):
    """The host's spatial transformer whose cross-attention also reads each frame's image tokens."""

    def __init__(
        self,
        channels: int,
        context_dim: int,
        head_channels: int,
        learned_image_scale: bool,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        operations: type = comfy.ops.disable_weight_init,
    ) -> None:
        heads = channels // head_channels
        factory: dict = {"dtype": dtype, "device": device}
        super().__init__(
            channels,
            heads,
            head_channels,
            context_dim=context_dim,
            use_linear=True,
            use_checkpoint=False,
            operations=operations,
            **factory,
        )
        self.transformer_blocks[0].attn2 = ImageTextCrossAttention(
            channels,
            context_dim,
            heads,
            head_channels,
            learned_image_scale,
            operations=operations,
            **factory,
        )


class TemporalTransformer(nn.Module):
    """Two self-attentions at each pixel, over its values in all frames; the group norm spans all frames."""

    def __init__(
        self,
        channels: int,
        heads: int,
        head_channels: int,
        conv_projection: bool = False,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        operations: type = comfy.ops.disable_weight_init,
    ) -> None:
        super().__init__()
        inner = heads * head_channels
        factory: dict = {"dtype": dtype, "device": device}
        self.conv_projection = conv_projection
        self.norm = operations.GroupNorm(32, channels, eps=1e-6, **factory)
        if conv_projection:
            self.proj_in = operations.Conv1d(channels, inner, 1, **factory)
            self.proj_out = operations.Conv1d(inner, channels, 1, **factory)
        else:
            self.proj_in = operations.Linear(channels, inner, **factory)
            self.proj_out = operations.Linear(inner, channels, **factory)
        block = attention.BasicTransformerBlock(
            inner, heads, head_channels, checkpoint=False, operations=operations, **factory
        )
        self.transformer_blocks = nn.ModuleList([block])

    def forward(self, x: Tensor, frames: int, transformer_options: dict) -> Tensor:
        # Patches made for images (token merging, IP-Adapter, PAG) would take these sequences of frames for pixels.
        passed = ("optimized_attention_override", "sigmas", "cond_or_uncond")
        options = {key: transformer_options[key] for key in passed if key in transformer_options}
        height, width = x.shape[-2:]

        h = self.norm(rearrange(x, "(b t) c h w -> b c t h w", t=frames))
        h = rearrange(h, "b c t h w -> (b h w) t c").contiguous()
        h = self._project(self.proj_in, h)
        h = self.transformer_blocks[0](h, transformer_options=options)
        h = self._project(self.proj_out, h)
        return x + rearrange(h, "(b h w) t c -> (b t) c h w", h=height, w=width)

    def _project(self, layer: nn.Module, x: Tensor) -> Tensor:
        if self.conv_projection:
            return layer(x.transpose(1, 2)).transpose(1, 2).contiguous()
        return layer(x)
