"""Colours of a scene: hue harmonies and moods, mixed in OKLCH so that equal lightness looks equal."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

# Hue steps in degrees from the base hue.
HARMONIES = {
    "analogous": (0, 30, -30, 55),
    "complementary": (0, 180, 20, 200),
    "triad": (0, 120, 240, 15),
    "split": (0, 150, 210, 30),
    "warm and cool": (0, 195, 40, 170),
}
# Lightness gain and offset, chroma gain.
MOODS = {
    "clear": (1.0, 0.0, 1.0),
    "vivid": (1.0, 0.0, 1.3),
    "pastel": (0.62, 0.36, 0.72),
    "muted": (0.95, 0.0, 0.5),
    "night": (0.68, 0.0, 0.8),
    "warm": (0.98, 0.02, 1.05),
}
INKS = ((44, 30, 28), (24, 24, 28), (28, 34, 66), (58, 30, 44), (30, 46, 44), (66, 40, 24))


def oklch(lightness: float, chroma: float, hue: float) -> Colour:
    """Return sRGB (0..255 each, clipped) of a colour given in OKLCH, hue in degrees."""
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    red, green, blue = (_encoded(channel) for channel in linear)
    return red, green, blue


def _encoded(linear: float) -> float:
    """Return a linear channel (0..1) in sRGB's encoding, 0..255, clipped."""
    c = max(linear, 0)
    c = 12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055
    return float(min(255, 255 * c))


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Mix two colours: share 0 is a, share 1 is b."""
    red, green, blue = (x + (y - x) * share for x, y in zip(a, b, strict=True))
    return red, green, blue


@dataclass(frozen=True)
class Palette:
    """The colours of one scene."""

    mood: str  # a key of MOODS
    hues: tuple[float, ...]  # degrees in OKLCH; the first one leads
    ink: Colour
    white_paper: bool  # the background stays unpainted

    def colour(self, hue: float, lightness: float, chroma: float) -> Colour:
        """Return a colour in this palette's mood; lightness 0..1, chroma 0..0.25."""
        gain, offset, strength = MOODS[self.mood]
        if self.mood == "warm":
            hue += 18 * np.sin(np.radians(70 - hue))
        if self.mood == "night":
            hue += 14 * np.sin(np.radians(270 - hue))
        return oklch(min(0.975, lightness * gain + offset), chroma * strength, hue)

    def tone(self, index: int, lightness: float = 0.7, chroma: float = 0.12) -> Colour:
        """Return a colour of the harmony's hue number `index` (any number, they repeat)."""
        return self.colour(self.hues[index % len(self.hues)], lightness, chroma)

    @property
    def is_night(self) -> bool:
        """Tell whether the sky is dark."""
        return self.mood == "night"

    @property
    def shadow(self) -> Colour:
        """Return the colour by which shading multiplies."""
        return oklch(0.68, 0.06, 300 if self.mood != "warm" else 330)

    @property
    def light(self) -> Colour:
        """Return the colour of highlights, which is never pure white."""
        return oklch(0.965, 0.03, 95)


def choose_palette(rng: np.random.RandomState) -> Palette:
    """Draw a palette."""
    mood = list(MOODS)[rng.choice(len(MOODS), p=[0.28, 0.18, 0.16, 0.14, 0.1, 0.14])]
    steps = HARMONIES[list(HARMONIES)[rng.randint(len(HARMONIES))]]
    base = rng.uniform(0, 360)
    hues = tuple(float((base + s + rng.uniform(-8, 8)) % 360) for s in steps)
    ink = INKS[rng.randint(len(INKS))]
    white_paper = rng.uniform() < 0.25
    return Palette(mood, hues, ink, bool(white_paper and mood != "night"))
