"""Floating-point operations of every stage, counted on torch's meta device: no weights, no memory, no GPU.

Counted are matrix products, convolutions and attention, two operations for each multiplication and addition; norms
and activations are not, nor are the zeros at the edges of convolutions left out.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import comfy.clip_vision
import comfy.ops
import comfy.sd1_clip
import comfy.text_encoders.sd2_clip
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from paintsundo_models import detection, loading
from paintsundo_models.checkpoints import Checkpoint
from paintsundo_models.constants import FRAMES_PER_SEGMENT
from paintsundo_models.host.clip_vision import clip_vision_config
from paintsundo_models.parts import MULTI_FRAME, PARTS, SINGLE_FRAME

from .settings import Setting, Size
from .table import Row

META = torch.device("meta")
MODELS = {SINGLE_FRAME: "single_frame", MULTI_FRAME: "multi_frame"}
TOKENS = 77


def meta_checkpoint(kind: str, listing: Path, dtype: torch.dtype = torch.float32) -> Checkpoint:
    """A checkpoint of which only names and shapes exist."""
    layout = json.loads(listing.read_text(encoding="utf-8"))
    names = {part: f"{MODELS[kind]}.{part}" for part in PARTS[kind]}
    parts = {
        part: {
            key: torch.empty(shape, dtype=dtype, device=META)
            for key, shape in layout["tensors"][name].items()
        }
        for part, name in names.items()
    }
    return Checkpoint(listing, kind, parts, {part: layout["configs"][name] for part, name in names.items()})


@dataclass(frozen=True)
class Networks:
    """All networks of both models, on the meta device."""

    keyframe_unet: Any
    image_vae: Any
    segment_unet: Any
    video_vae: Any
    vision: Any
    texts: dict[str, Any]  # by kind

    @classmethod
    def of(cls, listing: Path) -> "Networks":
        single, multi = (meta_checkpoint(kind, listing) for kind in MODELS)
        vision = multi.parts["image_encoder"]
        config = clip_vision_config(vision, multi.configs["image_encoder"])
        encoder = comfy.clip_vision.IMAGE_ENCODERS[config["model_type"]]
        with META:
            return cls(
                loading.single_frame_model(single, torch.float32).model.diffusion_model,
                AutoencoderKL(**detection.image_vae_config(single.parts["vae"])),
                loading.multi_frame_model(multi, torch.float32).model.diffusion_model,
                loading.video_vae(multi, torch.float32).first_stage_model,
                encoder(config, torch.float32, META, comfy.ops.disable_weight_init).vision_model,
                {checkpoint.kind: _text_model(checkpoint) for checkpoint in (single, multi)},
            )


def _text_model(checkpoint: Checkpoint) -> nn.Module:
    model_class, name = {
        SINGLE_FRAME: (comfy.sd1_clip.SD1ClipModel, "clip_l"),
        MULTI_FRAME: (comfy.text_encoders.sd2_clip.SD2ClipModel, "clip_h"),
    }[checkpoint.kind]
    tensors, config = checkpoint.parts["text_encoder"], checkpoint.configs["text_encoder"]
    config = detection.text_config(tensors, config, checkpoint.kind, checkpoint.parts["unet"])
    model = model_class(device=META, dtype=torch.float32, model_options={f"{name}_model_config": config})
    return getattr(model, name).transformer


def counted(run: Callable[[], object]) -> int:
    """Operations of what runs on the meta device, where attention is taken apart into matrix products."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        run()
    return counter.get_total_flops()


def _empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device=META)


