"""The convolution over three neighbouring frames, which both networks of the multi-frame model use."""

from functools import cache
from typing import Any

import comfy.ops
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def time_conv(channels: int, operations: type = comfy.ops.disable_weight_init, **factory: Any) -> nn.Module:
    """Build a convolution over three neighbouring frames, (B, C, T, H, W) -> the same shape.

    Args:
        channels: C.
        operations: one of ComfyUI's sets of operations.
        factory: dtype and device.
    """
    conv = _frames_conv(operations.Conv3d)  # pyright: ignore[reportAttributeAccessIssue]  of the host's sets
    return conv(channels, channels, (3, 1, 1), padding=(1, 0, 0), **factory)


@cache
def _frames_conv(conv3d: type[nn.Conv3d]) -> type[nn.Conv3d]:
    class FramesConv(conv3d):
        """The host's Conv3d, which on one processor thread computes the same as a convolution of (T, H * W) planes.

        With one thread torch runs kernels of 3 x 1 x 1 in a slow general way, three to four times as long.
        """

        def _conv_forward(
            self, input: Tensor, weight: Tensor, bias: Tensor | None, *args: object, **kwargs: object
        ) -> Tensor:
            # torch.compile cannot look up the number of threads, and writes kernels of its own.
            if torch.compiler.is_compiling() or input.device.type != "cpu" or torch.get_num_threads() > 1:
                return super()._conv_forward(input, weight, bias, *args, **kwargs)  # pyright: ignore[reportArgumentType]
            planes = F.conv2d(input.flatten(3), weight[..., 0], bias, padding=(1, 0))
            return planes.unflatten(3, input.shape[3:])

    return FramesConv
