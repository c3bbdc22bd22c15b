"""Landscapes and the sea."""

import numpy as np

from .curves import tube
from .palettes import Colour, mix
from .sketch import AROUND, BACKDROP, DETAIL, MAIN, Pen, Sketch

CLOUD = (250.0, 248.0, 245.0)


def sky_colour(sketch: Sketch) -> Colour:
    """Draw the sky's colour at random: blue, dawn, or the leading hue of the palette."""
    kind, p = sketch.rng.randint(4), sketch.palette
    if kind < 2:
        return p.colour(235, 0.82, 0.09)
    return p.colour(60, 0.87, 0.09) if kind == 2 else p.tone(0, 0.85, 0.08)


def sun(sketch: Sketch, x: float, y: float, radius: float) -> None:
    """Add the sun with a halo, or the moon."""
    p = sketch.palette
    colour = p.light if p.is_night else sketch.palette.colour(75, 0.87, 0.15)
    if not p.white_paper:
        sketch.pen().spot((x, y, radius * 1.7, radius * 1.7), p.light, 0, BACKDROP, soft=0.05, opacity=0.5)
    sketch.pen().oval(x, y, radius, radius, colour, AROUND, light=0.3, shade=0.25)


def cloud(pen: Pen) -> None:
    """Add a cloud two units wide."""
    points = [
        (-1, 0.2),
        (-0.85, -0.15),
        (-0.45, -0.2),
        (-0.2, -0.5),
        (0.3, -0.45),
        (0.5, -0.15),
        (0.9, -0.1),
        (1, 0.2),
    ]
    fill = mix(CLOUD, pen.sketch.palette.tone(0, 0.8, 0.05), 0.35 if pen.sketch.palette.is_night else 0.08)
    pen.blob([*points, (0, 0.28)], fill, AROUND, light=0, shade=0.15)


def ridge(sketch: Sketch, y: float, rough: float, count: int) -> list[tuple[float, float]]:
    """Return the upper edge of hills across the picture, closed below it."""
    xs = np.linspace(-0.1, sketch.width + 0.1, count)
    tops = y + sketch.rng.uniform(-rough, rough, count)
    corners = [(sketch.width + 0.1, sketch.height + 0.1), (-0.1, sketch.height + 0.1)]
    return [*zip(xs.tolist(), tops.tolist(), strict=True), *corners]


def hill(sketch: Sketch, y: float, rough: float, colour: Colour, rank: int = MAIN) -> int:
    """Add a rounded hill down to the lower edge."""
    points = ridge(sketch, y, rough, 5)
    from_left = np.array(points[:-2])
    x = np.linspace(from_left[0, 0], from_left[-1, 0], 40)
    t = np.linspace(0, 4, 40)
    i = np.minimum(t.astype(int), 3)
    f = (1 - np.cos(np.pi * (t - i))) / 2
    edge = np.stack([x, from_left[i, 1] * (1 - f) + from_left[i + 1, 1] * f], axis=1)
    return sketch.pen().poly([*edge.tolist(), *points[-2:]], colour, rank, light=0.5, shade=0.5)


def mountain(pen: Pen, colour: Colour, snow: bool) -> None:
    """Add a peak one unit high on y = 0."""
    rng = pen.sketch.rng
    lean, wide = rng.uniform(-0.15, 0.15), rng.uniform(0.8, 1.1)
    body = pen.poly(
        [(lean, -1), (wide * 0.45, -0.5), (wide, 0.1), (-wide, 0.1), (-wide * 0.4, -0.55)], colour, MAIN
    )
    if snow:
        cap = [
            (lean, -1.02),
            (lean + 0.3, -0.66),
            (lean + 0.12, -0.58),
            (lean, -0.7),
            (lean - 0.12, -0.56),
            (lean - 0.28, -0.68),
        ]
        pen.poly(cap, CLOUD, DETAIL, within=body, light=0, shade=0.6)


