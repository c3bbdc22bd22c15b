"""Standing figures."""

from .curves import arc, tube
from .palettes import Colour, mix
from .people import blush, hair_colour, skin_colour
from .sketch import AROUND, DETAIL, Pen, Sketch


def figure(sketch: Sketch) -> None:
    """Add a standing person about 6.4 units high; a unit is half the height of the head."""
    rng, p = sketch.rng, sketch.palette
    sketch.backdrop(p.tone(0, rng.uniform(0.75, 0.9), rng.uniform(0.05, 0.1)))
    horizon = sketch.height * rng.uniform(0.72, 0.82)
    ground = [(-0.05, horizon), (sketch.width * 0.5, horizon - 0.03), (sketch.width + 0.05, horizon)]
    corners = [(sketch.width + 0.05, sketch.height + 0.05), (-0.05, sketch.height + 0.05)]
    sketch.pen().poly([*ground, *corners], p.tone(2, 0.68, 0.09), AROUND, light=0.2)
    scale = sketch.height * rng.uniform(0.118, 0.13) if sketch.is_tall else sketch.height * 0.125
    pen = sketch.pen(
        sketch.width / 2 + rng.uniform(-0.06, 0.06),
        sketch.height * 0.2,
        min(scale, 0.17),
        rng.uniform() < 0.5,
    )
    skin, hair = skin_colour(sketch), hair_colour(sketch)
    top, bottom, shoes = (
        p.tone(1, rng.uniform(0.5, 0.75), 0.14),
        p.tone(0, rng.uniform(0.35, 0.6), 0.1),
        p.tone(3, 0.35, 0.07),
    )
    sway, dress = rng.uniform(-0.2, 0.2), rng.uniform() < 0.4
    if rng.uniform() < 0.5:
        pen.blob(
            [(-0.6, -0.7), (0.1, -0.95), (0.75, -0.5), (0.8, 0.6), (0.5, 1.1), (-0.5, 1.1), (-0.75, 0.3)],
            hair,
        )
    legs(pen, sway, dress, skin if dress else bottom, shoes)
    arm_ends = [(1.35, 2.9), (1.9, 1.0), (1.55, 0.2), (0.75, 2.4), (1.3, 3.2)]
    for side in (-1, 1):
        hand = arm_ends[rng.randint(5)]
        elbow = (side * (1.05 + 0.35 * (hand[1] < 2)), 2.0)
        pen.oval(side * hand[0], hand[1], 0.22, 0.22, skin, DETAIL, light=0)
        pen.shape(
            tube([(side * 0.55, 1.15), elbow, (side * hand[0], hand[1])], [0.5, 0.42, 0.36]),
            mix(top, p.shadow, 0.1),
        )
    pen.blob([(-0.2, 0.6), (0.2, 0.6), (0.24, 1.15), (-0.24, 1.15)], skin, DETAIL, light=0)
    torso(pen, sway, dress, top)
    small_head(pen, skin, hair)


def small_head(pen: Pen, skin: Colour, hair: Colour) -> None:
    """Add the head of a standing figure, perhaps with a hat."""
    rng, p = pen.sketch.rng, pen.sketch.palette
    head = pen.blob(
        [
            (0, -0.78),
            (0.55, -0.5),
            (0.6, 0.1),
            (0.35, 0.62),
            (0, 0.75),
            (-0.35, 0.62),
            (-0.6, 0.1),
            (-0.55, -0.5),
        ],
        skin,
        light=0,
        shade=0.2,
    )
    for side in (-1, 1):
        pen.oval(side * 0.24, 0.12, 0.09, 0.12, p.ink, DETAIL, line=False, shade=0, light=0)
        pen.spot((side * 0.38, 0.34, 0.14, 0.1), blush(pen), head, soft=0.01, opacity=0.5)
    pen.line([(-0.16, 0.42), (0, 0.48), (0.16, 0.42)], head, width=0.8)
    cap = pen.blob(
        [(0.66, 0.0), (0.35, -0.3), (-0.1, -0.2), (-0.66, 0.05), (-0.7, -0.5), (0, -0.98), (0.7, -0.5)], hair
    )
    pen.stroke(arc(0, 0, 0.5, 0.7, 205, 260), mix(hair, p.light, 0.4), cap, width=1.6)
    if rng.uniform() < 0.3:
        pen.oval(0, -0.45, 1.1, 0.2, p.tone(2, 0.6, 0.13))
        pen.blob([(-0.55, -0.5), (-0.45, -1.0), (0, -1.12), (0.45, -1.0), (0.55, -0.5)], p.tone(2, 0.6, 0.13))


def legs(pen: Pen, sway: float, dress: bool, colour: Colour, shoes: Colour) -> None:
    """Add both legs with shoes."""
    stance = pen.sketch.rng.uniform(0.3, 0.6)
    for side in (-1, 1):
        foot = (side * stance + sway * 0.4, 6.1)
        pen.blob(
            [
                (foot[0] - 0.25, 5.95),
                (foot[0] + 0.2, 5.95),
                (foot[0] + 0.35 * side + 0.1, 6.3),
                (foot[0] - 0.3 + 0.1 * side, 6.3),
            ],
            shoes,
            DETAIL,
        )
        hip = (side * 0.3 + sway, 3.2)
        pen.shape(
            tube(
                [hip, (side * stance * 0.8 + sway * 0.6, 4.6), foot],
                [0.62, 0.5, 0.4 if not dress else 0.34],
                False,
            ),
            colour,
        )


def torso(pen: Pen, sway: float, dress: bool, colour: Colour) -> None:
    """Add a shirt or a dress."""
    p, rng = pen.sketch.palette, pen.sketch.rng
    if dress:
        flare = rng.uniform(1.0, 1.5)
        points = [
            (-0.3, 1.0),
            (0.3, 1.0),
            (0.72, 1.2),
            (0.5, 2.2),
            (flare + sway, 4.4),
            (sway, 4.55),
            (-flare + sway, 4.4),
            (-0.5, 2.2),
            (-0.72, 1.2),
        ]
    else:
        points = [
            (-0.3, 1.0),
            (0.3, 1.0),
            (0.75, 1.2),
            (0.62, 2.2),
            (0.68 + sway, 3.5),
            (sway, 3.6),
            (-0.68 + sway, 3.5),
            (-0.62, 2.2),
            (-0.75, 1.2),
        ]
    body_index = pen.blob(points, colour)
    if rng.uniform() < 0.6:
        pen.stroke([(-1.2, 2.25), (0, 2.4), (1.2, 2.25)], p.tone(3, 0.8, 0.1), body_index, width=2.4)
    if dress:
        pen.stroke([(-2, 4.05), (sway, 4.25), (2, 4.05)], p.tone(3, 0.8, 0.1), body_index, width=2.4)