class Count:
    """Operations of each stage at given sizes."""

    def __init__(self, listing: Path) -> None:
        self.networks = Networks.of(listing)

    def text(self, kind: str, prompts: int = 2) -> int:
        tokens = torch.zeros(prompts, TOKENS, dtype=torch.long, device=META)
        return counted(lambda: self.networks.texts[kind].text_model(tokens))

    def vision(self, size: Size, pictures: int) -> int:
        vision = self.networks.vision
        patch = vision.embeddings.patch_embedding
        grid = self._vision_grid(size)
        pixels = _empty(pictures, 3, *(side * patch.stride[0] for side in grid))
        tokens = _empty(pictures, 1 + grid[0] * grid[1], patch.out_channels)
        return counted(lambda: (patch(pixels), vision.encoder(tokens)))

    def _vision_grid(self, size: Size) -> Size:
        """Patches along both sides, as encode_any_aspect makes them."""
        shorter = round((self.networks.vision.embeddings.position_embedding.num_embeddings - 1) ** 0.5)
        height, width = (round(shorter / min(size) * side) for side in size)
        return height, width

    def image_encode(self, size: Size) -> int:
        return counted(lambda: self.networks.image_vae.encode(_empty(1, 3, *size)))

    def image_decode(self, size: Size, pictures: int) -> int:
        return counted(lambda: self.networks.image_vae.decode(_empty(pictures, 4, *_latent(size))))

    def keyframe_step(self, size: Size, keyframes: int) -> int:
        unet, batch = self.networks.keyframe_unet, 2 * keyframes
        width = unet.label_emb[0][0].in_features
        context = unet.middle_block[1].transformer_blocks[0].attn2.to_k.in_features
        return counted(
            lambda: unet(
                _empty(batch, 8, *_latent(size)),
                _empty(batch),
                context=_empty(batch, TOKENS, context),
                y=_empty(batch, width),
            )
        )

    def projection(self, size: Size) -> int:
        """Of the positive and the negative branch; once a segment."""
        unet, grid = self.networks.segment_unet, self._vision_grid(size)
        tokens = _empty(1, 2, 1 + grid[0] * grid[1], unet.image_proj.params.embedding_dim)
        return 2 * counted(lambda: unet.project_images(tokens))

    def segment_step(self, size: Size, branches: int = 2) -> int:
        unet, frames = self.networks.segment_unet, FRAMES_PER_SEGMENT
        params = unet.image_proj.params
        context = unet.params.context_dim
        return counted(
            lambda: unet(
                _empty(branches, 8, frames, *_latent(size)),
                _empty(branches),
                context=_empty(branches, TOKENS, context),
                image_context=_empty(branches, frames, params.num_queries, context),
                fs=_empty(branches),
            )
        )

    def video_encode(self, size: Size, pictures: int = 2) -> int:
        return counted(lambda: self.networks.video_vae.encode(_empty(1, 3, pictures, *size)))

    def video_decode(self, size: Size) -> int:
        """With the features of both pictures, which are computed in the same call."""
        latent = _empty(1, 4, FRAMES_PER_SEGMENT, *_latent(size))
        return counted(lambda: self.networks.video_vae.decode(latent, _empty(1, 3, 2, *size)))


def _latent(size: Size) -> Size:
    return size[0] // 8, size[1] // 8


def chain_flops(count: Count, setting: Setting) -> dict[str, int]:
    """Operations of {"keyframes", "segments"} as the nodes run them.

    Prompts, the grey picture and keyframes that two segments share are encoded once.
    """
    keyframes = len(setting.operation_steps)
    segments = keyframes + 1
    segment = (
        count.projection(setting.segment)
        + setting.steps * count.segment_step(setting.segment)
        + count.video_decode(setting.segment)
    )
    return {
        "keyframes": count.text(SINGLE_FRAME)
        + count.image_encode(setting.keyframe)
        + setting.steps * count.keyframe_step(setting.keyframe, keyframes)
        + count.image_decode(setting.keyframe, keyframes),
        "segments": count.text(MULTI_FRAME)
        + count.vision(setting.segment, segments + 2)
        + count.video_encode(setting.segment, segments + 1)
        + segments * segment,
    }


def stage_flops(count: Count, setting: Setting) -> dict[str, int]:
    """Operations of each stage, by the names of the table."""
    keyframes = len(setting.operation_steps)
    return {
        "keyframe prompts": count.text(SINGLE_FRAME),
        "image VAE encode": count.image_encode(setting.keyframe),
        "keyframe UNet step": count.keyframe_step(setting.keyframe, keyframes),
        "image VAE decode": count.image_decode(setting.keyframe, keyframes),
        "segment prompts": count.text(MULTI_FRAME),
        "CLIP vision": count.vision(setting.segment, 1),
        "image projection": count.projection(setting.segment),
        "video VAE encode": count.video_encode(setting.segment, 1),
        "3D UNet step": count.segment_step(setting.segment),
        "video VAE decode": count.video_decode(setting.segment),
    }


def count_rows(setting: Setting) -> list[Row]:
    """The table without times: stages, then the chain."""
    count = Count(setting.listing)
    chain = chain_flops(count, setting)
    return [
        *(Row(name, None, flops) for name, flops in stage_flops(count, setting).items()),
        Row("all keyframes", None, chain["keyframes"]),
        Row("all segments", None, chain["segments"]),
        Row("whole chain", None, chain["keyframes"] + chain["segments"]),
    ]
