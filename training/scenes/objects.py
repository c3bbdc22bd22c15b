"""Still lifes and flowers."""

import numpy as np

from .curves import arc, ellipse, tube
from .palettes import Colour, mix
from .sketch import AROUND, DETAIL, Pen, Sketch

WHITE = (250.0, 247.0, 240.0)


def table(sketch: Sketch, edge: float) -> int:
    """Add a wall, and a table top from `edge` down; return the top's index."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    sketch.backdrop(p.tone(0, rng.uniform(0.7, 0.88), rng.uniform(0.05, 0.1)))
    corners = [(-0.05, edge), (w + 0.05, edge), (w + 0.05, h + 0.05), (-0.05, h + 0.05)]
    top = sketch.pen().poly(corners, p.tone(1, rng.uniform(0.55, 0.8), 0.08), AROUND, light=0.3)
    if rng.uniform() < 0.5:
        for k in range(3):
            y = edge + (h - edge) * (0.3 + 0.27 * k)
            sketch.pen().stroke([(0, y), (w, y)], p.tone(1, 0.86, 0.05), top, AROUND, width=1.4, opacity=0.7)
    return top


def still_life(sketch: Sketch) -> None:
    """Add a vase or bottle behind, a bowl and fruit in front, on a table."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    edge = h * rng.uniform(0.54, 0.62)
    top = table(sketch, edge)
    size = rng.uniform(0.36, 0.42) * (1.15 if sketch.is_tall else 0.95)
    back = edge + h * 0.07
    order = rng.permutation(4).tolist()
    makers = [bottle, vase, jug, bowl]
    for k, which in enumerate(order[:2]):
        pen = sketch.pen(
            w * (0.3 + 0.4 * k) + rng.uniform(-0.04, 0.04), back + 0.03 * k, size, rng.uniform() < 0.5
        )
        shadow(pen, top, 0.5)
        makers[which](pen, p.tone(k + 2, rng.uniform(0.45, 0.75), 0.13))
    front = h * 0.8
    count = rng.randint(2, 5)
    places = np.linspace(0.18, 0.82, count) * w
    for k in range(count):
        pen = sketch.pen(
            places[k] + rng.uniform(-0.03, 0.03), front + rng.uniform(-0.04, 0.05), rng.uniform(0.11, 0.14)
        )
        shadow(pen, top, 1.1)
        fruit(pen, rng.randint(5))


def shadow(pen: Pen, ground: int, wide: float) -> None:
    """Add a soft shadow on the table, at the lower right of a thing `wide` units wide to either side."""
    place = (0.5 * wide, 0.02 if wide < 1 else 0.75, wide, wide * 0.22)
    pen.spot(place, (60.0, 44.0, 84.0), ground, AROUND, soft=0.012, opacity=0.38)


def bottle(pen: Pen, colour: Colour) -> None:
    """Add a bottle with a label, foot at y = 0."""
    half = [(0.09, -1.5), (0.1, -1.1), (0.27, -0.85), (0.29, -0.4), (0.28, 0.0)]
    body = pen.shape([*half, *[(-x, y) for x, y in half[::-1]]], colour, light=0.6)
    pen.box(-0.12, -1.62, 0.12, -1.42, mix(colour, (40, 30, 30), 0.5), DETAIL, light=0)
    pen.box(-0.4, -0.62, 0.4, -0.22, WHITE, DETAIL, within=body, light=0)
    pen.stroke([(-0.16, -0.8), (-0.18, -0.7)], pen.sketch.palette.light, body, width=1.6)


def vase(pen: Pen, colour: Colour) -> None:
    """Add a round vase with two twigs of leaves, foot at y = 0."""
    rng, p = pen.sketch.rng, pen.sketch.palette
    leaf = p.colour(rng.uniform(110, 150), 0.58, 0.12)
    for lean in (-0.35, 0.05, 0.4):
        tip = (lean * 1.5, -1.75 + abs(lean) * 0.5)
        pen.line(
            [(lean * 0.2, -0.85), (lean * 0.8, -1.3), tip],
            None,
            width=1.1,
            colour=mix(leaf, (20, 40, 20), 0.4),
        )
        pen.oval(
            tip[0],
            tip[1],
            0.16,
            0.24,
            leaf if rng.uniform() < 0.5 else p.tone(3, 0.75, 0.14),
            DETAIL,
            angle=60 * lean,
        )
    half = [(0.2, -0.95), (0.15, -0.8), (0.42, -0.45), (0.36, -0.1), (0.22, 0.0)]
    body = pen.blob([*half, *[(-x, y) for x, y in half[::-1]]], colour, light=0.6)
    pen.stroke([(-0.6, -0.5), (0, -0.42), (0.6, -0.5)], p.tone(0, 0.85, 0.08), body, width=2.2)


