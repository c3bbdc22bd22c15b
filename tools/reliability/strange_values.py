"""Nodes for a torture run, copied into the custom_nodes of its server: one outputs anything, one takes anything, one gives free memory back."""

import ctypes
import gc
import platform
from collections.abc import Callable
from typing import Any


class AnyType(str):
    """A socket type that ComfyUI finds equal to every other."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False


def _picture(value: float = 0.5, shape: tuple[int, ...] = (1, 64, 64, 3)) -> Any:
    import torch

    return torch.full(shape, value)


def _pictures_with(value: float) -> Any:
    picture = _picture()
    picture[0, 5, 7, 1] = value
    return picture


PLAIN: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a text": lambda: "a text",
    "a list": lambda: [[1, 2], "x"],
    "a dictionary": lambda: {"a": 1},
    "an object": object,
}
NUMBERS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a text": lambda: "a text",
    "a list": lambda: [[1, 2], "x"],
    "minus ten": lambda: -10,
    "not a number": lambda: float("nan"),
    "infinity": lambda: float("inf"),
}
OF_TYPE: dict[str, dict[str, Callable[[], Any]]] = {
    "IMAGE": {
        **PLAIN,
        "one pixel is not a number": lambda: _pictures_with(float("nan")),
        "one pixel is infinite": lambda: _pictures_with(float("inf")),
        "no picture": lambda: _picture(shape=(0, 64, 64, 3)),
        "no pixels": lambda: _picture(shape=(1, 0, 0, 3)),
        "two dimensions": lambda: _picture(shape=(64, 64)),
        "five dimensions": lambda: _picture(shape=(1, 1, 64, 64, 3)),
        "seven channels": lambda: _picture(shape=(1, 64, 64, 7)),
    },
    "LATENT": {**PLAIN, "samples are None": lambda: {"samples": None}},
    "CONDITIONING": {
        **PLAIN,
        "empty": list,
        "a text in it": lambda: [["x", {}]],
        "another width": lambda: [[_picture(shape=(1, 77, 33)), {}]],
        "not a number": lambda: [[_picture(float("nan"), (1, 77, 768)), {}]],
        "one dimension": lambda: [[_picture(shape=(77,)), {}]],
    },
    "MODEL": PLAIN,
    "CLIP": PLAIN,
    "VAE": PLAIN,
    "CLIP_VISION": PLAIN,
    "UPSCALE_MODEL": PLAIN,
    "INT": NUMBERS,
    "FLOAT": NUMBERS,
    "STRING": {name: NUMBERS[name] for name in ("None", "a list", "not a number")},
    "COMBO": {name: NUMBERS[name] for name in ("None", "a text", "a list", "not a number")},
    "BOOLEAN": {name: NUMBERS[name] for name in ("None", "a list", "a text", "minus ten", "not a number")},
}
"""Values by the type of the socket that gets them; makers, because torch is imported only inside ComfyUI."""


class TortureValue:
    """Output a value of OF_TYPE."""

    CATEGORY = "torture"
    FUNCTION = "make"
    RETURN_TYPES = (AnyType("*"),)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  ComfyUI's name
        return {"required": {"kind": ("STRING", {}), "name": ("STRING", {})}}

    def make(self, kind: str, name: str) -> tuple[Any]:
        return (OF_TYPE[kind][name](),)


class TortureSink:
    """Take any value, so that a node that saves nothing is run."""

    CATEGORY = "torture"
    FUNCTION = "take"
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  ComfyUI's name
        return {"required": {"value": (AnyType("*"), {})}}

    def take(self, value: object) -> dict[str, Any]:
        return {}


class TortureTrim:
    """Give memory that is free back to the system, so that the process's memory is what is in use.

    The C library else keeps some of it, and how much changes from prompt to prompt.
    """

    CATEGORY = "torture"
    FUNCTION = "trim"
    RETURN_TYPES = ()
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802  ComfyUI's name
        return {"required": {}}

    @classmethod
    def IS_CHANGED(cls) -> float:  # noqa: N802  ComfyUI's name
        return float("nan")  # equals nothing, so the node runs each time

    def trim(self) -> dict[str, Any]:
        gc.collect()
        if platform.libc_ver()[0] == "glibc":
            ctypes.CDLL(None).malloc_trim(0)
        return {}


NODE_CLASS_MAPPINGS = {
    "TortureValue": TortureValue,
    "TortureSink": TortureSink,
    "TortureTrim": TortureTrim,
}
