"""Put people's own pictures among predicted keyframes, by their operation steps."""

import torch
from torch import Tensor

from ..operation_steps import read_operation_steps
from .inputs import composite_on_white
from .resizing import resize_and_center_crop


def different_steps(operation_steps: str, name: str) -> list[int]:
    """Return the operation steps in a text, in its order.

    Args:
        operation_steps: whole numbers from 0 to 999.
        name: of the input with the pictures, for the message.

    Raises:
        ValueError: a step is there twice, or it is no operation step.
    """
    steps = read_operation_steps(operation_steps)
    twice = sorted({step for step in steps if steps.count(step) > 1})
    if twice:
        raise ValueError(
            f"Two pictures of {name} have the operation step {twice[0]}. Give every picture a step of its own."
        )
    return steps


def steps_of(pictures: Tensor, operation_steps: str, name: str) -> list[int]:
    """Return the operation step of each picture, in the order of the pictures.

    Args:
        pictures: (N, H, W, C).
        operation_steps: N whole numbers from 0 to 999 as text, in any order.
        name: of the input with the pictures, for the message.

    Raises:
        ValueError: there are more or fewer steps than pictures, a step is there twice, or it is no operation step.
    """
    steps = different_steps(operation_steps, name)
    if len(steps) != len(pictures):
        raise ValueError(
            f"{name} has {len(pictures)} pictures, and its operation steps are {len(steps)} ({operation_steps.strip()}). "
            "Write one step for each picture, in the order of the pictures."
        )
    return steps


def merge_keyframes(
    keyframes: Tensor, operation_steps: str, own: Tensor, own_operation_steps: str
) -> tuple[Tensor, list[int]]:
    """Put own pictures among keyframes, sorted by operation step; at the same step the own picture is taken.

    Args:
        keyframes: (N, H, W, C) in [0, 1]; their size is the result's.
        operation_steps: of the keyframes, one for each, in their order.
        own: (M, H', W', C') in [0, 1]; resized and cropped to the keyframes' size. Transparent parts become white.
        own_operation_steps: of the own pictures, one for each, in their order.

    Returns:
        The pictures in undo order, (K, H, W, 3), and their K operation steps, which rise.

    Raises:
        ValueError: see steps_of.
    """
    height, width = keyframes.shape[1:3]
    at_step = dict(
        zip(
            steps_of(keyframes, operation_steps, "keyframes"),
            composite_on_white(keyframes, "keyframes").split(1),
            strict=True,
        )
    )
    own_steps = steps_of(own, own_operation_steps, "own_keyframes")
    fitted = resize_and_center_crop(composite_on_white(own, "own_keyframes"), width, height).to(keyframes)
    at_step.update(zip(own_steps, fitted.split(1), strict=True))
    steps = sorted(at_step)
    return torch.cat([at_step[step] for step in steps]), steps
