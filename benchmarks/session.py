"""A run of the benchmark: everything that a setting asks for, measured on ComfyUI's device."""

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import comfy.utils
import torch

from paintsundo_models.constants import WEIGHT_TYPES

from .chain import measure_chain
from .count import Count, chain_flops, keyframe_stages, segment_stages
from .growth import Curve, measure_growth
from .measure import Stage, matrix_rate, measure
from .models import multi_frame, single_frame
from .settings import Setting
from .stages import multi_frame_stages, single_frame_stages
from .table import Row

Say = Callable[[str], None]


@dataclass(frozen=True)
class Results:
    """The measurements of a run."""

    rows: list[Row]
    matrix_rate: float  # FLOP a second
    curves: list[Curve]  # empty where the setting has no growth

    def as_dict(self) -> dict:
        """Return everything in types that JSON has."""
        return {
            "matrix_flop_per_second": self.matrix_rate,
            "rows": [row.as_dict(self.matrix_rate) for row in self.rows],
            "curves": [dataclasses.asdict(curve) for curve in self.curves],
        }


def measure_all(setting: Setting, folder: Path, say: Say) -> Results:
    """Make the weights and measure the stages, the chain and the growth.

    Args:
        setting: networks, sizes, repeats.
        folder: for temporary weights, up to 7.2 GB.
        say: is called with a line about each measurement before it begins.
    """
    comfy.utils.set_progress_bar_enabled(False)
    count = Count(setting.listing, getattr(torch, WEIGHT_TYPES[setting.weight_dtype]))
    works = {**keyframe_stages(count, setting), **segment_stages(count, setting)}
    flops = {name: work.row(name).flops for name, work in works.items()}
    rows, curves = [], []

    def measure_stages(stages: list[Stage]) -> None:
        for stage in stages:
            say(f"measuring: {stage.name}")
            rows.append(measure(stage, setting.repeats))

    with torch.inference_mode(), ExitStack() as held:
        say("measuring: matrix products")
        rate = matrix_rate(getattr(torch, WEIGHT_TYPES[setting.weight_dtype]))
        say("making the single-frame model")
        single = held.enter_context(single_frame(setting, folder))
        measure_stages(single_frame_stages(single, setting, flops))
        if not setting.steps:
            single = None
            held.close()  # without the chain, only one model is needed at a time
        say("making the multi-frame model")
        multi = held.enter_context(multi_frame(setting, folder))
        measure_stages(multi_frame_stages(multi, setting, flops))
        if single is not None:
            say("measuring: the whole chain")
            rows += measure_chain(single, multi, setting, chain_flops(flops, setting))
        if single is not None and setting.growth is not None:
            say("measuring: growth")
            curves = measure_growth(single, multi, setting, setting.growth)
    return Results(rows, rate, curves)
