"""Run the video VAE's layers on a part of a video at a time, so that intermediate results exist only for that part.

Layers of single frames take a few frames at a time; that is always done. Layers over time need all frames, but a
convolution over time works on each place of the picture alone, so they can take bands of rows; that is done only where memory ran
out, because half of their work is then done twice. Neither changes the result but by rounding.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import comfy.ops
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layout import empty_video, fold_time, unfold_time

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Slices:
    """How much of a video is worked on at once.

    Attributes:
        frames: that the layers of single frames take at once.
        bands: of rows into which the layers over time divide a video; 1: all rows at once.
        replaces: results of unchanged shape are written over the input, which nothing else may need.
    """

    frames: int = 4
    bands: int = 1
    replaces: bool = False


USUAL = Slices()
"""With 4 frames the layers of single frames need less memory than those over time: decoding 16 frames of 384x448 in half
precision holds 2.4 GB of tensors, and 4.1 GB with all 16 frames at once."""

SMALLEST = Slices(frames=1, bands=16, replaces=True)
"""The same decoding holds 1.6 GB."""


def per_frames(fns: Sequence[Step], x: Tensor, slices: Slices = USUAL) -> Tensor:
    """Apply functions of pictures (N, C, H, W), one after the other, to all frames of a video (B, C, T, H, W)."""
    step = slices.frames

    def run(start: int) -> Tensor:
        part = x[:, :, start : start + step]
        pictures = fold_time(part)
        for fn in fns:
            pictures = fn(pictures)
        return unfold_time(pictures, part.shape[2])

    first = run(0)
    is_alike = first.shape[3:] == x.shape[3:] and first.shape[:2] == x.shape[:2] and first.dtype == x.dtype
    out = x if slices.replaces and is_alike else empty_video(first, x.shape[2])
    out[:, :, :step] = first
    for start in range(step, x.shape[2], step):
        out[:, :, start : start + step] = run(start)
    return out


@dataclass
class GroupStatistics:
    """Mean and variance of the groups of a group norm, gathered from one part of the tensor after the other.

    Attributes:
        groups: number of groups of channels.
        count: numbers of a group seen so far.
        mean: (B, groups, 1), float32.
        squares: sum of the squared distances from the mean, (B, groups, 1), float32.
    """

    groups: int
    count: int = 0
    mean: Tensor | float = 0.0
    squares: Tensor | float = 0.0

    def add(self, part: Tensor) -> None:
        """Take in a part (B, C, ...) of the tensor (Chan, Golub and LeVeque 1983, equation 2.1)."""
        flat = part.float().reshape(len(part), self.groups, -1)
        variance, mean = torch.var_mean(flat, dim=2, correction=0, keepdim=True)
        count, total = flat.shape[2], self.count + flat.shape[2]
        distance = mean - self.mean
        self.mean = self.mean + distance * (count / total)
        self.squares = self.squares + variance * count + distance.square() * (self.count * count / total)
        self.count = total

    def normalised(self, part: Tensor, norm: nn.GroupNorm) -> Tensor:
        """Return a part (B, C, T, H, W) as the group norm makes it in the whole tensor."""
        deviation = torch.rsqrt(torch.as_tensor(self.squares / self.count + norm.eps))
        shape = (len(part), -1, 1, 1, 1)
        each = part.shape[1] // self.groups
        mean, deviation = (
            torch.as_tensor(value).repeat_interleave(each, dim=1).reshape(shape)
            for value in (self.mean, deviation)
        )
        weight, bias = (
            comfy.ops.cast_to_input(value, part).float()[None, :, None, None, None]
            for value in (norm.weight, norm.bias)
        )
        return ((part.float() - mean) * (deviation * weight) + bias).to(part)


def add_by_bands(x: Tensor, layers: Iterable[nn.Module], amount: Tensor, bands: int) -> Tensor:
    """Add amount * convolve(normalise(convolve(normalise(x)))) to x, in place and band by band.

    The first half runs twice: once to learn the second norm's statistics, and once more for the result.

    Args:
        x: (B, C, T, H, W).
        layers: the two group norms and the two convolutions, in turn; a SiLU follows each norm.
        amount: (1,).
        bands: of rows.
    """
    norm, convolution, last_norm, last_convolution = layers
    parts = x.tensor_split(min(bands, x.shape[3]), dim=3)
    before, between = GroupStatistics(norm.num_groups), GroupStatistics(last_norm.num_groups)  # pyright: ignore[reportArgumentType]
    for part in parts:
        before.add(part)

    def half(part: Tensor) -> Tensor:
        return convolution(F.silu(before.normalised(part, norm), inplace=True))  # pyright: ignore[reportArgumentType]

    for part in parts:
        between.add(half(part))
    for part in parts:
        normalised = between.normalised(half(part), last_norm)  # pyright: ignore[reportArgumentType]
        part.add_(last_convolution(F.silu(normalised, inplace=True)).mul_(amount))
    return x
