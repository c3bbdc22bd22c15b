"""Both models as the loader nodes return them, with generated weights, and pictures as their inputs."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import comfy.clip_vision
import comfy.model_management as mm
import comfy.model_patcher
import comfy.sd
import torch
from torch import Tensor

from paintsundo_models import loading
from paintsundo_models.host.video_vae import VideoVAE

from .settings import Setting, Size
from .weights import write_checkpoint

PROMPT, NEGATIVE_PROMPT = (
    "1girl, masterpiece, best quality",
    "lowres, bad anatomy, bad hands, cropped, worst quality",
)


class SingleFrame(NamedTuple):
    """Outputs of the single-frame loader."""

    model: comfy.model_patcher.ModelPatcher
    clip: comfy.sd.CLIP
    vae: comfy.sd.VAE


class MultiFrame(NamedTuple):
    """Outputs of the multi-frame loader."""

    model: comfy.model_patcher.ModelPatcher
    clip: comfy.sd.CLIP
    vae: VideoVAE
    clip_vision: comfy.clip_vision.ClipVisionModel


@contextmanager
def single_frame(setting: Setting, folder: Path) -> Iterator[SingleFrame]:
    """Load the single-frame model from a generated checkpoint in a temporary folder inside `folder`."""
    with _checkpoint("single_frame", setting, folder) as path:
        yield SingleFrame(*loading.load_single_frame(path, setting.weight_dtype))


@contextmanager
def multi_frame(setting: Setting, folder: Path) -> Iterator[MultiFrame]:
    """Load the multi-frame model from a generated checkpoint in a temporary folder inside `folder`."""
    with _checkpoint("multi_frame", setting, folder) as path:
        yield MultiFrame(*loading.load_multi_frame(path, setting.weight_dtype))


@contextmanager
def _checkpoint(model: str, setting: Setting, folder: Path) -> Iterator[Path]:
    """Write a checkpoint in float16, because both full-size ones take 7.2 GB so; loading casts it to weight_dtype."""
    work = Path(tempfile.mkdtemp(prefix="weights_", dir=folder))
    try:
        yield write_checkpoint(work, model, setting.listing, torch.float16)
    finally:
        mm.unload_all_models()
        shutil.rmtree(work, ignore_errors=True)


def picture(size: Size, seed: int = 0) -> Tensor:
    """Make a picture of soft random colours, (1, H, W, 3) in [0, 1]. The measured times do not depend on its content."""
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return (
        torch.nn.functional.interpolate(coarse, size=size, mode="bilinear").permute(0, 2, 3, 1).contiguous()
    )
