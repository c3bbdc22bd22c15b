"""Open files in a process of its own, so that a file that ends or blocks the process is only one of many."""

import multiprocessing
import random
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

SECONDS = 20  # for one file; the process starts within that time too, but for the first import of torch
SECONDS_TO_START = 120
MOST_MEMORY = 5 * 2**30  # bytes of address space of the process that opens


def open_picture(path: Path) -> str:
    """Read a picture as paint.py does."""
    from tools.pictures import load_picture

    return str(load_picture(path).size)


def say_what_it_is(path: Path) -> str:
    """Say what a file says of itself, as paint.py --what-is does."""
    from tools.what_is import describe

    return describe(path)


def tag_with(path: Path) -> str:
    """Open a tagger and tag a grey picture."""
    import torch

    from paintsundo_models.pictures.wd14 import load_tagger

    return str(load_tagger(path).probabilities(torch.full((64, 64, 3), 0.5)).shape)


def load_segment(path: Path) -> str:
    """Look for a finished segment under the key that is the file's name."""
    from paintsundo_models.host.segment_store import SegmentStore

    samples = SegmentStore(path.parent, 2**40).load(path.stem, SEGMENT_SHAPE)
    return "made anew" if samples is None else "used"


SEGMENT_SHAPE = (1, 4, 16, 8, 8)
OPENERS: dict[str, Callable[[Path], str]] = {
    "pictures": open_picture,
    "videos": say_what_it_is,
    "taggers": tag_with,
    "segments": load_segment,
}


class Opener:
    """A process that opens one file after the other; started anew when a file has ended or blocked it."""

    def __init__(self) -> None:
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def open(self, kind: str, path: Path) -> tuple[str, str]:
        """Open a file; return "opened", "refused", "failed", "hangs" or "ended", and what was said."""
        if self._process is None:
            self._start()
        assert self._pipe is not None
        assert self._process is not None
        self._pipe.send((kind, path))
        try:
            if self._pipe.poll(SECONDS):
                return self._pipe.recv()
            result = ("hangs", f"not opened in {SECONDS} s")
        except EOFError:
            self._process.join()
            result = ("ended", f"exit code {self._process.exitcode}")
        self.close()
        return result

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(SECONDS_TO_START):
            raise TimeoutError("The process that opens files does not start.")
        self._pipe.recv()


def _work(pipe: Connection) -> None:
    from tools.command import CommandError
    from tools.pictures import PictureError
    from tools.under_comfyui import prepare

    prepare(1)
    _limit_memory()
    from paintsundo_models.errors import CheckpointError

    pipe.send("ready")
    while True:
        kind, path = pipe.recv()
        try:
            answer = ("opened", OPENERS[kind](path))
        except (CommandError, PictureError, CheckpointError) as error:
            answer = ("refused", str(error))
        except Exception as error:  # noqa: BLE001  every other error is what is looked for
            answer = ("failed", f"{type(error).__name__}: {error}")
        pipe.send(answer)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


def good_segment(chance: random.Random) -> bytes:
    """Return the bytes of a finished segment that can be used."""
    import numpy as np
    from safetensors.numpy import save

    numbers = np.random.default_rng(chance.randrange(2**32)).standard_normal(SEGMENT_SHAPE)
    return save({"samples": numbers.astype(np.float32)})


def good_tagger() -> tuple[bytes, str]:
    """Return a small ONNX file that takes a picture of 4 x 4 pixels and gives 48 numbers, and its tag list.

    The file is written by hand, field by field as onnx.proto numbers them, because ComfyUI does not bring `onnx`.
    """
    node = _field(1, b"input_1:0") + _field(2, b"predictions") + _field(4, b"Flatten")
    graph = _field(1, node) + _field(2, b"tagger")
    graph += _field(11, _value(b"input_1:0", 1, 4, 4, 3)) + _field(12, _value(b"predictions", 1, 48))
    model = _field(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _field(2, 13))
    lines = ["tag_id,name,category,count", *(f"{number},tag_{number},0,1" for number in range(48))]
    return model, "\n".join(lines)


def _field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return bytes([number << 3, value])
    length = bytes([len(value)]) if len(value) < 128 else bytes([len(value) & 127 | 128, len(value) >> 7])
    return bytes([number << 3 | 2]) + length + value


def _value(name: bytes, *sizes: int) -> bytes:
    shape = b"".join(_field(1, _field(1, size)) for size in sizes)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, shape)))
