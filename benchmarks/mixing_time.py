"""What the host's nodes that save time save and cost, with the demo: time, and how far the pictures move."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from paintsundo_models import constants, loading
from paintsundo_models.host.objects import MultiFrameObjects, SingleFrameObjects
from paintsundo_models.host.sampling import SamplerSettings
from paintsundo_models.keyframes import predict_keyframes
from paintsundo_models.segments import ORIGINAL_SAMPLER, ORIGINAL_SCHEDULER, interpolate
from tools.markdown import table

from .chain import KEYFRAME_SAMPLER, KEYFRAME_SCHEDULER
from .mixing_host import HostNode
from .mixing_page import TIMES
from .models import KEYFRAME_PROMPTS, SEGMENT_PROMPTS

ROOT = Path(__file__).resolve().parent.parent
OPERATION_STEPS = [400, 600, 800]
STEPS = 20
HALF_THE_STEPS = "(half the steps)"

Measured = tuple[float, Tensor]
"""Seconds of processor time, and the pictures (N, height, width, 3) in [0, 1]."""

SAVERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "EasyCache": ("EasyCache", {}),
    "EasyCache, threshold 0.05": ("EasyCache", {"reuse_threshold": 0.05}),
    "LazyCache": ("LazyCache", {}),
    "TomePatchModel": ("TomePatchModel", {}),
    "HyperTile, tile_size 64": ("HyperTile", {"tile_size": 64}),
    "PatchModelAddDownscale": ("PatchModelAddDownscale", {}),
}
"""Row of the table: the node, and its inputs that are no defaults."""


def time_table(nodes: Mapping[str, HostNode]) -> str:
    """Measure each node on three keyframes and one segment of the demo; return the table."""
    folder = ROOT / "paintsundo_models" / "demo"
    single = loading.load_single_frame(folder / "single-frame.safetensors", "fp32")
    multi = loading.load_multi_frame(folder / "multi-frame.safetensors", "fp32")
    pixels = np.asarray(Image.open(ROOT / "docs" / "pictures" / "house.png").convert("RGB"), np.float32)
    picture = torch.from_numpy(pixels / 255)[None]
    _keyframes(single, picture, 2)  # the first run also pays for what is set up once
    plain = _keyframes(single, picture, STEPS)
    pair = plain[1][0:1], plain[1][1:2]
    _segment(multi, pair, 2)
    plain_segment = _segment(multi, pair, STEPS)
    half = _keyframes(single, picture, STEPS // 2), _segment(multi, pair, STEPS // 2)
    rows = [[HALF_THE_STEPS, *_cells(half[0], plain), *_cells(half[1], plain_segment)]]
    for row, (name, inputs) in SAVERS.items():
        cells = []
        for objects, run, given, expected in (
            (single, _keyframes, picture, plain),
            (multi, _segment, pair, plain_segment),
        ):
            patched = objects._replace(model=nodes[name].run({"model": objects.model, **inputs})[0])
            cells += _cells(run(patched, given, STEPS), expected)  # pyright: ignore[reportArgumentType]
        rows.append([f"`{name}`{row.removeprefix(name)}", *cells])
        print(rows[-1], flush=True)
    return table([TIMES, "Keyframes: time", "difference", "Segment: time", "difference"], rows)


def _cells(measured: Measured, plain: Measured) -> list[str]:
    difference = float((measured[1] - plain[1]).abs().mean())
    return [f"{measured[0] / plain[0]:.2f}", f"{difference:.4f}"]


def _settings(sampler: str, scheduler: str, steps: int, cfg: float) -> SamplerSettings:
    return SamplerSettings(constants.DEFAULT_SEGMENT_SEED, steps, cfg, sampler, scheduler)


def _keyframes(objects: SingleFrameObjects, picture: Tensor, steps: int) -> Measured:
    settings = _settings(KEYFRAME_SAMPLER, KEYFRAME_SCHEDULER, steps, constants.DEFAULT_KEYFRAME_CFG)
    start = time.process_time()
    pictures = predict_keyframes(objects, picture, OPERATION_STEPS, KEYFRAME_PROMPTS, settings)
    return time.process_time() - start, pictures


def _segment(objects: MultiFrameObjects, pair: tuple[Tensor, Tensor], steps: int) -> Measured:
    settings = _settings(ORIGINAL_SAMPLER, ORIGINAL_SCHEDULER, steps, constants.DEFAULT_SEGMENT_CFG)
    start = time.process_time()
    frames = interpolate(objects, pair, SEGMENT_PROMPTS, settings).frames
    return time.process_time() - start, frames
