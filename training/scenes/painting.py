"""A painting: a scene's plan and its canvas, at any of its 1000 operations."""

from collections.abc import Sequence

import numpy as np

from .animals import bird, cat, fish
from .buildings import house, street
from .canvas import Canvas
from .figures import figure
from .landscapes import landscape, sea
from .objects import flowers, still_life
from .ornaments import abstract
from .palettes import choose_palette
from .people import portrait
from .plan import Planner
from .sketch import Sketch

OPERATIONS = 1000
MAX_SIDE = 8192
SUBJECTS = {
    "portrait": portrait,
    "figure": figure,
    "landscape": landscape,
    "sea": sea,
    "house": house,
    "street": street,
    "still life": still_life,
    "flowers": flowers,
    "cat": cat,
    "fish": fish,
    "bird": bird,
    "shapes": abstract,
}
SHARES = (0.19, 0.11, 0.13, 0.08, 0.09, 0.06, 0.09, 0.07, 0.06, 0.04, 0.04, 0.04)


class Painting:
    """One procedural scene; it depends on nothing but (seed, width, height).

    Args:
        seed: 0 .. 2**32 - 1; a seed always makes the same scene, fitted to the aspect ratio.
        width: Pixels, 16 .. 8192.
        height: Pixels, 16 .. 8192; neither side more than 4 times the other.

    Raises:
        ValueError: For a seed or a size outside of these.
    """

    def __init__(self, seed: int, width: int, height: int) -> None:
        if not 0 <= seed < 2**32:
            raise ValueError(f"The seed is {seed}; it has to be 0 .. 2**32 - 1.")
        short, long = min(width, height), max(width, height)
        if short < 16 or long > MAX_SIDE or long > 4 * short:
            raise ValueError(f"The size is {width}x{height}; sides are 16 .. {MAX_SIDE}, at most 4 to 1.")
        rng = np.random.RandomState(seed)
        self.seed, self.width, self.height = seed, width, height
        self.subject = str(rng.choice(list(SUBJECTS), p=SHARES))
        sketch = Sketch(width / short, height / short, rng, choose_palette(rng))
        line_width = rng.uniform(0.015, 0.024)
        SUBJECTS[self.subject](sketch)
        self._plan = Planner(sketch, line_width).plan()
        self._canvas = Canvas(width, height, sketch.shapes)

    def state(self, step: int) -> np.ndarray:
        """Return the canvas after OPERATIONS - step operations: uint8 (height, width, 3).

        Raises:
            ValueError: For a step outside of 0 (finished) .. 999 (after the first operation).
        """
        return self.states([step])[0]

    def states(self, steps: Sequence[int]) -> np.ndarray:
        """Return the canvas at several steps, drawn in one pass: uint8 (N, height, width, 3), in the order given.

        Raises:
            ValueError: For a step outside of 0 .. 999.
        """
        for step in steps:
            if not 0 <= step < OPERATIONS:
                raise ValueError(f"The step is {step}; it has to be 0 .. {OPERATIONS - 1}.")
        out = np.empty((len(steps), self.height, self.width, 3), np.uint8)
        self._canvas.clear()
        items, position = self._plan.items, 0
        for k in sorted(range(len(steps)), key=lambda k: -steps[k]):
            done = OPERATIONS - steps[k]
            while position < len(items) and items[position].end <= done + 1e-6:
                self._canvas.draw(items[position])
                position += 1
            current, share = None, 0.0
            if position < len(items):
                current = items[position]
                share = (done - current.start) / (current.end - current.start)
            fade = (self._plan.fade_end - done) / (self._plan.fade_end - self._plan.fade_start)
            out[k] = self._canvas.picture(current if share > 0 else None, share, float(np.clip(fade, 0, 1)))
        return out