def tree(pen: Pen, kind: int, leaf: Colour, bark: Colour, rank: int = MAIN) -> None:
    """Add a tree one unit high with its foot at y = 0: a round one, a fir, a poplar, or a crown of three ovals."""
    pen.shape(tube([(0, 0.02), (0.01, -0.3), (0, -0.6)], [0.15, 0.1, 0.08], False), bark, rank, light=0.3)
    if kind == 0:
        crown = [
            (0, -1),
            (0.3, -0.92),
            (0.42, -0.62),
            (0.28, -0.36),
            (0, -0.3),
            (-0.3, -0.36),
            (-0.42, -0.64),
            (-0.28, -0.92),
        ]
        pen.blob(crown, leaf, rank)
    elif kind == 1:
        pen.poly([(0, -0.72), (0.36, -0.15), (-0.36, -0.15)], leaf, rank, light=0.3)
        pen.poly([(0, -1.0), (0.28, -0.5), (-0.28, -0.5)], leaf, rank, light=0.3)
    elif kind == 2:
        pen.blob(
            [(0, -1.05), (0.18, -0.75), (0.2, -0.4), (0, -0.2), (-0.2, -0.4), (-0.18, -0.75)], leaf, rank
        )
    else:
        for x, y, r in [(-0.22, -0.55, 0.25), (0.24, -0.55, 0.24), (0, -0.78, 0.27)]:
            pen.oval(x, y, r, r, leaf, rank)


def landscape(sketch: Sketch) -> None:
    """Add sky, sun, mountains or hills, perhaps a river or a path, and trees in front."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    sketch.backdrop(sky_colour(sketch), shade=0.3)
    green = rng.uniform(100, 150)
    horizon = h * rng.uniform(0.42, 0.56)
    sun_x, sun_r = w * rng.uniform(0.15, 0.85), rng.uniform(0.08, 0.13)
    sun(sketch, sun_x, horizon * rng.uniform(0.3, 0.7), sun_r)
    for k in range(rng.randint(1, 4)):
        size = rng.uniform(0.12, 0.2)
        cloud(
            sketch.pen(
                w * (0.2 + 0.32 * k) + rng.uniform(-0.06, 0.06), horizon * rng.uniform(0.15, 0.6), size
            )
        )
    far = p.tone(1, 0.68, 0.07)
    if rng.uniform() < 0.6:
        snow = rng.uniform() < 0.7
        for k in range(rng.randint(2, 4)):
            place = w * (0.18 + 0.36 * k) + rng.uniform(-0.08, 0.08)
            mountain(
                sketch.pen(place, horizon + 0.04, h * rng.uniform(0.2, 0.32)), mix(far, CLOUD, 0.1 * k), snow
            )
    else:
        hill(sketch, horizon - 0.07, 0.09, far)
    hill(sketch, horizon + 0.02, 0.03, p.colour(green + 10, 0.78, 0.11))
    near = hill(sketch, horizon + h * 0.15, 0.06, p.colour(green, 0.66, 0.13))
    water(sketch, horizon, near)
    kind, bark = rng.randint(4), p.colour(55, 0.42, 0.06)
    leaf = p.colour([green, 60, 130, 20][rng.randint(4)], rng.uniform(0.5, 0.68), 0.13)
    spots = rng.permutation(4)[: rng.randint(2, 5)]
    for k in sorted(spots.tolist()):
        foot = h * rng.uniform(0.8, 0.92)
        size = h * rng.uniform(0.26, 0.4) * (0.6 + 0.5 * foot / h)
        tree(sketch.pen(w * (0.12 + 0.25 * k) + rng.uniform(-0.04, 0.04), foot, size), kind, leaf, bark)
    for k in range(8):
        x, y = w * rng.uniform(0.03, 0.97), h * rng.uniform(0.86, 0.97)
        sketch.pen().stroke(
            [(x, y), (x + 0.02, y - 0.05)], p.colour(green, 0.82, 0.14), near, AROUND, width=1.4 + k % 2
        )


def water(sketch: Sketch, horizon: float, near: int) -> None:
    """Add a river that winds to the lower edge, or a path, or neither."""
    rng, p, h = sketch.rng, sketch.palette, sketch.height
    kind = rng.randint(3)
    if kind == 2:
        return
    x, bend = (
        sketch.width * rng.uniform(0.3, 0.7),
        rng.uniform(0.08, 0.2) * (1 if rng.uniform() < 0.5 else -1),
    )
    spine = [(x, horizon), (x + bend, horizon + 0.2 * h), (x - bend, horizon + 0.36 * h), (x + bend, h + 0.1)]
    colour = p.colour(230, 0.74, 0.1) if kind == 0 else p.colour(75, 0.82, 0.07)
    course = sketch.pen().shape(
        tube(spine, [0.04, 0.12, 0.24, 0.42], False), colour, MAIN, within=near, light=0.3
    )
    for k in range(3):
        y = h * (0.72 + 0.09 * k)
        sketch.pen().stroke(
            [(x - 0.5, y), (x, y + 0.02), (x + 0.5, y)],
            mix(colour, CLOUD, 0.55),
            course,
            width=1.2,
            opacity=0.8,
        )


def sea(sketch: Sketch) -> None:
    """Add a boat on the sea, with sun, clouds and gulls."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    sketch.backdrop(sky_colour(sketch), shade=0.3)
    horizon = h * rng.uniform(0.56, 0.66)
    sun(sketch, w * rng.uniform(0.12, 0.88), horizon * rng.uniform(0.25, 0.9), rng.uniform(0.08, 0.14))
    for k in range(rng.randint(1, 3)):
        cloud(sketch.pen(w * (0.25 + 0.45 * k), horizon * rng.uniform(0.12, 0.5), rng.uniform(0.13, 0.2)))
    if rng.uniform() < 0.5:
        place = w * rng.uniform(0.1, 0.9)
        island = [(-0.3, 0.05), (-0.12, -0.08), (0.05, -0.12), (0.22, -0.05), (0.35, 0.05)]
        sketch.pen(place, horizon).blob(island, p.colour(130, 0.6, 0.1), AROUND)
    hue = rng.uniform(200, 255)
    sea_shape = [(-0.05, horizon), (w + 0.05, horizon), (w + 0.05, h + 0.05), (-0.05, h + 0.05)]
    water_index = sketch.pen().poly(sea_shape, p.colour(hue, 0.68, 0.1), AROUND, shade=0.35, light=0.3)
    y = horizon + h * rng.uniform(0.06, 0.14)
    pen = sketch.pen(w * rng.uniform(0.42, 0.58), y, rng.uniform(0.3, 0.38), rng.uniform() < 0.5)
    boat(pen)
    crests = [(x, 0.06 * np.sin(3.1 * x)) for x in np.linspace(-0.1, w + 0.1, 14)]
    top = [(x, y + 0.09 + dy) for x, dy in crests]
    sketch.pen().blob(
        [*top, (w + 0.2, h + 0.2), (-0.2, h + 0.2)], p.colour(hue, 0.58, 0.11), AROUND, shade=0.35
    )
    for _ in range(7):
        x, v = w * rng.uniform(0.05, 0.95), rng.uniform(y + 0.16, h - 0.03)
        wave = [(x - 0.08, v), (x - 0.03, v - 0.018), (x + 0.03, v), (x + 0.08, v - 0.018)]
        sketch.pen().stroke(wave, p.colour(hue, 0.85, 0.05), None, AROUND, width=1.2)
    sketch.pen().stroke(
        [(0.1, horizon + 0.03), (w - 0.1, horizon + 0.03)],
        p.colour(hue, 0.86, 0.05),
        water_index,
        AROUND,
        opacity=0.7,
    )
    for _ in range(rng.randint(0, 4)):
        x, v = w * rng.uniform(0.1, 0.9), horizon * rng.uniform(0.1, 0.6)
        sketch.pen(x, v, 0.05).line([(-1, -0.3), (-0.5, -0.6), (0, 0), (0.5, -0.6), (1, -0.3)], None, AROUND)


