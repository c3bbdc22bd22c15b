"""Polylines as (N, 2) float arrays: functions that make, smooth, wobble, cut and hatch them."""

from collections.abc import Sequence

import numpy as np

Points = np.ndarray | Sequence[Sequence[float]]
SPACING = 0.02  # of the short side: about 2.5 pixels at 128


def smooth(points: Points, closed: bool = True, per_segment: int = 8) -> np.ndarray:
    """Return the Catmull-Rom curve through the points: (N, 2) -> (about N * per_segment, 2)."""
    p = np.asarray(points, dtype=np.float64)
    if closed:
        p = np.concatenate([p[-1:], p, p[:2]])
    else:
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = (np.arange(per_segment) / per_segment)[:, None]
    basis = np.concatenate(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1
    )
    windows = np.stack([p[:-3], p[1:-2], p[2:-1], p[3:]], axis=1)  # (segments, 4, 2)
    curve = (0.5 * np.einsum("tk,skd->std", basis, windows)).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-2:-1]])


def ellipse(cx: float, cy: float, rx: float, ry: float, angle: float = 0.0, count: int = 40) -> np.ndarray:
    """Return a closed ellipse turned by `angle` degrees, starting at its top: (count, 2)."""
    a = np.linspace(0, 2 * np.pi, count, endpoint=False) - np.pi / 2
    x, y = rx * np.cos(a), ry * np.sin(a)
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.stack([cx + x * c - y * s, cy + x * s + y * c], axis=1)


def arc(cx: float, cy: float, rx: float, ry: float, start: float, end: float, count: int = 20) -> np.ndarray:
    """Return an open elliptical arc from `start` to `end` degrees (0 right, 90 down): (count, 2)."""
    a = np.radians(np.linspace(start, end, count))
    return np.stack([cx + rx * np.cos(a), cy + ry * np.sin(a)], axis=1)


def tube(points: Points, widths: Sequence[float], round_end: bool = True) -> np.ndarray:
    """Return the closed outline of a limb along an open curve with a width at each of its points."""
    p = np.asarray(points, dtype=np.float64)
    spine = smooth(p, closed=False, per_segment=6)
    half = np.interp(np.linspace(0, len(p) - 1, len(spine)), np.arange(len(p)), widths)[:, None] / 2
    along = np.gradient(spine, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    normal = np.stack([along[:, 1], -along[:, 0]], axis=1)
    left, right = spine + normal * half, spine - normal * half
    if not round_end:
        return np.concatenate([left, right[::-1]])
    a = np.linspace(0, np.pi, 8)[1:-1, None]
    cap = spine[-1] + half[-1] * (np.cos(a) * normal[-1] + np.sin(a) * along[-1])
    return np.concatenate([left, cap, right[::-1]])


def lengths(points: np.ndarray) -> np.ndarray:
    """Return the arc length from the first point to each point: (N, 2) -> (N,)."""
    steps = np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=1))
    return np.concatenate([[0.0], np.cumsum(steps)])


def dense(points: Points, closed: bool, spacing: float = SPACING) -> np.ndarray:
    """Resample a polyline evenly without losing its corners; a closed one repeats its first point at the end."""
    p = np.asarray(points, dtype=np.float64)
    if closed:
        p = np.concatenate([p, p[:1]])
    along = lengths(p)
    extra = np.linspace(0, along[-1], max(2, int(along[-1] / spacing)))
    s = np.unique(np.concatenate([along, extra]))
    keep = np.concatenate([[True], np.diff(s) > spacing / 20])
    s = s[keep]
    return np.stack([np.interp(s, along, p[:, 0]), np.interp(s, along, p[:, 1])], axis=1)


def wobble(points: np.ndarray, rng: np.random.RandomState, amount: float) -> np.ndarray:
    """Shift a dense polyline as an unsteady hand does; a closed one stays closed."""
    s = lengths(points)
    s = s / max(s[-1], 1e-9)
    phases, sizes = rng.uniform(0, 2 * np.pi, (2, 3)), rng.uniform(-1, 1, (2, 3))
    waves = np.sin(2 * np.pi * np.arange(1, 4)[None, :, None] * s + phases[:, :, None])
    return points + amount * np.einsum("dk,dkn->nd", sizes, waves)


def prefix(points: np.ndarray, share: float) -> np.ndarray:
    """Return the first part of a polyline, `share` (0..1) of its length."""
    s = lengths(points)
    end = s[-1] * share
    count = int(np.searchsorted(s, end, side="right"))
    if count >= len(points):
        return points
    t = (end - s[count - 1]) / max(s[count] - s[count - 1], 1e-9)
    return np.concatenate([points[:count], [points[count - 1] * (1 - t) + points[count] * t]])


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Tell which points lie in a polygon (even-odd rule): (N, 2), (M, 2) -> bool (N,)."""
    x, y = points[:, 0:1], points[:, 1:2]
    x0, y0 = polygon[:, 0], polygon[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    crosses = (y0 > y) != (y1 > y)
    rise = np.where(y1 == y0, 1e-12, y1 - y0)
    return (crosses & (x < (x1 - x0) * (y - y0) / rise + x0)).sum(axis=1) % 2 == 1


def runs(points: np.ndarray, keep: np.ndarray) -> list[np.ndarray]:
    """Split a polyline into its longest parts whose points are all kept; single points are dropped."""
    closed = len(points) > 2 and np.allclose(points[0], points[-1])
    if closed and not keep.all() and keep[0] and keep[-1]:
        cut = int(
            np.argmin(keep)
        )  # begin in a gap, so that the seam of the closed line does not split a part
        points = np.concatenate([points[cut:-1], points[: cut + 1]])
        keep = np.concatenate([keep[cut:-1], keep[: cut + 1]])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], keep.astype(np.int8), [0]])))
    return [points[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 1]


def hatch(outline: np.ndarray, band: float) -> np.ndarray:
    """Return a zigzag that covers the outline from top left to bottom right with strokes `band` wide."""
    u, v = (outline[:, 0] + outline[:, 1]) / np.sqrt(2), (outline[:, 1] - outline[:, 0]) / np.sqrt(2)
    count = max(2, int(np.ceil(np.ptp(u) / band)))
    centres = u.min() + (np.arange(count) + 0.5) * np.ptp(u) / count
    corners = []
    for i, centre in enumerate(centres):
        near = v[np.abs(u - centre) <= max(band, np.ptp(u) / count)]
        ends = (near.min(), near.max()) if len(near) else (v.min(), v.max())
        corners += [(centre, e) for e in (ends if i % 2 == 0 else ends[::-1])]
    uv = np.asarray(corners)
    return np.stack([uv[:, 0] - uv[:, 1], uv[:, 0] + uv[:, 1]], axis=1) / np.sqrt(2)


def area(outline: np.ndarray) -> float:
    """Return the area of a closed outline."""
    x, y = outline[:, 0], outline[:, 1]
    return float(abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2)
