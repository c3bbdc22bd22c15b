"""A sitting cat, a fish under water and a bird on a branch."""

from .curves import arc, tube
from .palettes import Colour, mix
from .sketch import AROUND, DETAIL, Pen, Sketch

WHITE = (250.0, 247.0, 240.0)


def floor(sketch: Sketch, edge: float) -> None:
    """Add a wall and a floor."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    sketch.backdrop(p.tone(0, rng.uniform(0.75, 0.88), 0.08))
    ground = [(-0.05, edge), (w + 0.05, edge), (w + 0.05, h + 0.05), (-0.05, h + 0.05)]
    sketch.pen().poly(ground, p.tone(1, rng.uniform(0.6, 0.75), 0.08), AROUND, light=0.2)


def cat(sketch: Sketch) -> None:
    """Add a sitting cat seen from the front."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    floor(sketch, h * rng.uniform(0.68, 0.76))
    if rng.uniform() < 0.6:
        sketch.pen(w / 2, h * 0.86).oval(0, 0, 0.42, 0.1, p.tone(2, 0.6, 0.13), AROUND, light=0.4)
    fur = [
        p.colour(60, 0.72, 0.13),
        p.colour(280, 0.42, 0.03),
        p.colour(70, 0.9, 0.03),
        p.tone(3, 0.65, 0.08),
    ][rng.randint(4)]
    belly, dark = mix(fur, WHITE, 0.6), mix(fur, (40, 25, 30), 0.4)
    size = rng.uniform(0.29, 0.33) * (1.0 if sketch.is_tall else 0.85)
    pen = sketch.pen(
        w / 2 + rng.uniform(-0.04, 0.04), h * 0.4 if sketch.is_tall else h * 0.36, size, rng.uniform() < 0.5
    )
    low = (h * 0.86 - pen.y) / size
    tail = [(0.5, low - 0.2), (1.35, low - 0.1), (1.4, low - 0.8), (1.15, low - 1.2)]
    pen.shape(tube(tail, [0.3, 0.28, 0.26, 0.22]), fur)
    body = pen.blob(
        [
            (0, 0.4),
            (0.5, 0.7),
            (0.85, low - 0.7),
            (0.8, low - 0.05),
            (0, low + 0.05),
            (-0.8, low - 0.05),
            (-0.85, low - 0.7),
            (-0.5, 0.7),
        ],
        fur,
    )
    pen.blob(
        [(0, 0.7), (0.32, 1.0), (0.36, low - 0.5), (0, low - 0.25), (-0.36, low - 0.5), (-0.32, 1.0)],
        belly,
        DETAIL,
        line=False,
        light=0,
    )
    for side in (-1, 1):
        pen.oval(side * 0.32, low, 0.26, 0.15, belly, DETAIL, light=0)
        pen.line([(side * 0.14, low - 0.65), (side * 0.12, low - 0.1)], body)
    head = cat_head(pen, fur, belly)
    if rng.uniform() < 0.6:
        for x in (-0.25, 0, 0.25):
            pen.stroke([(x, -0.75), (x * 0.8, -0.42)], dark, head, width=2.0)
        for side in (-1, 1):
            for k in range(2):
                y = low - 0.9 + 0.35 * k
                pen.stroke([(side * 0.95, y), (side * 0.55, y + 0.08)], dark, body, width=2.2)


def cat_head(pen: Pen, fur: Colour, muzzle: Colour) -> int:
    """Add a cat's head with its face; return the head's index."""
    rng, p = pen.sketch.rng, pen.sketch.palette
    for side in (-1, 1):
        ear = [(side * 0.82, -0.3), (side * 0.8, -1.08), (side * 0.22, -0.68)]
        pen.poly(ear, fur, light=0.3)
        pen.poly(
            [(side * 0.7, -0.45), (side * 0.72, -0.86), (side * 0.42, -0.62)],
            p.colour(15, 0.75, 0.09),
            DETAIL,
            line=False,
            light=0,
        )
    head = pen.blob(
        [
            (0, -0.72),
            (0.6, -0.6),
            (0.95, 0.0),
            (0.65, 0.5),
            (0, 0.64),
            (-0.65, 0.5),
            (-0.95, 0.0),
            (-0.6, -0.6),
        ],
        fur,
    )
    pen.blob(
        [(0, 0.1), (0.36, 0.28), (0.25, 0.52), (0, 0.56), (-0.25, 0.52), (-0.36, 0.28)],
        muzzle,
        DETAIL,
        line=False,
        light=0,
    )
    iris, slim = p.colour(rng.choice([110, 150, 230, 85]), 0.75, 0.15), rng.uniform(0.07, 0.12)
    for side in (-1, 1):
        pen.oval(side * 0.42, -0.08, 0.19, 0.2, iris, DETAIL, light=0, shade=0.2)
        pen.oval(side * 0.42, -0.08, slim, 0.16, p.ink, DETAIL, line=False, light=0, shade=0)
        pen.spot((side * 0.42 - 0.06, -0.16, 0.06, 0.06), WHITE)
        for k in (0, 1):
            pen.line([(side * 0.45, 0.28 + 0.1 * k), (side * 1.15, 0.2 + 0.22 * k)], None, width=0.6)
    pen.poly([(-0.1, 0.16), (0.1, 0.16), (0, 0.28)], p.colour(15, 0.65, 0.12), DETAIL, light=0)
    pen.line([(-0.2, 0.36), (-0.08, 0.42), (0, 0.3), (0.08, 0.42), (0.2, 0.36)], head, width=0.8)
    return head


