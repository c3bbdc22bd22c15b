"""Portraits: a head with shoulders; and the colours of skin and hair."""

import numpy as np

from .curves import arc, ellipse, smooth
from .palettes import Colour, mix
from .sketch import AROUND, DETAIL, Pen, Sketch

INK_WHITE = (250.0, 246.0, 238.0)


def skin_colour(sketch: Sketch) -> Colour:
    """Draw a skin tone at random, in the palette's mood."""
    depth = sketch.rng.uniform(0, 1)
    return sketch.palette.colour(62 - 12 * depth, 0.89 - 0.36 * depth**1.3, 0.05 + 0.03 * depth)


def hair_colour(sketch: Sketch) -> Colour:
    """Draw a hair colour at random: a natural one, or one of the palette."""
    rng, p = sketch.rng, sketch.palette
    kind, light = rng.randint(6), rng.uniform(0, 0.1)
    natural = [(60, 0.3, 0.04), (55, 0.42, 0.07), (45, 0.55, 0.13), (85, 0.78, 0.12), (280, 0.3, 0.04)]
    if kind == 5:
        return p.tone(1, 0.6 + light, 0.14)
    hue, lightness, chroma = natural[kind]
    return p.colour(hue, lightness + light, chroma)


def portrait(sketch: Sketch) -> None:
    """Add a head with shoulders; the head's half height is one unit."""
    rng, p = sketch.rng, sketch.palette
    sketch.backdrop(p.tone(0, rng.uniform(0.72, 0.9), rng.uniform(0.05, 0.11)))
    scale = rng.uniform(0.27, 0.32) * (1.08 if sketch.is_tall else 0.8)
    x = sketch.width / 2 + rng.uniform(-0.05, 0.05)
    y = sketch.height * (0.43 if sketch.is_tall else 0.44) + rng.uniform(-0.03, 0.03)
    pen = sketch.pen(x, y, scale, rng.uniform() < 0.5)
    if rng.uniform() < 0.45:  # a disc or a frame behind the head
        pen.oval(0, -0.15, 1.5, 1.5, p.tone(3, 0.84, 0.1), AROUND, light=0, shade=0.2)
    skin, hair, cloth = (
        skin_colour(sketch),
        hair_colour(sketch),
        p.tone(rng.randint(4), rng.uniform(0.45, 0.75), 0.13),
    )
    style, wide = rng.randint(7), rng.uniform(0.76, 0.88)
    hair_behind(pen, style, wide, hair)
    body(pen, skin, cloth)
    ears(pen, wide, skin)
    jaw = rng.uniform(0.3, 0.5)
    face = pen.blob(
        [(0, -1), (wide * 0.75, -0.72), (wide, -0.1), (wide * 0.86, 0.5), (jaw, 0.9), (0, 1.0)]
        + [(-jaw, 0.9), (-wide * 0.86, 0.5), (-wide, -0.1), (-wide * 0.75, -0.72)],
        skin,
        light=0.15,
        shade=0.35,
    )
    face_features(pen, face, skin, hair, wide)
    hair_front(pen, style, wide, hair)
    if rng.uniform() < 0.3:
        hat(pen, wide, p.tone(1, rng.uniform(0.45, 0.8), 0.13), p.tone(2, 0.6, 0.13))


def hair_behind(pen: Pen, style: int, wide: float, hair: Colour) -> None:
    """Add the hair behind head and shoulders: long, bob, bun, tails or afro. Short styles have none."""
    length = pen.sketch.rng.uniform(1.2, 2.2)
    dark = mix(hair, (30, 20, 50), 0.18)
    if style == 0:
        pen.blob(
            [(0, -1.2), (wide * 1.2, -0.6), (wide * 1.35, 0.6), (wide * 1.4, length), (0, length + 0.1)]
            + [(-wide * 1.4, length), (-wide * 1.35, 0.6), (-wide * 1.2, -0.6)],
            dark,
        )
    elif style == 1:
        pen.blob(
            [(0, -1.2), (wide * 1.2, -0.6), (wide * 1.35, 0.4), (wide * 1.15, 1.0), (0, 0.9)]
            + [(-wide * 1.15, 1.0), (-wide * 1.35, 0.4), (-wide * 1.2, -0.6)],
            dark,
        )
    elif style == 2:
        pen.oval(0.15, -1.3, 0.42, 0.4, hair)
    elif style == 3:
        for side in (-1, 1):
            pen.blob(
                [(side * a, b) for a, b in [(0.8, -0.7), (1.35, -0.5), (1.5, 0.4), (1.25, 1.1), (1.0, 0.3)]],
                dark,
            )
    elif style == 4:
        bumps = [(1.32 + 0.1 * (i % 2)) for i in range(16)]
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        pen.blob([(b * np.cos(a), -0.25 + b * np.sin(a)) for a, b in zip(angles, bumps, strict=True)], hair)