def jug(pen: Pen, colour: Colour) -> None:
    """Add a jug with a handle, foot at y = 0."""
    pen.shape(tube([(0.28, -0.85), (0.62, -0.75), (0.58, -0.35), (0.3, -0.22)], [0.1] * 4), colour, light=0)
    half = [(0.26, -1.0), (0.24, -0.75), (0.38, -0.4), (0.3, 0.0)]
    body = pen.blob([(-0.36, -1.08), *half, *[(-x, y) for x, y in half[1:][::-1]]], colour, light=0.6)
    pen.stroke([(-0.22, -0.55), (-0.25, -0.4), (-0.22, -0.28)], pen.sketch.palette.light, body, width=2)


def bowl(pen: Pen, colour: Colour) -> None:
    """Add a bowl of fruit, foot at y = 0."""
    p = pen.sketch.palette
    for x, y in [(-0.28, -0.5), (0.3, -0.5), (0.0, -0.62)]:
        pen.oval(x, y, 0.26, 0.25, p.colour(30 + 40 * (x > 0), 0.68, 0.16), DETAIL)
    body = pen.blob(
        [(-0.68, -0.48), (0, -0.42), (0.68, -0.48), (0.5, -0.12), (0.2, 0.0), (-0.2, 0.0), (-0.5, -0.12)],
        colour,
        light=0.5,
    )
    pen.stroke([(-0.8, -0.26), (0, -0.2), (0.8, -0.26)], mix(colour, WHITE, 0.6), body, width=1.8)


def fruit(pen: Pen, kind: int) -> None:
    """Add an apple, a pear, an orange, a lemon or a pair of cherries; one unit is its radius."""
    rng, p = pen.sketch.rng, pen.sketch.palette
    leaf = p.colour(135, 0.6, 0.13)
    stalk = p.colour(60, 0.4, 0.06)
    if kind == 0:
        hue = [28, 125, 70][rng.randint(3)]
        points = [(0, -0.78), (0.5, -0.95), (0.98, -0.4), (0.85, 0.4), (0.4, 0.9), (0, 0.8)]
        body = pen.blob(
            [*points, *[(-x, y) for x, y in points[1:5][::-1]]], p.colour(hue, 0.62, 0.17), light=0.5
        )
    elif kind == 1:
        points = [(0, -1.4), (0.35, -1.2), (0.45, -0.5), (0.85, 0.1), (0.7, 0.75), (0, 0.95)]
        body = pen.blob(
            [*points, *[(-x, y) for x, y in points[1:5][::-1]]], p.colour(112, 0.78, 0.15), light=0.5
        )
    elif kind == 2:
        body = pen.oval(0, 0, 0.95, 0.93, p.colour(62, 0.75, 0.16), light=0.5)
    elif kind == 3:
        points = [
            (-1.15, 0),
            (-0.75, -0.55),
            (0, -0.75),
            (0.75, -0.55),
            (1.15, 0),
            (0.75, 0.6),
            (0, 0.8),
            (-0.75, 0.6),
        ]
        body = pen.blob(points, p.colour(100, 0.86, 0.16), light=0.4)
    else:
        pen.oval(-0.6, 0.3, 0.52, 0.52, p.colour(20, 0.48, 0.17))
        body = pen.oval(0.55, 0.35, 0.52, 0.52, p.colour(20, 0.5, 0.17))
        pen.line([(-0.6, -0.15), (0, -1.2), (0.5, -0.1)], None, colour=stalk)
    if kind < 3:
        high = -1.35 if kind == 1 else -0.75
        pen.line([(0, high), (0.12, high - 0.45)], None, width=1.3, colour=stalk)
        pen.blob(
            [(0.1, high - 0.2), (0.5, high - 0.55), (0.95, high - 0.4), (0.6, high - 0.05)], leaf, DETAIL
        )
    pen.spot(
        (-0.35 if kind != 4 else 0.4, -0.3 if kind != 4 else 0.15, 0.2, 0.15), p.light, body, opacity=0.85
    )