def boat(pen: Pen) -> None:
    """Add a sailing boat, a steamer or a rowing boat; the water line is y = 0.1."""
    rng, p = pen.sketch.rng, pen.sketch.palette
    hull, kind = p.tone(1, rng.uniform(0.4, 0.65), 0.14), rng.randint(3)
    if kind < 2:
        pen.shape(tube([(0, 0), (0, -1.45)], [0.07, 0.05]), p.colour(60, 0.45, 0.06), light=0)
        sail = p.tone(2, 0.88, 0.08)
        pen.blob([(0.05, -1.4), (0.45, -0.8), (0.75, -0.18), (0.4, -0.16), (0.05, -0.15)], sail)
        if kind == 0:
            pen.poly([(-0.06, -1.25), (-0.06, -0.15), (-0.62, -0.15)], p.tone(0, 0.75, 0.12))
        pen.poly([(0.0, -1.5), (0.0, -1.36), (0.3, -1.44)], p.tone(1, 0.6, 0.16), DETAIL, light=0)
    else:
        pen.box(-0.45, -0.5, 0.4, 0, CLOUD, light=0, shade=0.6)
        pen.box(-0.1, -0.95, 0.16, -0.45, p.tone(2, 0.55, 0.15))
        for k in range(3):
            pen.oval(-0.26 + 0.25 * k, -0.24, 0.075, 0.075, p.colour(230, 0.6, 0.09), DETAIL, light=0)
    body = pen.poly([(-0.85, -0.12), (0, -0.04), (0.95, -0.16), (0.68, 0.34), (-0.62, 0.34)], hull)
    pen.stroke([(-1, 0.02), (0, 0.1), (1, 0.0)], mix(hull, CLOUD, 0.7), body, width=1.8)
