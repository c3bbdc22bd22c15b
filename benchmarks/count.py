"""Floating-point operations and memory of every stage, counted on torch's meta device: no weights, no GPU.

Operations are those of matrix products, convolutions and attention; a multiplication and an addition count as two. Norms
and activations are not counted; the zeros at the edges of convolutions are. Memory is that of the tensors.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
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

from paintsundo_models import loading
from paintsundo_models.checkpoints import detection
from paintsundo_models.checkpoints.files import Checkpoint
from paintsundo_models.checkpoints.parts import MULTI_FRAME, PARTS, SINGLE_FRAME
from paintsundo_models.constants import FRAMES_PER_SEGMENT
from paintsundo_models.host.clip_vision import clip_vision_config
from paintsundo_models.host.text import MAX_TOKENS

from .live_memory import counted
from .measure import weight_bytes
from .settings import Setting, Size
from .table import Row

META = torch.device("meta")
MODELS = {SINGLE_FRAME: "single_frame", MULTI_FRAME: "multi_frame"}


def meta_checkpoint(kind: str, listing: Path, dtype: torch.dtype = torch.float32) -> Checkpoint:
    """Make a checkpoint whose tensors have names, shapes and no values."""
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
    """All networks of both models, on the meta device.

    Any: torch declares every sub-module as `Tensor | Module`, and the counts read sizes deep inside ComfyUI's networks.
    """

    keyframe_unet: Any
    image_vae: Any
    segment_unet: Any
    video_vae: Any
    vision: Any
    texts: dict[str, Any]  # by kind

    @classmethod
    def of(cls, listing: Path, dtype: torch.dtype) -> "Networks":
        single, multi = (meta_checkpoint(kind, listing) for kind in MODELS)
        vision = multi.parts["image_encoder"]
        config = clip_vision_config(vision, multi.configs["image_encoder"])
        encoder = comfy.clip_vision.IMAGE_ENCODERS[str(config["model_type"])]
        # Made in float32, because ComfyUI adds casts to networks in a dtype that the device does not compute in.
        with META:
            return cls(
                loading.single_frame_model(single, torch.float32).model.diffusion_model.to(dtype),
                AutoencoderKL(**detection.image_vae_config(single.parts["vae"])).to(dtype),
                loading.multi_frame_model(multi, torch.float32).model.diffusion_model.to(dtype),
                loading.video_vae(multi, torch.float32).first_stage_model.to(dtype),
                encoder(config, torch.float32, META, comfy.ops.disable_weight_init).vision_model.to(dtype),
                {checkpoint.kind: _text_model(checkpoint).to(dtype) for checkpoint in (single, multi)},
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


@dataclass(frozen=True)
class Work:
    """One evaluation of a network on the meta device."""

    network: nn.Module
    run: Callable[[], object]

    def row(self, name: str) -> Row:
        """Count operations and memory; the row has no time."""
        with torch.inference_mode():
            found = counted(self.run)
        return Row(name, None, found.flops, weight_bytes(self.network), found.peak)


class Count:
    """The work of each stage at given sizes; networks and tensors have one dtype."""

    def __init__(self, listing: Path, dtype: torch.dtype) -> None:
        self.networks = Networks.of(listing, dtype)
        self.dtype = dtype

    def _empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=self.dtype, device=META)

    def text(self, kind: str, prompts: int = 2) -> Work:
        tokens = torch.zeros(prompts, MAX_TOKENS, dtype=torch.long, device=META)
        transformer = self.networks.texts[kind]
        return Work(transformer, lambda: transformer.text_model(tokens))

    def vision(self, size: Size, pictures: int) -> Work:
        vision = self.networks.vision
        patch = vision.embeddings.patch_embedding
        grid = self._vision_grid(size)
        pixels = self._empty(pictures, 3, *(side * patch.stride[0] for side in grid))
        tokens = self._empty(pictures, 1 + grid[0] * grid[1], patch.out_channels)
        return Work(vision, lambda: (patch(pixels), vision.encoder(tokens)))

    def _vision_grid(self, size: Size) -> Size:
        """Return the number of patches along height and width, as encode_any_aspect makes them."""
        shorter = round((self.networks.vision.embeddings.position_embedding.num_embeddings - 1) ** 0.5)
        height, width = (round(shorter / min(size) * side) for side in size)
        return height, width

    def image_encode(self, size: Size) -> Work:
        vae, pixels = self.networks.image_vae, self._empty(1, 3, *size)
        return Work(vae, lambda: vae.encode(pixels))

    def image_decode(self, size: Size, pictures: int) -> Work:
        vae, latent = self.networks.image_vae, self._empty(pictures, 4, *_latent(size))
        return Work(vae, lambda: vae.decode(latent))

    def keyframe_step(self, size: Size, keyframes: int) -> Work:
        unet, batch = self.networks.keyframe_unet, 2 * keyframes
        width = unet.label_emb[0][0].in_features
        context = unet.middle_block[1].transformer_blocks[0].attn2.to_k.in_features
        x, timesteps = self._empty(batch, 8, *_latent(size)), self._empty(batch)
        conds = {"context": self._empty(batch, MAX_TOKENS, context), "y": self._empty(batch, width)}
        return Work(unet, lambda: unet(x, timesteps, **conds))

    def projection(self, size: Size) -> Work:
        """Project the tokens of the positive and of the negative branch, as the conditioning of a segment does."""
        unet, grid = self.networks.segment_unet, self._vision_grid(size)
        tokens = self._empty(1, 2, 1 + grid[0] * grid[1], unet.image_proj.params.embedding_dim)
        return Work(unet.image_proj, lambda: [unet.project_images(tokens) for _ in range(2)])

    def segment_step(self, size: Size, branches: int = 2) -> Work:
        unet, frames = self.networks.segment_unet, FRAMES_PER_SEGMENT
        queries, context = unet.image_proj.params.num_queries, unet.params.context_dim
        x, timesteps = self._empty(branches, 8, frames, *_latent(size)), self._empty(branches)
        conds = {
            "context": self._empty(branches, MAX_TOKENS, context),
            "image_context": self._empty(branches, frames, queries, context),
            "fs": self._empty(branches),
        }
        return Work(unet, lambda: unet(x, timesteps, **conds))

    def video_encode(self, size: Size, pictures: int = 2) -> Work:
        vae, pixels = self.networks.video_vae, self._empty(1, 3, pictures, *size)
        return Work(vae, lambda: vae.encode(pixels))

    def video_decode(self, size: Size) -> Work:
        """Decode a segment, including the features of both reference pictures."""
        vae, pixels = self.networks.video_vae, self._empty(1, 3, 2, *size)
        latent = self._empty(1, 4, FRAMES_PER_SEGMENT, *_latent(size))
        return Work(vae, lambda: vae.decode(latent, pixels))


def _latent(size: Size) -> Size:
    return size[0] // 8, size[1] // 8


def chain_flops(stages: Mapping[str, float], setting: Setting) -> dict[str, float]:
    """Return the operations of {"keyframes", "segments"} as the nodes run them.

    Each prompt is encoded once. Each keyframe, which may be the end of two segments, is encoded once. The vision
    encoder also sees a grey picture.

    Args:
        stages: operations by the names of keyframe_stages and segment_stages.
        setting: number of keyframes and of sampling steps.
    """
    segments = len(setting.operation_steps) + 1
    segment = stages["image projection"] + setting.steps * stages["3D UNet step"] + stages["video VAE decode"]
    return {
        "keyframes": stages["keyframe prompts"]
        + stages["image VAE encode"]
        + setting.steps * stages["keyframe UNet step"]
        + stages["image VAE decode"],
        "segments": stages["segment prompts"]
        + (segments + 2) * stages["CLIP vision"]
        + (segments + 1) * stages["video VAE encode"]
        + segments * segment,
    }


def keyframe_stages(count: Count, setting: Setting) -> dict[str, Work]:
    """Return each stage that makes the keyframes, by its name in the table."""
    keyframes = len(setting.operation_steps)
    return {
        "keyframe prompts": count.text(SINGLE_FRAME),
        "image VAE encode": count.image_encode(setting.keyframe),
        "keyframe UNet step": count.keyframe_step(setting.keyframe, keyframes),
        "image VAE decode": count.image_decode(setting.keyframe, keyframes),
    }


def segment_stages(count: Count, setting: Setting) -> dict[str, Work]:
    """Return each stage that makes a segment, by its name in the table."""
    return {
        "segment prompts": count.text(MULTI_FRAME),
        "CLIP vision": count.vision(setting.segment, 1),
        "image projection": count.projection(setting.segment),
        "video VAE encode": count.video_encode(setting.segment, 1),
        "3D UNet step": count.segment_step(setting.segment),
        "video VAE decode": count.video_decode(setting.segment),
    }


def count_rows(count: Count, setting: Setting) -> list[Row]:
    """Count the table without times: stages, then the chain, whose peak is that of its largest stage."""
    stages = {"keyframes": keyframe_stages(count, setting), "segments": segment_stages(count, setting)}
    rows = {part: [work.row(name) for name, work in works.items()] for part, works in stages.items()}
    peaks = {part: max(row.peak or 0 for row in of_part) for part, of_part in rows.items()}
    all_stages = list(itertools.chain.from_iterable(rows.values()))
    chain = chain_flops({row.name: row.flops for row in all_stages}, setting)
    return [
        *all_stages,
        *(Row(f"all {part}", None, chain[part], None, peaks[part]) for part in rows),
        Row("whole chain", None, sum(chain.values()), None, max(peaks.values())),
    ]


def growth_rows(count: Count, sizes: Iterable[Size]) -> list[Row]:
    """Count one keyframe and one segment at several sizes: a step of both branches together, and the decoding."""
    return [
        work.row(f"{size[1]}x{size[0]}: {name}")
        for size in sizes
        for name, work in {
            "keyframe UNet step": count.keyframe_step(size, 1),
            "image VAE decode": count.image_decode(size, 1),
            "3D UNet step": count.segment_step(size),
            "video VAE decode": count.video_decode(size),
        }.items()
    ]
