"""Houses in the country and streets of a town."""

from .landscapes import cloud, hill, sky_colour, sun, tree
from .palettes import Colour, mix
from .sketch import AROUND, DETAIL, MAIN, Pen, Sketch


def window(
    pen: Pen, x: float, y: float, size: float, glass: Colour, rank: int = DETAIL, cross: bool = True
) -> None:
    """Add a window around (x, y)."""
    pane = pen.box(x - size, y - size * 1.15, x + size, y + size * 1.15, glass, rank, light=0, shade=0.4)
    if cross:
        pen.line([(x, y - size * 1.15), (x, y + size * 1.15)], pane, rank, width=0.8)
        pen.line([(x - size, y), (x + size, y)], pane, rank, width=0.8)
    light = pen.sketch.palette.light
    pen.stroke(
        [(x - size * 0.5, y - size * 0.1), (x - size * 0.1, y - size * 0.7)],
        light,
        pane,
        rank,
        width=1.1,
        opacity=0.9,
    )


def cottage(pen: Pen, wall: Colour, roof: Colour, door: Colour, glass: Colour) -> None:
    """Add a house about 1.6 units wide on y = 0."""
    rng = pen.sketch.rng
    kind, high, tall = rng.randint(3), rng.uniform(0.65, 1.0), rng.uniform(0.5, 0.85)
    if rng.uniform() < 0.7:
        pen.box(0.35, -high - tall * 0.95, 0.58, -high - 0.1, mix(roof, wall, 0.4), light=0)
    pen.box(-0.72, -high, 0.72, 0.02, wall)
    top = {
        0: [(0, -high - tall), (0.95, -high + 0.08), (-0.95, -high + 0.08)],
        1: [
            (-0.6, -high - tall * 0.8),
            (0.6, -high - tall * 0.8),
            (0.95, -high + 0.08),
            (-0.95, -high + 0.08),
        ],
        2: [(-0.3, -high - tall), (0.3, -high - tall), (0.88, -high + 0.08), (-0.88, -high + 0.08)],
    }[kind]
    cover = pen.poly(top, roof, light=0.3)
    for k in (1, 2):
        y = -high - tall + tall * 0.34 * k
        pen.stroke(
            [(-1, y), (1, y)], mix(roof, pen.sketch.palette.light, 0.35), cover, width=1.2, curved=False
        )
    if kind == 0:
        pen.oval(0, -high - tall * 0.35, 0.14, 0.14, glass, DETAIL, light=0)
    side = 1 if rng.uniform() < 0.5 else -1
    pen.box(side * 0.38 - 0.15, -0.52, side * 0.38 + 0.15, 0.02, door, DETAIL, light=0.3)
    pen.spot((side * 0.38 + 0.08, -0.25, 0.03, 0.03), pen.sketch.palette.light)
    window(pen, -side * 0.28, -high * 0.55, 0.19, glass)


def glass_colour(sketch: Sketch) -> Colour:
    """Return the colour of window panes: lit at night, bluish by day."""
    p = sketch.palette
    return (250.0, 214.0, 110.0) if p.is_night else p.colour(220, 0.78, 0.07)


