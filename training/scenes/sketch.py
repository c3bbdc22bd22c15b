"""The elements of a scene: shapes, lines and accents, in units of the picture's short side."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from .curves import Points, dense, ellipse, smooth, wobble
from .palettes import Colour, Palette

if TYPE_CHECKING:
    from typing_extensions import Unpack  # in typing from Python 3.11 on

# The order of painting: within each phase lower ranks come first, equal ranks from top to bottom.
MAIN, DETAIL, AROUND, BACKDROP = 0, 1, 2, 3


@dataclass(frozen=True)
class Shape:
    """A closed form; later shapes of a sketch lie over earlier ones."""

    outline: np.ndarray  # (N, 2), the first point repeated at the end
    fill: Colour | None  # None: not filled, so the paper is visible
    rank: int
    line: bool  # whether the outline is inked
    shade: float  # strength of the shading at the lower right, 0 to 1
    light: float  # strength of the lighter edge at the upper left, 0 to 1
    within: int | None  # index of a shape that cuts this one off


@dataclass(frozen=True)
class Mark:
    """A stroke or a small filled form: an ink line of phase 2 or an accent of phase 5."""

    points: np.ndarray  # (N, 2)
    rank: int
    colour: Colour | None  # None: the scene's ink
    width: float  # of the line width; 0 for a filled form
    over: int | None  # index of the shape that the mark lies on; shapes above that one hide the mark
    within: bool  # cut off at that shape's edge
    soft: float = 0.0  # blur of an accent, in units
    opacity: float = 1.0


@dataclass
class Sketch:
    """A scene under construction, `width` x `height` units, the shorter one being 1."""

    width: float
    height: float
    rng: np.random.RandomState
    palette: Palette
    shapes: list[Shape] = field(default_factory=list)
    lines: list[Mark] = field(default_factory=list)
    accents: list[Mark] = field(default_factory=list)

    @property
    def is_tall(self) -> bool:
        """Tell whether the picture is higher than wide."""
        return self.height > self.width * 1.1

    def pen(self, x: float = 0.0, y: float = 0.0, scale: float = 1.0, mirrored: bool = False) -> "Pen":
        """Return a pen whose origin is (x, y) and whose unit is `scale`."""
        return Pen(self, x, y, scale, mirrored)

    def backdrop(self, colour: Colour, always: bool = False, shade: float = 0.5) -> int | None:
        """Add a shape that fills the canvas, unless the palette keeps the paper white; return its index."""
        if self.palette.white_paper and not always:
            return None
        m, w, h = 0.03, self.width, self.height
        corners = [(-m, -m), (w + m, -m), (w + m, h + m), (-m, h + m)]
        return self.pen().poly(corners, colour, BACKDROP, line=False, shade=shade, light=0)


class ShapeOptions(TypedDict, total=False):
    """The arguments of Pen.shape that its other shape methods hand on; see Shape for their meaning."""

    line: bool
    shade: float
    light: float
    within: int | None
    steady: bool


@dataclass(frozen=True)
class Pen:
    """Adds elements to a sketch in local units. The methods that add a shape return its index."""

    sketch: Sketch
    x: float
    y: float
    scale: float
    mirrored: bool

    def place(self, points: Points) -> np.ndarray:
        """Map local points to the sketch."""
        p = np.asarray(points, dtype=np.float64) * self.scale
        return p * [-1 if self.mirrored else 1, 1] + [self.x, self.y]

    def shape(
        self,
        points: Points,
        fill: Colour | None,
        rank: int = MAIN,
        line: bool = True,
        shade: float = 0.5,
        light: float = 0.4,
        within: int | None = None,
        steady: bool = False,
    ) -> int:
        """Add a closed form; `steady` leaves out the hand's wobble."""
        outline = dense(self.place(points), closed=True)
        noise = wobble(outline, self.sketch.rng, 0.0035)
        self.sketch.shapes.append(Shape(outline if steady else noise, fill, rank, line, shade, light, within))
        return len(self.sketch.shapes) - 1

    def blob(
        self, points: Points, fill: Colour | None, rank: int = MAIN, **options: "Unpack[ShapeOptions]"
    ) -> int:
        """Add a smooth closed form through the points."""
        return self.shape(smooth(points), fill, rank, **options)

    def poly(
        self, points: Points, fill: Colour | None, rank: int = MAIN, **options: "Unpack[ShapeOptions]"
    ) -> int:
        """Add a form with straight sides."""
        return self.shape(points, fill, rank, **options)

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        fill: Colour,
        rank: int = MAIN,
        **options: "Unpack[ShapeOptions]",
    ) -> int:
        """Add an upright rectangle."""
        return self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, rank, **options)

    def oval(
        self,
        cx: float,
        cy: float,
        rx: float,
        ry: float,
        fill: Colour | None,
        rank: int = MAIN,
        angle: float = 0,
        **options: "Unpack[ShapeOptions]",
    ) -> int:
        """Add an ellipse."""
        return self.shape(ellipse(cx, cy, rx, ry, angle), fill, rank, **options)

    def line(
        self,
        points: Points,
        over: int | None = None,
        rank: int = DETAIL,
        width: float = 1.0,
        colour: Colour | None = None,
        curved: bool = True,
        within: bool = False,
    ) -> None:
        """Add an open ink line of phase 2. The shapes above `over` hide it; with None no shape does."""
        points = smooth(points, closed=False) if curved else points
        path = wobble(dense(self.place(points), closed=False), self.sketch.rng, 0.002)
        self.sketch.lines.append(Mark(path, rank, colour, width, over, within))

    def stroke(
        self,
        points: Points,
        colour: Colour,
        over: int | None = None,
        rank: int = DETAIL,
        width: float = 1.2,
        curved: bool = True,
        opacity: float = 1.0,
        within: bool = True,
    ) -> None:
        """Add a coloured stroke of phase 5."""
        points = smooth(points, closed=False) if curved else points
        path = dense(self.place(points), closed=False)
        self.sketch.accents.append(
            Mark(path, rank, colour, width, over, within and over is not None, 0.0, opacity)
        )

    def spot(
        self,
        points: Points | Sequence[float],
        colour: Colour,
        over: int | None = None,
        rank: int = DETAIL,
        soft: float = 0.0,
        opacity: float = 1.0,
    ) -> None:
        """Add a filled accent of phase 5; `points` may be an ellipse's (cx, cy, rx, ry)."""
        p = np.asarray(points, dtype=np.float64)
        path = dense(self.place(ellipse(*p) if p.ndim == 1 else p), closed=True)
        self.sketch.accents.append(Mark(path, rank, colour, 0.0, over, over is not None, soft, opacity))
