"""The page about videos at the picture's size, with its tables and a sheet."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from .evaluation import figure_table
from .evaluation_page import GUTTER_PX, MARGIN_PX, PAPER, TEXT, TEXT_PX, save_small
from .full_size_scores import Collected, Made, Results, lanczos, stage_table

COMMAND = "python training/evaluate_full_size.py"
SHOWN = 3  # pictures on the sheet
CUT = 256  # side of the part that is shown at its own size, in pixels


def figures_of(results: Results) -> str:
    """Return the table of figures with their bars."""
    return figure_table(results.figures)


def write(results: Results, output: Path) -> Path:
    """Write full_size.md and its picture into a folder; return the page."""
    (output / "pictures").mkdir(parents=True, exist_ok=True)
    save_small(sheet(results.shown[:SHOWN]), output / "pictures" / "full_size.png")
    page = output / "full_size.md"
    page.write_text(page_text(results), encoding="utf-8")
    return page


def page_text(results: Results) -> str:
    """Return the page in Markdown."""
    missed = sum(not figure.is_met for figure in results.figures)
    verdict = "All bars are met." if not missed else f"{missed} of {len(results.figures)} bars missed."
    return f"""# Videos at the size of the picture

A finished picture's own detail, carried into every frame of its video (*Full Size*, and *Assemble Painting Video* with *finished*), measured on {results.pictures} held-out pictures of the procedural painter, which draws the same scene at any size: 512 × 768 pixels, four times the demo's frames. {verdict}

{figures_of(results)}

This page and its picture are written by one command, which ends with exit code 1 when a bar is missed:

```
{COMMAND}
```

In the tables, two numbers are *full size / Lanczos alone*. PSNR is at most 70 dB. The gradient error is the mean absolute error of the differences between neighbouring pixels. The last column is the mean absolute error where the true state is still white and the finished picture is not: what shows too early.

## Ideal frames

What a perfect model would make: the true states, scaled down. {_flicker(results.ideal)}

{stage_table(results.ideal.frames)}

## The demo's keyframes

With the settings of `5 Faster and a little rougher`, through *Predict Keyframes*, *Arrange Keyframes* and *Full Size*. Most of their error is the demo's own, which no enlarging mends.

{stage_table(results.keyframes.frames)}

![Lanczos, full size and the true state of a part of three pictures](pictures/full_size.png)

Parts of the first pictures at their own size, at three operation steps: the demo's keyframe enlarged by Lanczos, at full size, and the true state.

## The demo's segments

{results.segment_count} segments between true states, from the finished picture to step 400: most of the picture's detail appears there, and the video passes into the exact picture over the last frames. {_flicker(results.segments)}

{stage_table(results.segments.frames)}
"""


def _flicker(kind: Collected) -> str:
    full, plain, truth = kind.mean_flicker()
    return (
        f"Flicker (mean absolute second difference in time): {full:.5f}, by Lanczos alone {plain:.5f}, "
        f"of the true states {truth:.5f}."
    )


def sheet(shown: list[Made]) -> Image.Image:
    """Draw a part of each picture: a row of Lanczos, full size and truth for each, three operation steps side by side."""
    places = (0, 1, 2)
    columns = [
        f"step {shown[0].steps[place]}: {name}"
        for place in places
        for name in ("Lanczos", "full size", "truth")
    ]
    tile = CUT + MARGIN_PX
    size = (GUTTER_PX + len(columns) * tile, TEXT_PX + MARGIN_PX + len(shown) * tile)
    image = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    for column, text in enumerate(columns):
        draw.text((GUTTER_PX + column * tile, MARGIN_PX), text, fill=TEXT, font=font)
    for row, made in enumerate(shown):
        top = TEXT_PX + MARGIN_PX + row * tile
        draw.text((MARGIN_PX, top + CUT // 2), f"picture {row}", fill=TEXT, font=font)
        plain = lanczos(made.small, made.truth)
        y, x = _liveliest(made.finished)
        tiles = [
            frames[place][y : y + CUT, x : x + CUT]
            for place in places
            for frames in (plain, made.large, made.truth)
        ]
        for column, part in enumerate(tiles):
            pixels = (part * 255).round().byte().numpy()
            image.paste(Image.fromarray(pixels), (GUTTER_PX + column * tile, top))
    return image


def _liveliest(picture: Tensor) -> tuple[int, int]:
    """Return the top left corner of the part with the most detail."""
    edges = picture.diff(dim=0)[:, :-1].abs().sum(-1) + picture.diff(dim=1)[:-1].abs().sum(-1)
    sums = np.pad(edges.double().numpy().cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    parts = sums[CUT:, CUT:] - sums[:-CUT, CUT:] - sums[CUT:, :-CUT] + sums[:-CUT, :-CUT]
    y, x = np.unravel_index(int(parts.argmax()), parts.shape)
    return int(y), int(x)