def fish(sketch: Sketch) -> None:
    """Add a big fish between weeds and bubbles."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    hue = rng.uniform(190, 250)
    sketch.backdrop(p.colour(hue, 0.76, 0.09))
    sand = [
        (-0.1, h * 0.87),
        (w * 0.3, h * 0.84),
        (w * 0.7, h * 0.88),
        (w + 0.1, h * 0.85),
        (w + 0.1, h + 0.1),
        (-0.1, h + 0.1),
    ]
    sketch.pen().poly(sand, p.colour(85, 0.84, 0.07), AROUND, light=0.3)
    for k in range(rng.randint(2, 5)):
        x, tall = w * [0.1, 0.88, 0.27, 0.72][k] + rng.uniform(-0.04, 0.04), rng.uniform(0.25, 0.5)
        foot = h * 0.9
        weed = [
            (x, foot),
            (x + 0.04, foot - tall * 0.33),
            (x - 0.04, foot - tall * 0.66),
            (x + 0.03, foot - tall),
        ]
        sketch.pen().shape(
            tube(weed, [0.075, 0.07, 0.06, 0.03]), p.colour(145 - 20 * (k % 2), 0.6, 0.12), AROUND
        )
    for _ in range(rng.randint(3, 6)):
        r = rng.uniform(0.025, 0.05)
        x, y = w * rng.uniform(0.08, 0.92), h * rng.uniform(0.06, 0.3)
        sketch.pen().oval(x, y, r, r, p.colour(hue, 0.9, 0.04), AROUND, light=0, shade=0.2)
        sketch.pen().spot((x - r * 0.3, y - r * 0.3, r * 0.3, r * 0.3), WHITE, None, AROUND)
    pen = sketch.pen(
        w / 2 - 0.02,
        h * rng.uniform(0.44, 0.54),
        rng.uniform(0.3, 0.34),
        rng.uniform() < 0.5,
    )
    swimmer(pen)


def swimmer(pen: Pen) -> None:
    """Add the fish itself, about three units long, its head at the left."""
    rng, p = pen.sketch.rng, pen.sketch.palette
    main, fin, tall = (
        p.tone(1, rng.uniform(0.6, 0.78), 0.16),
        p.tone(2, rng.uniform(0.55, 0.75), 0.15),
        rng.uniform(0.6, 0.85),
    )
    pen.blob([(0.8, 0), (1.3, -0.6), (1.5, -0.5), (1.32, 0), (1.5, 0.5), (1.3, 0.6)], fin)
    pen.blob([(-0.4, -tall * 0.7), (0, -tall * 1.35), (0.55, -tall * 1.1), (0.5, -tall * 0.5)], fin)
    pen.blob([(-0.1, tall * 0.8), (0.3, tall * 1.25), (0.5, tall * 1.05), (0.35, tall * 0.6)], fin)
    body = pen.blob(
        [
            (-1.15, 0.05),
            (-0.75, -tall * 0.7),
            (-0.1, -tall),
            (0.6, -tall * 0.55),
            (0.98, 0),
            (0.6, tall * 0.55),
            (-0.1, tall),
            (-0.75, tall * 0.75),
        ],
        main,
    )
    for k in range(rng.randint(1, 4)):
        x = -0.25 + 0.38 * k
        pen.blob(
            [(x - 0.1, -1.2), (x + 0.12, -1.2), (x + 0.2, 0), (x + 0.12, 1.2), (x - 0.1, 1.2), (x - 0.02, 0)],
            mix(fin, WHITE, 0.5),
            DETAIL,
            within=body,
            light=0,
        )
    pen.blob([(-0.15, 0.1), (0.35, 0.0), (0.4, 0.35), (0.1, 0.4)], fin, DETAIL)
    pen.line(arc(-0.65, 0, 0.3, tall * 0.72, -65, 65), body, width=0.9)
    pen.oval(-0.72, -0.16, 0.17, 0.18, WHITE, DETAIL, light=0, shade=0)
    pen.oval(-0.75, -0.15, 0.09, 0.1, p.ink, DETAIL, line=False, light=0, shade=0)
    pen.line([(-1.12, 0.15), (-0.98, 0.24), (-0.85, 0.22)], body)
    pen.stroke(
        [(-0.6, -tall * 0.62), (-0.1, -tall * 0.8), (0.35, -tall * 0.6)],
        mix(main, p.light, 0.6),
        body,
        width=1.8,
    )


def bird(sketch: Sketch) -> None:
    """Add a round bird on a branch."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    sketch.backdrop(p.tone(0, 0.86, 0.08))
    if rng.uniform() < 0.5:
        sketch.pen().oval(w * rng.uniform(0.2, 0.8), h * 0.28, 0.24, 0.24, p.tone(3, 0.86, 0.1), AROUND)
    y = branch_with_leaves(sketch)
    size = rng.uniform(0.28, 0.32) * (1.05 if sketch.is_tall else 0.95)
    songbird(sketch.pen(w / 2, y - 0.02 - size * 0.95, size, rng.uniform() < 0.5))


