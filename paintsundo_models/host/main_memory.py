"""What fits into the computer's main memory, where ComfyUI keeps its pictures."""

from typing import cast

import comfy.model_management
import torch

GIGABYTE = 1e9
_VALUE_BYTES = 4  # float32


def require_room_for_frames(count: int, height: int, width: int, remedy: str) -> None:
    """Refuse a batch of frames (count, height, width, 3) that main memory has no room for.

    Args:
        count: of frames.
        height: of each, in pixels.
        width: of each, in pixels.
        remedy: a sentence that says what to do instead.

    Raises:
        ValueError: it would take more than is free.
    """
    needed = count * height * width * 3 * _VALUE_BYTES
    free = cast(int, comfy.model_management.get_free_memory(torch.device("cpu")))
    if needed > free:
        raise ValueError(
            f"{count} frames of {width}x{height} pixels take {needed / GIGABYTE:.1f} GB of main memory, and "
            f"{free / GIGABYTE:.1f} GB are free. {remedy}"
        )