def flowers(sketch: Sketch) -> None:
    """Add three to five big flowers in a vase, or growing from the ground."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    in_vase = rng.uniform() < 0.5
    green = p.colour(rng.uniform(115, 150), 0.56, 0.12)
    count = rng.randint(3, 6)
    xs = np.linspace(0.2, 0.8, count) * w + rng.uniform(-0.04, 0.04, count)
    ys = h * (0.27 + 0.12 * (np.arange(count) % 2)) + rng.uniform(-0.04, 0.04, count)
    foot = (w / 2, h * 0.62)
    if in_vase:
        table(sketch, h * rng.uniform(0.72, 0.8))
    else:
        sketch.backdrop(p.tone(0, 0.87, 0.07))
        hill = [
            (-0.05, h * 0.84),
            (w * 0.5, h * 0.8),
            (w + 0.05, h * 0.85),
            (w + 0.05, h + 0.05),
            (-0.05, h + 0.05),
        ]
        sketch.pen().poly(hill, p.colour(120, 0.66, 0.11), AROUND)
    for x, y in zip(xs, ys, strict=True):
        end = foot if in_vase else (x * 0.8 + 0.1 * w, h * 0.87)
        bend = (x * 0.65 + end[0] * 0.35, (y + end[1]) / 2)
        sketch.pen().shape(tube([(x, y), bend, end], [0.035, 0.035, 0.035]), green, light=0, shade=0.3)
    for k in range(count - 1):
        side = 1 if k % 2 else -1
        pen = sketch.pen(
            (xs[k] * 0.6 + foot[0] * 0.4) if in_vase else xs[k], h * rng.uniform(0.56, 0.66), 0.2
        )
        pen.blob([(0, 0.1), (side * 0.4, -0.35), (side * 0.95, -0.4), (side * 0.6, 0.05)], green, light=0.5)
    kinds = [rng.randint(4), rng.randint(4)]
    for k, (x, y) in enumerate(zip(xs, ys, strict=True)):
        size = rng.uniform(0.13, 0.165) * (1.1 if count < 5 else 0.95)
        blossom(sketch.pen(x, y, size), kinds[k % 2], p.tone(1 + k % 3, rng.uniform(0.65, 0.8), 0.15))
    if in_vase:
        pot = sketch.pen(w / 2, h * 0.9, rng.uniform(0.36, 0.42) * min(1.0, h))
        half = [(0.3, -0.92), (0.26, -0.75), (0.52, -0.4), (0.44, -0.1), (0.28, 0.0)]
        body = pot.blob(
            [*half, *[(-a, b) for a, b in half[::-1]]], p.tone(0, rng.uniform(0.45, 0.7), 0.13), light=0.6
        )
        pot.stroke([(-0.7, -0.5), (0, -0.4), (0.7, -0.5)], p.tone(2, 0.85, 0.1), body, width=2.4)


def blossom(pen: Pen, kind: int, colour: Colour) -> None:
    """Add a daisy, a tulip, a round rose or a five-petalled flower, about one unit in radius."""
    p = pen.sketch.palette
    heart = p.colour(85, 0.8, 0.15)
    if kind == 1:
        body = pen.blob(
            [
                (-0.7, -0.8),
                (-0.35, -0.4),
                (0, -0.95),
                (0.35, -0.4),
                (0.7, -0.8),
                (0.75, 0.2),
                (0, 0.85),
                (-0.75, 0.2),
            ],
            colour,
        )
        pen.line([(-0.3, -0.35), (-0.2, 0.2), (0, 0.7)], body, width=0.9)
        return
    if kind == 2:
        body = pen.oval(0, 0, 0.92, 0.88, colour)
        pen.line(arc(0.05, 0, 0.5, 0.48, 100, 330), body, width=0.9)
        pen.line(arc(0, 0.02, 0.22, 0.2, 280, 500), body, width=0.9)
        return
    petals = 5 if kind == 3 else 8
    deep, wide = (0.28, 0.62) if kind == 3 else (0.3, 0.4)
    angles = np.linspace(0, 2 * np.pi, petals, endpoint=False) - np.pi / 2
    points = []
    for a in angles:
        for da, r in [(-np.pi / petals, deep + 0.2), (-0.3 * wide, 0.95), (0.3 * wide, 0.95)]:
            points.append((r * np.cos(a + da), r * np.sin(a + da)))
    pen.blob(points, colour, light=0.4)
    centre = pen.oval(0, 0, 0.33, 0.33, heart, DETAIL, light=0.4)
    pen.spot(ellipse(-0.08, -0.1, 0.1, 0.08), p.light, centre, opacity=0.8)