def house(sketch: Sketch) -> None:
    """Add a house on a meadow with trees, a path and a fence."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    sketch.backdrop(sky_colour(sketch), shade=0.3)
    base = h * rng.uniform(0.7, 0.78)
    sun(sketch, w * rng.choice([0.15, 0.85]), h * rng.uniform(0.12, 0.22), rng.uniform(0.08, 0.12))
    for k in range(rng.randint(1, 3)):
        cloud(sketch.pen(w * (0.3 + 0.4 * k), h * rng.uniform(0.1, 0.3), rng.uniform(0.13, 0.19)))
    green = rng.uniform(105, 145)
    if rng.uniform() < 0.6:
        hill(sketch, base - h * 0.16, 0.07, p.colour(green + 20, 0.75, 0.09), AROUND)
    meadow = hill(sketch, base - 0.03, 0.02, p.colour(green, 0.72, 0.13), AROUND)
    x, size = w * rng.uniform(0.42, 0.58), rng.uniform(0.4, 0.46) * (1 if sketch.is_tall else 0.86)
    leaf, bark, kind = p.colour(green - 10, 0.55, 0.13), p.colour(55, 0.42, 0.06), rng.randint(4)
    for side in (-1, 1):
        if rng.uniform() < 0.75:
            tree(
                sketch.pen(x + side * size * 1.15, base + 0.01, rng.uniform(0.45, 0.62)),
                kind,
                leaf,
                bark,
                AROUND,
            )
    wall, roof = p.tone(0, rng.uniform(0.8, 0.9), 0.06), p.tone(1, rng.uniform(0.45, 0.62), 0.14)
    cottage(sketch.pen(x, base + 0.03, size), wall, roof, p.tone(2, 0.5, 0.12), glass_colour(sketch))
    for _ in range(rng.randint(1, 4)):
        bush = sketch.pen(
            w * rng.uniform(0.05, 0.95), base + h * rng.uniform(0.08, 0.2), rng.uniform(0.1, 0.15)
        )
        bush.blob([(-1, 0), (-0.8, -0.6), (-0.2, -0.9), (0.5, -0.8), (1, -0.3), (0.9, 0.1)], leaf, AROUND)
    for _ in range(9):
        u, v = w * rng.uniform(0.03, 0.97), rng.uniform(base + 0.1, h - 0.02)
        sketch.pen().spot((u, v, 0.016, 0.016), p.tone(3, 0.85, 0.13), meadow, AROUND)


def street(sketch: Sketch) -> None:
    """Add a row of narrow town houses along a pavement."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    sketch.backdrop(sky_colour(sketch), shade=0.3)
    base = h * rng.uniform(0.78, 0.84)
    sun(sketch, w * rng.uniform(0.15, 0.85), h * rng.uniform(0.1, 0.16), rng.uniform(0.06, 0.09))
    road = [(-0.05, base), (w + 0.05, base), (w + 0.05, h + 0.05), (-0.05, h + 0.05)]
    ground = sketch.pen().poly(road, p.colour(280, 0.68, 0.03), AROUND, light=0.3)
    count = 3 if w < 1.3 else 4
    x, wide, glass = 0.04, (w - 0.08) / count, glass_colour(sketch)
    for k in range(count):
        town_house(sketch.pen(x + wide * (k + 0.5), base, wide), k, h * rng.uniform(0.3, 0.46) / wide, glass)
    for k in range(4):
        dash = (w * (0.1 + 0.25 * k), (base + h) / 2)
        sketch.pen().stroke(
            [dash, (dash[0] + 0.1, dash[1])], p.light, ground, AROUND, width=1.8, curved=False
        )
    lamp = sketch.pen(w * rng.uniform(0.1, 0.9), base + (h - base) * 0.3)
    lamp.shape(tube_post(), p.tone(0, 0.3, 0.04), AROUND, light=0)
    lamp.oval(0, -0.38, 0.05, 0.06, (250.0, 222.0, 130.0), AROUND, light=0)


def tube_post() -> list[tuple[float, float]]:
    """Return the outline of a lamp post."""
    return [(-0.014, 0), (-0.01, -0.34), (0.01, -0.34), (0.014, 0)]


def town_house(pen: Pen, number: int, high: float, glass: Colour) -> None:
    """Add a narrow house one unit wide and `high` units up to its eaves."""
    rng, p = pen.sketch.rng, pen.sketch.palette
    wall, roof = (
        p.tone(number, rng.uniform(0.68, 0.88), 0.09),
        p.tone(number + 1, rng.uniform(0.42, 0.6), 0.12),
    )
    pen.box(-0.48, -high, 0.48, 0.02, wall, MAIN, light=0.3)
    kind = rng.randint(3)
    if kind == 0:
        pen.poly([(0, -high - 0.55), (0.56, -high + 0.04), (-0.56, -high + 0.04)], roof)
    elif kind == 1:
        pen.poly(
            [(-0.36, -high - 0.4), (0.36, -high - 0.4), (0.56, -high + 0.04), (-0.56, -high + 0.04)], roof
        )
    else:
        steps = [
            (-0.5, -high),
            (-0.5, -high - 0.16),
            (-0.26, -high - 0.16),
            (-0.26, -high - 0.36),
            (0.26, -high - 0.36),
        ]
        pen.poly([*steps, (0.26, -high - 0.16), (0.5, -high - 0.16), (0.5, -high), (0, -high + 0.02)], roof)
    floors = max(1, min(3, int((high - 0.5) / 0.5)))
    for floor in range(floors):
        y = -high + 0.3 + 0.5 * floor
        for side in (-1, 1):
            window(pen, side * 0.23, y, 0.13, glass, cross=False)
    pen.box(-0.14, -0.46, 0.14, 0.02, p.tone(number + 2, 0.45, 0.12), DETAIL, light=0)