def body(pen: Pen, skin: Colour, cloth: Colour) -> None:
    """Add neck, shoulders and a collar."""
    rng = pen.sketch.rng
    broad, kind = rng.uniform(1.3, 1.8), rng.randint(4)
    low = (pen.sketch.height - pen.y) / pen.scale + 0.2
    pen.shape(
        smooth([(0.34, 0.4), (0.34, 1.2), (0.7, 1.5), (-0.7, 1.5), (-0.34, 1.2), (-0.34, 0.4)]),
        skin,
        shade=0.9,
        light=0,
    )
    torso = pen.blob(
        [(0.42, 1.28), (broad * 0.8, 1.5), (broad * 1.02, 2.0), (broad * 1.1, low), (0, low + 0.3)]
        + [
            (-broad * 1.1, low),
            (-broad * 1.02, 2.0),
            (-broad * 0.8, 1.5),
            (-0.42, 1.28),
            (0, 1.62 if kind else 1.4),
        ],
        cloth,
    )
    p = pen.sketch.palette
    if kind == 1:
        for side in (-1, 1):
            tips = [(side * 0.4, 1.2), (side * 0.75, 1.5), (side * 0.35, 1.95), (0, 1.6)]
            pen.poly(tips, mix(cloth, INK_WHITE, 0.6), DETAIL, light=0)
        pen.line([(0, 1.6), (0, low)], torso)
    elif kind == 2:
        for k in range(4):
            pen.stroke(
                [(-2, 2.05 + 0.35 * k), (0, 2.15 + 0.35 * k), (2, 2.05 + 0.35 * k)],
                p.tone(2, 0.85, 0.08),
                torso,
                width=3,
            )
    elif kind == 3:
        scarf = [(-0.6, 1.15), (0, 1.35), (0.6, 1.15), (0.72, 1.5), (0, 1.8), (-0.72, 1.5)]
        pen.blob(scarf, p.tone(1, 0.6, 0.15), DETAIL)
        pen.poly([(0.2, 1.65), (0.5, 1.6), (0.62, 2.3), (0.3, 2.35)], p.tone(1, 0.6, 0.15), DETAIL)


def ears(pen: Pen, wide: float, skin: Colour) -> None:
    """Add both ears."""
    for side in (-1, 1):
        pen.oval(side * wide * 1.02, 0.12, 0.15, 0.25, skin, DETAIL, angle=-8 * side, light=0, shade=0.3)


def face_features(pen: Pen, face: int, skin: Colour, hair: Colour, wide: float) -> None:
    """Add eyes, brows, nose, mouth, cheeks and perhaps glasses."""
    rng, p = pen.sketch.rng, pen.sketch.palette
    eye_y, eye_x, size = rng.uniform(0.08, 0.18), wide * 0.46, rng.uniform(0.16, 0.22)
    iris, closed = p.tone(rng.randint(4), 0.5, 0.13), rng.uniform() < 0.12
    tilt, brow = rng.uniform(-0.05, 0.05), mix(hair, (40, 25, 25), 0.35)
    for side in (-1, 1):
        cx = side * eye_x
        if closed:
            pen.line(arc(cx, eye_y, size, size * 0.6, 15, 165), face, width=1.2)
        else:
            pen.oval(cx, eye_y, size, size * 0.78, INK_WHITE, DETAIL, line=False, shade=0, light=0)
            pen.oval(cx + 0.02, eye_y + 0.01, size * 0.58, size * 0.72, iris, DETAIL, shade=0.5, light=0)
            pen.oval(
                cx + 0.02, eye_y + 0.02, size * 0.28, size * 0.38, p.ink, DETAIL, line=False, shade=0, light=0
            )
            pen.line(arc(cx, eye_y + 0.05, size * 1.15, size * 1.0, 195, 345), None, width=1.25)
            pen.spot((cx - 0.05, eye_y - 0.06, 0.06, 0.06), p.light)
        pen.line(
            arc(cx, eye_y - 0.12 + side * tilt, size * 1.2, size * 1.1, 215, 325),
            face,
            width=1.3,
            colour=brow,
        )
        pen.spot((side * wide * 0.6, 0.46, 0.2, 0.14), blush(pen), face, soft=0.028, opacity=0.5)
    nose = [[(0.02, 0.25), (-0.1, 0.45), (0.06, 0.48)], [(-0.08, 0.46), (0, 0.5), (0.08, 0.46)]][
        rng.randint(2)
    ]
    pen.line(nose, face, width=0.9)
    mouth(pen, face)
    if rng.uniform() < 0.22:
        for side in (-1, 1):
            ring = ellipse(side * eye_x, eye_y + 0.02, size * 1.55, size * 1.4)
            pen.line(np.concatenate([ring, ring[:1]]), None, curved=False)
        pen.line([(-eye_x + size * 1.5, eye_y), (0, eye_y - 0.05), (eye_x - size * 1.5, eye_y)], None)


