"""The original's numbers and the seeded checkpoints they were computed with (tools/seeded_checkpoint.py)."""

import functools
import json
from pathlib import Path

import safetensors.torch
import torch

from tools.seeded_checkpoint import seeded_part

FOLDER = Path(__file__).resolve().parent / "data" / "golden"


@functools.cache
def _json(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def golden(name: str) -> dict[str, torch.Tensor]:
    """Inputs and outputs of one part, such as "multi_frame_vae"."""
    return safetensors.torch.load_file(str(FOLDER / f"{name}.safetensors"))


def config(part: str) -> dict:
    """Small configuration of a part, such as "multi_frame.vae"; a copy."""
    return dict(_json("configs")["configs"][part])


def parts() -> list[str]:
    """Names of all parts, such as "multi_frame.vae"."""
    return list(_json("configs")["tensors"])


def shapes(part: str) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of a part's small checkpoint, in the released format."""
    return {name: tuple(shape) for name, shape in _json("configs")["tensors"][part].items()}


def seeded(part: str) -> dict[str, torch.Tensor]:
    """The small checkpoint of a part that the golden data were computed with, float32."""
    return seeded_part(part)


def released() -> dict:
    """`released_layout.json`: the same listing for the real checkpoints."""
    return _json("released_layout")


def relative_error(a: torch.Tensor, b: torch.Tensor) -> float:
    """||a - b|| / ||b||, with b the golden value; shapes must be equal."""
    if a.shape != b.shape:
        raise ValueError(f"shapes differ: {tuple(a.shape)} and {tuple(b.shape)}")
    return ((a.double() - b.double()).norm() / b.double().norm()).item()
