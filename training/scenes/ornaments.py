"""Abstract arrangements of simple forms."""

import numpy as np

from .curves import arc
from .palettes import Colour
from .sketch import AROUND, MAIN, Pen, Sketch


def abstract(sketch: Sketch) -> None:
    """Add five to nine simple forms; the biggest lie behind the others."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    sketch.backdrop(p.tone(0, rng.uniform(0.8, 0.92), 0.06))
    if rng.uniform() < 0.5:
        y = h * rng.uniform(0.5, 0.75)
        band = [(-0.1, y), (w + 0.1, y + rng.uniform(-0.15, 0.15)), (w + 0.1, h + 0.1), (-0.1, h + 0.1)]
        sketch.pen().poly(band, p.tone(3, 0.72, 0.09), AROUND)
    count = rng.randint(5, 10)
    sizes = np.sort(rng.uniform(0.13, 0.36, count))[::-1]
    for k in range(count):
        x, y = w * rng.uniform(0.15, 0.85), h * rng.uniform(0.12, 0.88)
        pen = sketch.pen(x, y, sizes[k])
        index = form(pen, rng.randint(8), p.tone(k + 1, rng.uniform(0.45, 0.85), 0.15), rng.uniform(0, 90))
        if rng.uniform() < 0.4:
            for j in (-1, 0, 1):
                pen.stroke(
                    [(-1.2, 0.45 * j - 0.3), (1.2, 0.45 * j + 0.3)],
                    p.tone(k + 2, 0.85, 0.1),
                    index,
                    MAIN,
                    width=1.8,
                    curved=False,
                )


def form(pen: Pen, kind: int, colour: Colour, turn: float) -> int:
    """Add a circle, square, triangle, ring segment, star, drop, pentagon or pebble of radius one."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    rotate = np.array([[c, s], [-s, c]])
    if kind == 0:
        return pen.oval(0, 0, 1, 1, colour)
    if kind in (1, 2, 6):
        n = {1: 4, 2: 3, 6: 5}[kind]
        a = 2 * np.pi * np.arange(n) / n + np.radians(turn)
        return pen.poly(np.stack([np.cos(a), np.sin(a)], axis=1) * 1.1, colour)
    if kind == 3:
        ring = np.concatenate([arc(0, 0, 1.1, 1.1, 180, 360, 24), arc(0, 0, 0.55, 0.55, 360, 180, 16)])
        return pen.poly(ring @ rotate, colour)
    if kind == 4:
        a = 2 * np.pi * np.arange(10) / 10 - np.pi / 2
        r = np.where(np.arange(10) % 2, 0.5, 1.15)
        return pen.poly(np.stack([r * np.cos(a), r * np.sin(a)], axis=1), colour)
    if kind == 5:
        drop = np.array(
            [
                (0, -1.3),
                (0.3, -0.7),
                (0.75, 0.1),
                (0.55, 0.75),
                (0, 1),
                (-0.55, 0.75),
                (-0.75, 0.1),
                (-0.3, -0.7),
            ]
        )
        return pen.blob(drop @ rotate, colour)
    pebble = np.array(
        [(-1, 0.1), (-0.6, -0.7), (0.2, -0.8), (1.1, -0.3), (0.9, 0.5), (0.1, 0.75), (-0.7, 0.7)]
    )
    return pen.blob(pebble @ rotate, colour)
