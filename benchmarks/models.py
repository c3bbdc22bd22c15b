"""Both models as the loader nodes return them, with generated weights, and pictures as their inputs."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import comfy.model_management as mm
import torch
from torch import Tensor

from paintsundo_models import loading
from paintsundo_models.constants import DEFAULT_KEYFRAME_NEGATIVE, DEFAULT_SEGMENT_PROMPT
from paintsundo_models.host.objects import MultiFrameObjects, Prompts, SingleFrameObjects

from .settings import Setting, Size
from .weights import write_checkpoint

KEYFRAME_PROMPTS = Prompts(DEFAULT_SEGMENT_PROMPT, DEFAULT_KEYFRAME_NEGATIVE)
SEGMENT_PROMPTS = Prompts(DEFAULT_SEGMENT_PROMPT, "")


@contextmanager
def single_frame(setting: Setting, folder: Path) -> Iterator[SingleFrameObjects]:
    """Load the single-frame model from a generated checkpoint in a temporary folder inside `folder`."""
    with _checkpoint("single_frame", setting, folder) as path:
        yield loading.load_single_frame(path, setting.weight_dtype)


@contextmanager
def multi_frame(setting: Setting, folder: Path) -> Iterator[MultiFrameObjects]:
    """Load the multi-frame model from a generated checkpoint in a temporary folder inside `folder`."""
    with _checkpoint("multi_frame", setting, folder) as path:
        yield loading.load_multi_frame(path, setting.weight_dtype)


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
