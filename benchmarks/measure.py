"""Measurement of seconds, memory, and the rate of matrix products."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import comfy.model_management as mm
import torch
from torch import nn

from .machine import status_bytes
from .table import Row

CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # resets the peak of resident memory, VmHWM (proc(5), clear_refs)


class Meter:
    """Context that measures the time and memory of the statements in it.

    Attributes:
        seconds: wall time.
        working: peak in bytes, minus the bytes held at the beginning. On a GPU these are torch's allocations, on a CPU
            the resident memory of the process. None where the system does not report it.
    """

    seconds: float
    working: int | None

    def __enter__(self) -> "Meter":
        gc.collect()
        _finish()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            self._before = _begin_peak()
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        _finish()
        self.seconds = time.perf_counter() - self._start
        if self._before is None:
            self.working = None
        elif torch.cuda.is_available():
            self.working = torch.cuda.max_memory_allocated() - self._before
        else:
            self.working = max(0, status_bytes("VmHWM") - self._before)


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _begin_peak() -> int | None:
    """Reset the peak of resident memory and return the bytes resident now; None on systems other than Linux."""
    try:
        # Return freed memory to the system; otherwise the next stage would reuse it and seem to need none.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
        CLEAR_REFS.write_text(RESET_PEAK, encoding="ascii")
    except (OSError, TypeError):
        return None
    return status_bytes("VmRSS")


@dataclass(frozen=True)
class Stage:
    """A part of the chain that can be run alone and repeatedly."""

    name: str
    run: Callable[[], object]
    flops: float
    network: nn.Module


def measure(stage: Stage, repeats: int) -> Row:
    """Run a stage once to warm up, then `repeats` times; return the median time and the largest memory."""
    stage.run()
    meters = []
    for _ in range(repeats):
        with Meter() as meter:
            stage.run()
        meters.append(meter)
    working = [meter.working for meter in meters if meter.working is not None]
    return Row(
        stage.name,
        statistics.median(meter.seconds for meter in meters),
        stage.flops,
        weight_bytes(stage.network),
        max(working, default=None),
    )


def weight_bytes(*networks: nn.Module) -> int:
    """Return the bytes of the parameters of networks."""
    return sum(parameter.nbytes for network in networks for parameter in network.parameters())


def matrix_rate(dtype: torch.dtype) -> float:
    """Measure FLOP a second of products of large square matrices on ComfyUI's device, the practical peak of the device."""
    device = mm.get_torch_device()
    side, rounds = (8192, 20) if device.type == "cuda" else (2048, 5)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    torch.mm(a, b)
    seconds = []
    for _ in range(rounds):
        _finish()
        start = time.perf_counter()
        torch.mm(a, b)
        _finish()
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds)
