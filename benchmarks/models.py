"""Both models as the loader nodes make them, from weights that are made on the spot, and pictures to run them on."""

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
    """The single-frame loader's outputs."""

    model: comfy.model_patcher.ModelPatcher
    clip: comfy.sd.CLIP
    vae: comfy.sd.VAE


class MultiFrame(NamedTuple):
    """The multi-frame loader's outputs."""

    model: comfy.model_patcher.ModelPatcher
    clip: comfy.sd.CLIP
    vae: VideoVAE
    clip_vision: comfy.clip_vision.ClipVisionModel


@contextmanager
def single_frame(setting: Setting, folder: Path) -> Iterator[SingleFrame]:
    """The single-frame model, with its checkpoint in a temporary folder inside `folder`."""
    with _checkpoint("single_frame", setting, folder) as path:
        yield SingleFrame(*loading.load_single_frame(path, setting.weight_dtype))


@contextmanager
def multi_frame(setting: Setting, folder: Path) -> Iterator[MultiFrame]:
    """The multi-frame model, likewise."""
    with _checkpoint("multi_frame", setting, folder) as path:
        yield MultiFrame(*loading.load_multi_frame(path, setting.weight_dtype))


@contextmanager
def _checkpoint(model: str, setting: Setting, folder: Path) -> Iterator[Path]:
    """Written in half precision where the networks are large: it is cast on loading, and takes 7.2 GB as it is."""
    work = Path(tempfile.mkdtemp(prefix="weights_", dir=folder))
    try:
        yield write_checkpoint(work, model, setting.listing, torch.float16)
    finally:
        mm.unload_all_models()
        shutil.rmtree(work, ignore_errors=True)


def picture(size: Size, seed: int = 0) -> Tensor:
    """A picture of noise in soft colours, (1, H, W, 3) in [0, 1]; no time depends on what it shows."""
    coarse = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return (
        torch.nn.functional.interpolate(coarse, size=size, mode="bilinear").permute(0, 2, 3, 1).contiguous()
    )