def branch_with_leaves(sketch: Sketch) -> float:
    """Add a branch across the picture; return how far down it is."""
    rng, p, w, h = sketch.rng, sketch.palette, sketch.width, sketch.height
    y, bark = h * rng.uniform(0.7, 0.76), p.colour(55, 0.45, 0.06)
    branch = tube(
        [(-0.1, y + 0.05), (w * 0.35, y), (w * 0.7, y + 0.03), (w + 0.1, y - 0.06)], [0.1, 0.085, 0.075, 0.06]
    )
    sketch.pen().shape(branch, bark, AROUND, light=0.4)
    leaf = p.colour(rng.uniform(100, 150), 0.62, 0.13)
    for k in range(rng.randint(2, 6)):
        x, side = w * [0.1, 0.9, 0.2, 0.78, 0.5][k], 1 if k % 2 else -1
        pen = sketch.pen(x, y + 0.03 * side, 0.16)
        pen.blob([(0, 0), (0.35, side * 0.35), (0.9, side * 0.75), (0.25, side * 0.7)], leaf, AROUND)
    return y


def songbird(pen: Pen) -> None:
    """Add the bird itself, about two units high, its feet at y = 0.95."""
    rng, p = pen.sketch.rng, pen.sketch.palette
    coat, chest = p.tone(1, rng.uniform(0.5, 0.7), 0.14), p.tone(2, rng.uniform(0.75, 0.88), 0.11)
    wing = mix(coat, (40, 30, 60), 0.25)
    beak = p.colour(70, 0.75, 0.15)
    pen.poly([(0.6, 0.35), (1.55, 0.95), (1.35, 1.2), (0.4, 0.8)], wing)
    for x in (-0.2, 0.2):
        pen.line([(x, 0.8), (x, 1.0)], None, colour=beak, width=1.6)
    pen.poly([(-0.9, -0.55), (-1.32, -0.32), (-0.88, -0.22)], beak, DETAIL, light=0)
    body = pen.blob(
        [
            (-0.5, -1.05),
            (0.0, -0.85),
            (0.45, -0.25),
            (0.85, 0.35),
            (0.5, 0.85),
            (-0.2, 0.95),
            (-0.8, 0.5),
            (-0.85, -0.2),
            (-0.9, -0.7),
        ],
        coat,
    )
    pen.blob(
        [(-0.95, -0.2), (-0.45, -0.1), (-0.1, 0.4), (-0.1, 1.0), (-0.9, 0.9), (-1.1, 0.3)],
        chest,
        DETAIL,
        line=False,
        within=body,
        light=0,
    )
    flap = pen.blob([(-0.05, -0.2), (0.5, 0.05), (1.0, 0.75), (0.45, 0.65), (0.05, 0.35)], wing, DETAIL)
    pen.line([(0.25, 0.15), (0.55, 0.4), (0.75, 0.6)], flap, width=0.8)
    pen.oval(-0.55, -0.55, 0.13, 0.13, p.ink, DETAIL, line=False, shade=0, light=0)
    pen.spot((-0.59, -0.6, 0.05, 0.05), WHITE)
    if rng.uniform() < 0.4:
        tuft = [(-0.5, -1.0), (-0.25, -1.4), (-0.15, -1.1), (0.1, -1.25), (-0.1, -0.85)]
        pen.blob(tuft, wing, DETAIL, light=0)
    for k in range(3):
        pen.stroke(
            [(0.1 + 0.2 * k, 0.5 + 0.05 * k), (0.25 + 0.2 * k, 0.6 + 0.04 * k)],
            mix(wing, p.light, 0.5),
            flap,
            width=1.4,
        )
