"""The single stages of the chain, on ComfyUI's objects and through the calls that the nodes make."""

from collections.abc import Mapping

import comfy.model_management as mm
import comfy.model_patcher
import comfy.sd
import torch
from torch import Tensor

from paintsundo_models.constants import DEFAULT_FS, FRAMES_PER_SEGMENT
from paintsundo_models.host.clip_vision import encode_any_aspect
from paintsundo_models.host.objects import MultiFrameObjects, SingleFrameObjects
from paintsundo_models.host.text import MAX_TOKENS
from paintsundo_models.host.video_vae import VideoVAE

from .measure import Stage
from .models import KEYFRAME_PROMPTS, SEGMENT_PROMPTS, picture
from .settings import Setting, Size

Flops = Mapping[str, float]


def single_frame_stages(single: SingleFrameObjects, setting: Setting, flops: Flops) -> list[Stage]:
    """Return the stages that make the keyframes; `flops` has the operations of each by name."""
    model, clip, vae = single
    keyframes, size = len(setting.operation_steps), setting.keyframe
    image, latents = picture(size), torch.randn(keyframes, 4, *_latent(size))
    network, encoder = vae.first_stage_model, clip.cond_stage_model
    stages = {
        "keyframe prompts": (lambda: _encode_prompts(clip, *KEYFRAME_PROMPTS), encoder),
        "image VAE encode": (lambda: vae.encode(image), network),
        "keyframe UNet step": (_keyframe_step(model, setting), model.model.diffusion_model),
        "image VAE decode": (lambda: vae.decode(latents), network),
    }
    return [Stage(name, run, flops[name], network) for name, (run, network) in stages.items()]


def multi_frame_stages(multi: MultiFrameObjects, setting: Setting, flops: Flops) -> list[Stage]:
    """Return the stages that make a segment; `flops` has the operations of each by name."""
    model, clip, vae, clip_vision = multi
    assert isinstance(vae, VideoVAE)
    size = setting.segment
    start, end = picture(size), picture(size, 1)
    latent = torch.randn(1, 4, FRAMES_PER_SEGMENT, *_latent(size))
    tokens = torch.cat([encode_any_aspect(clip_vision, image) for image in (start, end)])[
        None
    ]  # (1, 2, N, C)
    unet, network = model.model.diffusion_model, vae.first_stage_model
    with_pictures = vae.with_references(start, end)
    stages = {
        "segment prompts": (lambda: _encode_prompts(clip, *SEGMENT_PROMPTS), clip.cond_stage_model),
        "CLIP vision": (lambda: encode_any_aspect(clip_vision, start), clip_vision.model),
        "image projection": (_projection(model, tokens), unet.image_proj),
        "video VAE encode": (lambda: vae.encode(start), network),
        "3D UNet step": (_segment_step(model, setting), unet),
        "video VAE decode": (lambda: with_pictures.decode(latent), network),
    }
    return [Stage(name, run, flops[name], network) for name, (run, network) in stages.items()]


def _latent(size: Size) -> Size:
    return size[0] // 8, size[1] // 8


def _encode_prompts(clip: comfy.sd.CLIP, *prompts: str) -> None:
    for prompt in prompts:
        clip.encode_from_tokens_scheduled(clip.tokenize(prompt))


def _compute_dtype(model: comfy.model_patcher.ModelPatcher) -> torch.dtype:
    return model.model.manual_cast_dtype or model.model.get_dtype()


def _keyframe_step(model: comfy.model_patcher.ModelPatcher, setting: Setting) -> "Step":
    steps = list(setting.operation_steps)
    width = model.model.model_config.unet_config["context_dim"]
    latent = (4, *_latent(setting.keyframe))
    return Step(
        model,
        torch.randn(2 * len(steps), *latent),
        c_concat=torch.randn(2 * len(steps), *latent),
        c_crossattn=torch.randn(2 * len(steps), MAX_TOKENS, width),
        y=model.model.encode_adm(operation_step=[*steps, *steps]),
    )


def _segment_step(model: comfy.model_patcher.ModelPatcher, setting: Setting) -> "Step":
    unet = model.model.diffusion_model
    latent = (2, 4, FRAMES_PER_SEGMENT, *_latent(setting.segment))
    queries, width = unet.image_proj.params.num_queries, unet.params.context_dim
    return Step(
        model,
        torch.randn(latent),
        c_concat=torch.randn(latent),
        c_crossattn=torch.randn(2, MAX_TOKENS, width),
        image_context=torch.randn(2, FRAMES_PER_SEGMENT, queries, width),
        fs=torch.tensor([DEFAULT_FS] * 2),
    )


class Step:
    """One evaluation of a MODEL as ComfyUI's samplers make it, with the positive and negative branch in one batch."""

    def __init__(self, model: comfy.model_patcher.ModelPatcher, x: Tensor, **conds: Tensor) -> None:
        device = mm.get_torch_device()
        self.model = model
        self.x, self.sigma = x.to(device), torch.full((len(x),), 5.0, device=device)
        self.conds = {name: cond.to(device) for name, cond in conds.items()}

    def __call__(self) -> Tensor:
        mm.load_models_gpu([self.model], memory_required=self.model.memory_required(list(self.x.shape)))
        return self.model.model.apply_model(self.x, self.sigma, **self.conds)


def _projection(model: comfy.model_patcher.ModelPatcher, tokens: Tensor) -> "Projection":
    return Projection(model, tokens.to(mm.get_torch_device(), _compute_dtype(model)))


class Projection:
    """The image projection of both branches, as the conditioning of a segment runs it."""

    def __init__(self, model: comfy.model_patcher.ModelPatcher, tokens: Tensor) -> None:
        self.model, self.tokens = model, tokens

    def __call__(self) -> None:
        mm.load_models_gpu([self.model])
        for _ in range(2):
            self.model.model.diffusion_model.project_images(self.tokens)