def blush(pen: Pen) -> Colour:
    """Return the red of cheeks and lips."""
    return pen.sketch.palette.colour(22, 0.68, 0.14)


def mouth(pen: Pen, face: int) -> None:
    """Add a smile, a neutral line, an open mouth or lips."""
    kind, red = pen.sketch.rng.randint(4), pen.sketch.palette.colour(20, 0.55, 0.15)
    if kind == 0:
        pen.line([(-0.26, 0.64), (0, 0.74), (0.26, 0.64)], face, width=1.1)
    elif kind == 1:
        pen.line([(-0.2, 0.69), (0.02, 0.7), (0.2, 0.67)], face, width=1.1)
    elif kind == 2:
        pen.blob(
            [(-0.24, 0.63), (0, 0.66), (0.24, 0.63), (0.1, 0.81), (-0.1, 0.81)],
            red,
            DETAIL,
            shade=0.3,
            light=0,
        )
    else:
        pen.blob(
            [(-0.2, 0.69), (-0.07, 0.62), (0, 0.64), (0.07, 0.62), (0.2, 0.69), (0, 0.79)],
            red,
            DETAIL,
            shade=0.3,
        )


def hair_front(pen: Pen, style: int, wide: float, hair: Colour) -> None:
    """Add the hair over the forehead."""
    rng, light = pen.sketch.rng, mix(hair, pen.sketch.palette.light, 0.4)
    fringe = rng.randint(4)
    edges = [
        [(wide * 0.98, -0.1), (wide * 0.6, -0.45), (0.1, -0.55), (-0.3, -0.35), (-wide * 0.98, -0.05)],
        [
            (wide * 0.98, -0.05),
            (wide * 0.75, -0.25),
            (0.3, -0.22),
            (-0.3, -0.22),
            (-wide * 0.75, -0.25),
            (-wide * 0.98, -0.05),
        ],
        [
            (wide * 0.98, 0.1),
            (wide * 0.8, -0.4),
            (0.3, -0.75),
            (0, -0.6),
            (-0.3, -0.75),
            (-wide * 0.8, -0.4),
            (-wide * 0.98, 0.1),
        ],
        [
            (wide * 0.98, -0.1),
            (0.45, -0.65),
            (0.25, -0.3),
            (-0.05, -0.6),
            (-0.35, -0.25),
            (-0.55, -0.5),
            (-wide * 0.98, 0.0),
        ],
    ]
    k = 1.1 if style != 6 else 1.0
    top = [
        (-wide * 1.08 * k, -0.45),
        (-wide * 0.8, -1.02 * k),
        (0, -1.24 * k),
        (wide * 0.8, -1.02 * k),
        (wide * 1.08 * k, -0.45),
    ]
    cap = pen.blob(edges[fringe] + top, hair, light=0.25)
    pen.stroke(arc(0, -0.1, wide * 0.8, 0.88, 205, 262), light, cap, width=2.2)
    pen.stroke(arc(0, -0.05, wide * 0.62, 0.72, 225, 262), light, cap, width=1.4)


def hat(pen: Pen, wide: float, colour: Colour, band: Colour) -> None:
    """Add a beret, a brimmed hat or a cap."""
    kind = pen.sketch.rng.randint(3)
    if kind == 0:
        pen.blob(
            [(-wide * 1.15, -0.7), (-0.9, -1.25), (0.1, -1.5), (1.1, -1.2), (wide * 1.2, -0.75), (0, -0.72)],
            colour,
        )
    elif kind == 1:
        pen.blob([(-0.72, -0.8), (-0.66, -1.4), (0, -1.62), (0.66, -1.4), (0.72, -0.8)], colour)
        pen.blob(
            [(-0.75, -0.98), (0, -0.9), (0.75, -0.98), (0.75, -0.72), (0, -0.65), (-0.75, -0.72)],
            band,
            DETAIL,
        )
        pen.oval(0, -0.7, wide * 1.75, 0.2, colour)
    else:
        pen.blob(
            [(-wide * 1.1, -0.55), (-wide, -1.1), (0, -1.42), (wide, -1.1), (wide * 1.1, -0.55), (0, -0.62)],
            colour,
        )
        pen.blob([(-0.1, -0.72), (wide * 1.1, -0.7), (wide * 1.7, -0.45), (0.5, -0.45)], band, DETAIL)
