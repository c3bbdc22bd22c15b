"""The finished picture's own detail, carried into frames that are smaller than it. No files, no nodes, no networks.

A frame shows the picture on the way to being finished. For each pixel of a frame a linear transform of colours is
fitted, over a small neighbourhood, that makes the frame's colours out of the picture's. Where the frame has its finished
colours the transform is the identity, where it is still white it is zero, where it has flat colours it lies between.
The detail of the picture that a frame is too small for goes through the transform and is added to the enlarged frame.
So nothing has to be told about which part is finished, and detail does not show before it is painted.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..pictures.enlarging import LINEAR, Enlarger
from ..pictures.resizing import resize_and_center_crop

BLURS = (0.0, 0.3, 0.45, 0.6, 0.75, 0.9)
"""How soft the model may draw, as sigma in pixels of the frame; the one that fits the frames is taken."""

_NEIGHBOURHOOD = 1.0  # sigma of the neighbourhood in pixels of the frame
_SHADE = 0.6 / 255  # a little more than a gradient is off where an 8-bit picture rounds it
_NOISE = 1e-4  # variance that the picture always has: where it is flat, the transform becomes zero instead of anything


def blurred(planes: Tensor, sigma: float) -> Tensor:
    """Blur planes (..., H, W) by a Gaussian; pixels outside the image repeat those of the border."""
    if sigma == 0:
        return planes
    radius = max(1, round(4 * sigma))
    weights = torch.exp(-0.5 * (torch.arange(radius + 1, dtype=torch.float64) / sigma) ** 2)
    weights = (weights / (2 * weights.sum() - weights[0])).tolist()
    height, width = planes.shape[-2:]
    padded = F.pad(planes.reshape(1, -1, height, width), (radius,) * 4, mode="replicate")[0]
    # One shift at a time is several times as fast as a convolution of so few weights.
    rows = padded[:, radius : radius + height] * weights[0]
    for shift, weight in enumerate(weights[1:], start=1):
        rows.add_(padded[:, radius - shift : radius - shift + height], alpha=weight)
        rows.add_(padded[:, radius + shift : radius + shift + height], alpha=weight)
    result = rows[:, :, radius : radius + width] * weights[0]
    for shift, weight in enumerate(weights[1:], start=1):
        result.add_(rows[:, :, radius - shift : radius - shift + width], alpha=weight)
        result.add_(rows[:, :, radius + shift : radius + shift + width], alpha=weight)
    return result.view(planes.shape)


def _times(a: Tensor, b: Tensor) -> Tensor:
    """Multiply the matrices of every pixel: (i, k, H, W) and (k, j, H, W) -> (i, j, H, W)."""
    result = a[:, :1] * b[:1]
    for k in range(1, a.shape[1]):
        result.addcmul_(a[:, k : k + 1], b[k : k + 1])
    return result


def _inverse(matrices: Tensor) -> Tensor:
    """Invert every pixel's symmetric 3x3 matrix, (3, 3, H, W)."""
    ((a, b, c), (_, d, e), (_, _, f)) = matrices
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    fourth, fifth, sixth = a * f - c * c, b * c - a * e, a * d - b * b
    rows = [
        torch.stack(row) for row in ((first, second, third), (second, fourth, fifth), (third, fifth, sixth))
    ]
    return torch.stack(rows).div_(a * first + b * second + c * third)


