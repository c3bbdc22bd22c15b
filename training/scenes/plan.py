"""The plan of a painting: for each item of a sketch, the operations from which to which it is drawn.

Every painting has the same phases: construction lines, line art, flat colours, shading, finish. In each phase lower
ranks come first (main subject, its details, surroundings, backdrop), and equal ranks come from top to bottom. An item's
share of its phase grows with its length, or with the square root of its area.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from .curves import arc, area, ellipse, hatch, inside, lengths, runs, wobble
from .palettes import Colour, mix
from .sketch import AROUND, Mark, Shape, Sketch

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

BOUNDARIES = (0, 90, 350, 620, 830, 1000)
JITTER = 8  # operations by which an inner boundary may move
FADE = 40  # operations before the end of the line art over which the construction lines vanish
BAND = 0.075  # width of a scribbled filling stroke, in units
GUIDE_COLOUR = (150.0, 172.0, 205.0)


@dataclass(frozen=True)
class Item:
    """One thing that is drawn gradually from operation `start` to `end` (fractions of operations allowed)."""

    kind: str  # guide, ink, fill, shade, light, stroke, spot or glaze
    start: float
    end: float
    weight: float
    path: np.ndarray  # (N, 2)
    colour: Colour
    width: float = 0.0
    amount: float = 1.0  # opacity, or reach of a shade in units
    soft: float = 0.0
    within: tuple[int, ...] = ()  # indices of shapes; the item is cut off at their outlines
    outside: tuple[int, ...] = ()  # indices of shapes that hide parts of the item
    under: bool = False  # is drawn beneath the colours that are there already


class ItemOptions(TypedDict, total=False):
    """The fields of Item that have defaults."""

    width: float
    amount: float
    soft: float
    within: tuple[int, ...]
    outside: tuple[int, ...]
    under: bool


@dataclass(frozen=True)
class Plan:
    """All items in order, and the operations over which the construction lines fade."""

    items: list[Item]
    fade_start: float
    fade_end: float


class Planner:
    """Makes the plan of one sketch.

    Args:
        sketch: of the scene.
        line_width: of ink lines, in units of the picture's short side.
    """

    def __init__(self, sketch: Sketch, line_width: float) -> None:
        self.sketch, self.line_width = sketch, line_width
        self.low = np.array([s.outline.min(axis=0) for s in sketch.shapes])
        self.high = np.array([s.outline.max(axis=0) for s in sketch.shapes])

    def above(self, index: int) -> tuple[int, ...]:
        """Return the shapes that lie over this one and may touch it."""
        touch = (self.low <= self.high[index]).all(axis=1) & (self.high >= self.low[index]).all(axis=1)
        return tuple(int(i) for i in np.flatnonzero(touch) if i > index)

    def order(self) -> list[int]:
        """Return the shapes' indices in the order of painting."""
        return sorted(
            range(len(self.sketch.shapes)), key=lambda i: (self.sketch.shapes[i].rank, self.low[i, 1], i)
        )

    def reach(self, index: int) -> float:
        """Return the root of a shape's area on the canvas, roughly."""
        low = np.clip(self.low[index], 0, None)
        high = np.minimum(self.high[index], [self.sketch.width, self.sketch.height])
        size = np.maximum(high - low, 0.01)
        return float(np.sqrt(min(area(self.sketch.shapes[index].outline), size[0] * size[1])))

    def covers(self, index: int, points: np.ndarray) -> np.ndarray:
        """Tell which points lie in a shape, and also in the shape that cuts it off if there is one: bool (N,)."""
        shape = self.sketch.shapes[index]
        found = inside(points, shape.outline)
        return (
            found
            if shape.within is None
            else found & inside(points, self.sketch.shapes[shape.within].outline)
        )

    def visible(
        self, path: np.ndarray, within: tuple[int, ...], hidden_by: tuple[int, ...]
    ) -> list[np.ndarray]:
        """Return the visible parts of a line.

        Args:
            path: (N, 2) points of the line.
            within: indices of shapes; parts outside of them are invisible.
            hidden_by: indices of shapes; parts inside of them are invisible.
        """
        size = np.array([self.sketch.width, self.sketch.height])
        keep = np.asarray(((path > -0.01) & (path < size + 0.01)).all(axis=1))
        for i in within:
            keep &= self.covers(i, path)
        low, high = path.min(axis=0), path.max(axis=0)
        for i in hidden_by:
            if (self.low[i] <= high).all() and (self.high[i] >= low).all():
                keep &= ~self.covers(i, path)
        return runs(path, keep)

    def guides(self) -> list[Item]:
        """Make the construction lines: the picture's axes, then an ellipse and an axis for each big shape."""
        w, h = self.sketch.width, self.sketch.height
        paths = [np.array([[w / 2, 0.04], [w / 2, h - 0.04]]), np.array([[0.04, h / 2], [w - 0.04, h / 2]])]
        big = [i for i in self.order() if self.sketch.shapes[i].rank <= AROUND and self.reach(i) > 0.16]
        for i in big[:5]:
            low, high = np.clip(self.low[i], 0.02, None), np.minimum(self.high[i], [w - 0.02, h - 0.02])
            if (high - low).min() < 0.02:
                continue
            (cx, cy), (rx, ry) = (low + high) / 2, (high - low) / 2
            circle = ellipse(cx, cy, rx * 1.04, ry * 1.04)
            paths += [np.concatenate([circle, circle[:4]]), np.array([[cx, low[1]], [cx, high[1]]])]
        items = []
        for p in paths:
            p = np.stack(
                [np.interp(np.linspace(0, 1, 30), np.linspace(0, 1, len(p)), p[:, d]) for d in (0, 1)], 1
            )
            p = wobble(p, self.sketch.rng, 0.004)
            items.append(
                self.item("guide", lengths(p)[-1], p, GUIDE_COLOUR, width=self.line_width * 0.7, amount=0.8)
            )
        return items

    @staticmethod
    def item(
        kind: str, weight: float, path: np.ndarray, colour: Colour, **options: "Unpack[ItemOptions]"
    ) -> Item:
        """Return an item without its times, which `plan` sets."""
        return Item(kind, 0.0, 0.0, float(weight), path, colour, **options)

    def line_art(self) -> list[Item]:
        """Make the outlines and ink lines, without the parts that other shapes cover."""
        marks: list[tuple[tuple[int, float], Mark, tuple[int, ...], tuple[int, ...]]] = []
        for i, s in enumerate(self.sketch.shapes):
            if s.line:
                within = () if s.within is None else (s.within,)
                mark = Mark(s.outline, s.rank, None, 1.0, i, False)
                # A shape that is cut off at this outline touches it from inside, and does not hide it.
                hidden = tuple(j for j in self.above(i) if self.sketch.shapes[j].within != i)
                marks.append(((s.rank, float(self.low[i, 1])), mark, within, hidden))
        for m in self.sketch.lines:
            within = (m.over,) if m.within and m.over is not None else ()
            hidden = () if m.over is None else tuple(range(m.over + 1, len(self.sketch.shapes)))
            marks.append(((m.rank, float(m.points[:, 1].min())), m, within, hidden))
        items = []
        for _, m, within, hidden in sorted(marks, key=lambda k: k[0]):
            for part in self.visible(m.points, within, hidden):
                colour, width = m.colour or self.sketch.palette.ink, m.width * self.line_width
                items.append(
                    self.item("ink", lengths(part)[-1] + 0.04, part, colour, width=width, within=within)
                )
        return items

    def flats(self) -> list[Item]:
        """Make the fillings. A shape that lies beneath painted shapes is filled beneath them."""
        items, painted = [], set()
        for i in self.order():
            s = self.sketch.shapes[i]
            if s.fill is None:
                continue
            within = (i,) if s.within is None else (i, s.within)
            under = not any(j < i for j in painted)
            outside = () if under else tuple(j for j in self.above(i) if j in painted)
            path = hatch(
                np.clip(s.outline, -0.03, [self.sketch.width + 0.03, self.sketch.height + 0.03]), BAND
            )
            items.append(
                self.item(
                    "fill", self.reach(i) + 0.03, path, s.fill, within=within, outside=outside, under=under
                )
            )
            painted.add(i)
        return items

    def shapes_again(self, kind: str) -> list[Item]:
        """Make the shading (`shade`) or the lighter edges (`light`) of the filled shapes, in the order of the flats."""
        items = []
        for i in self.order():
            s: Shape = self.sketch.shapes[i]
            strength = s.shade if kind == "shade" else s.light
            if s.fill is None or strength <= 0:
                continue
            size = self.reach(i)
            within = (i,) if s.within is None else (i, s.within)
            colour = (
                self.sketch.palette.shadow
                if kind == "shade"
                else mix(s.fill, self.sketch.palette.light, 0.55)
            )
            reach = (0.34 if kind == "shade" else 0.1) * min(
                size, 0.6, float((self.high[i] - self.low[i]).min()) * 1.2
            )
            flat = (
                i == 0 and s.light == 0
            )  # a backdrop has no visible edge, so a gradient over the canvas shades it
            items.append(
                self.item(
                    "gradient" if flat else kind,
                    size + 0.03,
                    s.outline,
                    colour,
                    width=strength,
                    amount=reach,
                    within=within,
                    outside=self.above(i),
                )
            )
        return items

    def accents(self) -> list[Item]:
        """Make the finishing strokes and spots, in the order of painting."""
        items = []
        for m in sorted(self.sketch.accents, key=lambda m: (m.rank, float(m.points[:, 1].min()))):
            within = (m.over,) if m.within and m.over is not None else ()
            hidden = () if m.over is None else self.above(m.over)
            kind = "stroke" if m.width else "spot"
            weight = lengths(m.points)[-1] * (1 if m.width else 0.6) + 0.03
            items.append(
                self.item(
                    kind,
                    weight,
                    m.points,
                    m.colour or self.sketch.palette.ink,
                    width=m.width * self.line_width,
                    amount=m.opacity,
                    soft=m.soft,
                    within=within,
                    outside=hidden,
                )
            )
        return items

    def glaze(self) -> list[Item]:
        """Make the last item: a little more light from the upper left on everything painted."""
        w, h = self.sketch.width, self.sketch.height
        return [
            self.item("glaze", 0.5, arc(w / 2, h / 2, w, h, 0, 360), self.sketch.palette.light, amount=0.22)
        ]

    def plan(self) -> Plan:
        """Return the items with their times."""
        moves = self.sketch.rng.randint(-JITTER, JITTER + 1, 4)
        bounds = [0.0, *(float(b + m) for b, m in zip(BOUNDARIES[1:-1], moves, strict=True)), 1000.0]
        lights = self.shapes_again("light")
        phases = [
            self.guides(),
            self.line_art(),
            self.flats(),
            self.shapes_again("shade"),
            lights + self.accents() + self.glaze(),
        ]
        items, now = [], 0.0
        for phase, end in zip(phases, bounds[1:], strict=True):
            total, start, done = sum(i.weight for i in phase), now, 0.0
            for item in phase:
                first, done = done, done + item.weight
                times = [start + (end - start) * x / total for x in (first, done)]
                items.append(replace(item, start=times[0], end=times[1]))
            now = end
        return Plan(items, bounds[2] - FADE, bounds[2])