class _SmallPicture:
    """The finished picture at the frames' size, blurred as the model draws, and what the fit needs of it.

    Args:
        picture: (3, h, w) at the frames' size.
        blur: sigma in pixels.
    """

    def __init__(self, picture: Tensor, blur: float) -> None:
        self.planes = blurred(picture, blur)
        self._mean = blurred(self.planes, _NEIGHBOURHOOD)
        squares = blurred(self.planes[:, None] * self.planes[None], _NEIGHBOURHOOD)
        variance = squares - self._mean[:, None] * self._mean[None]
        variance.diagonal().add_(_NOISE)
        self._precision = _inverse(variance)

    def _covariance(self, frame: Tensor) -> Tensor:
        together = blurred(frame[:, None] * self.planes[None], _NEIGHBOURHOOD)
        return together.addcmul_(blurred(frame, _NEIGHBOURHOOD)[:, None], self._mean[None], value=-1)

    def fit(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fit a frame (3, h, w) by transforms of the picture, one for each pixel's neighbourhood.

        Returns:
            The transforms (3, 3, h, w); how much of the frame's variance they explain, and that variance, (h, w) each.
        """
        covariance = self._covariance(frame)
        transform = _times(covariance, self._precision)
        explained = (transform * covariance).sum(dim=(0, 1))
        variance = (blurred(frame * frame, _NEIGHBOURHOOD) - blurred(frame, _NEIGHBOURHOOD) ** 2).sum(dim=0)
        return transform, explained, variance

    def misfit(self, frame: Tensor) -> float:
        """Return how much of a frame's variance no transform explains, as the mean over the pixels."""
        _, explained, variance = self.fit(frame)
        return float((variance - explained).mean())


class PictureDetail:
    """The detail of one finished picture, ready to be carried into frames of one size.

    Args:
        picture: (H, W, 3) in [0, 1]; what the frames show when they are finished, no side smaller than theirs.
        frame_size: (height, width) of the frames.
        samples: some of the frames, none of them the finished picture's own, (height, width, 3) each; how soft the
            model draws is judged by them. Without any it counts as sharp.
    """

    def __init__(self, picture: Tensor, frame_size: tuple[int, int], samples: Iterable[Tensor] = ()) -> None:
        planes = _planes(picture)
        size = (picture.shape[0], picture.shape[1])
        small = _planes(resize_and_center_crop(picture[None], width=frame_size[1], height=frame_size[0])[0])
        self._small = _SmallPicture(small, _fitting_blur(small, [_planes(sample) for sample in samples]))
        self._enlarge = Enlarger(frame_size, size, device=planes.device)
        self._enlarge_transform = Enlarger(frame_size, size, LINEAR, planes.device)
        # Soft gradients of an 8-bit picture have steps, which a strong transform would make visible as streaks.
        self._detail = F.softshrink(planes - self._enlarge(self._small.planes), _SHADE)
        self.height, self.width = size

    def carried_into(self, frame: Tensor, sharp: Tensor | None = None) -> Tensor:
        """Return a frame at the picture's size, (H, W, 3) in [0, 1], float32.

        Args:
            frame: (height, width, 3) in [0, 1].
            sharp: the frame made larger by another means, of any size; taken where the picture does not have what the
                frame shows, such as lines that are painted over later.
        """
        planes = _planes(frame)
        if sharp is not None:
            sharp = _planes(resize_and_center_crop(sharp[None], width=self.width, height=self.height)[0])
        transform, explained, variance = self._small.fit(planes)
        # Lines of a sketch and edges of the picture agree by chance in some places: what fits badly counts for little.
        share = ((explained + _NOISE) / (variance + _NOISE)).clamp(0, 1)
        transform = blurred((transform * share).flatten(0, 1), _NEIGHBOURHOOD)
        unknown = 1 - blurred(share[None], _NEIGHBOURHOOD)
        large = planes.new_empty(self.height, self.width, 3)
        for rows, columns in self._enlarge.tiles:
            plain = self._enlarge.tile(planes, rows, columns)
            mixing = self._enlarge_transform.tile(transform, rows, columns).unflatten(0, (3, 3))
            tile = (
                plain
                if sharp is None
                else plain.lerp(sharp[:, rows, columns], self._enlarge_transform.tile(unknown, rows, columns))
            )
            for channel, detail in enumerate(self._detail[:, rows, columns]):
                tile.addcmul_(mixing[:, channel], detail)
            large[rows, columns] = tile.clamp_(0, 1).permute(1, 2, 0)
        return large


def _planes(picture: Tensor) -> Tensor:
    return picture.permute(2, 0, 1).float()


def _fitting_blur(small: Tensor, samples: Sequence[Tensor]) -> float:
    def misfit(blur: float) -> float:
        picture = _SmallPicture(small, blur)
        return sum(picture.misfit(sample) for sample in samples)

    return min(BLURS, key=misfit) if samples else BLURS[0]
