"""The page about an evaluation, with its figures and contact sheets."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from . import evaluation as ev

SHEET_BYTES = 600_000
COLOURS = 256
MARGIN_PX, TEXT_PX, GUTTER_PX = 6, 16, 72
PAPER, TEXT = (226, 226, 226), (60, 60, 60)  # grey paper, so that a white canvas is visible
FRAMES_SHOWN = (0, 3, 6, 9, 12, 15)


@dataclass(frozen=True)
class Compared:
    """Predicted pictures and the true states that belong to them: uint8 (N, H, W, 3) each."""

    truth: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Results:
    """All measurements of an evaluation; scores and pictures are in the same order.

    Attributes:
        keyframes: scores of each picture's keyframes.
        keyframe_pictures: the keyframes of each picture.
        segments: scores of each segment.
        segment_pictures: the frames of each segment.
        deviations: comparisons with other settings, by what is compared and the name of the settings.
        command: the command that measures this.
        checkpoints: names of the single-frame and of the multi-frame checkpoint.
        sampling: the settings and the number of sampling steps, in words.
        resized: sizes of results that had to be scaled to the true states' size, in words.
    """

    keyframes: list[ev.KeyframeScores]
    keyframe_pictures: list[Compared]
    segments: list[ev.SegmentScores]
    segment_pictures: list[Compared]
    deviations: dict[tuple[str, str], list[ev.Deviation]]
    command: str
    checkpoints: tuple[str, str]
    sampling: str
    resized: tuple[str, ...]

    @property
    def figures(self) -> list[ev.Figure]:
        """Return all figures with their bars."""
        return ev.keyframe_figures(self.keyframes) + ev.segment_figures(self.segments)

    def as_json(self) -> str:
        """Return figures and scores of every picture and segment as a JSON document."""
        content = {
            "command": self.command,
            "checkpoints": self.checkpoints,
            "sampling": self.sampling,
            "resized": self.resized,
            "figures": [asdict(figure) for figure in self.figures],
            "keyframe_steps": ev.KEYFRAME_STEPS,
            "keyframes": [asdict(score) for score in self.keyframes],
            "segments": [asdict(score) for score in self.segments],
            "compared": {
                ", ".join(name): [asdict(deviation) for deviation in group]
                for name, group in self.deviations.items()
            },
        }
        return json.dumps(content, indent=1) + "\n"


def write(results: Results, output: Path) -> Path:
    """Write demo.md and its two pictures into a folder; return the page."""
    (output / "pictures").mkdir(parents=True, exist_ok=True)
    save_small(keyframe_sheet(results), output / "pictures" / "demo_keyframes.png")
    save_small(segment_sheet(results), output / "pictures" / "demo_segments.png")
    page = output / "demo.md"
    page.write_text(page_text(results), encoding="utf-8")
    return page


def page_text(results: Results) -> str:
    """Return the page in Markdown."""
    single, multi = results.checkpoints
    names = f"*{single}*" if single == multi else f"*{single}* and *{multi}*"
    missed = sum(not figure.is_met for figure in results.figures)
    verdict = "All bars are met." if not missed else f"{missed} of {len(results.figures)} bars missed."
    true_falls = ev.percent(fall for score in results.keyframes for fall in ev.not_rising(score.true_ink))
    scaled = ""
    if results.resized:
        scaled = f"\n\n**Note.** Results of another size were scaled to the true state's: {'; '.join(results.resized)}."
    return f"""# How well the demo checkpoint paints

{names}, measured on {len(results.keyframes)} pictures and {len(results.segments)} segments that it was not trained on. {verdict}

{ev.figure_table(results.figures)}

This command writes the page and its pictures. It ends with exit code 1 when a bar is missed:

```
{results.command}
```

Two more pages measure [videos at the size of the picture](full_size.md) and [how evenly a video changes](pace.md).

## How it is measured

The command starts a ComfyUI with the pack on the CPU, uploads pictures, runs the nodes, and compares the pictures that Save Image writes. The settings are {results.sampling}, without a prompt for the keyframes. Width and height are 0, so that the nodes choose among the sizes that the checkpoint was trained on.{scaled}

A program draws the pictures, stroke by stroke, so the true state at each operation step is known. Seed 0 draws the first one, seed 1 the second, and so on; the training begins at `first_seed` in `training/demo.json`. The pictures look like those of the training, so these figures do not say how well the demo paints other pictures.

- **PSNR** of a picture counts {ev.PSNR_MOST:g} dB at most. Otherwise a blank canvas that is exactly right would decide the mean.
- **Error** is the mean absolute difference of pixels from 0 to 1. Both pictures are blurred first (Gaussian, sigma {ev.BLUR_SIGMA_PX:g} pixels), unless the row or column says "nothing blurred".
- **Ink** is the share of pixels with a channel below {ev.INK_BELOW:g}. It should not rise from one keyframe to the next; "falls" does not count the pairs where it stays the same. In the true states it does not rise in {true_falls} of the pairs.
- **Segments** go from the true state at a lower step to the one at a higher step. There is one for each picture, and the pairs of steps of the default chain take turns. The **cross-fade**, to compare with, blends the first picture evenly into the last.

## Keyframes by step

{ev.step_table(results.keyframes)}

![True states above, keyframes below, at six steps](pictures/demo_keyframes.png)

The pictures with the lowest, the median and the highest error (mean of the steps {", ".join(map(str, ev.MIDDLE_STEPS))}).

## Segments by pair of steps

{ev.pair_table(results.segments)}

![True states above, frames below, of three segments](pictures/demo_segments.png)

The segments that did best, at the median, and worst against the cross-fade (their error minus the cross-fade's).
{_comparison(results)}"""


def _comparison(results: Results) -> str:
    if not results.deviations:
        return ""
    return f"""
## Against other settings

The first pictures and segments were made again with other settings. The table has the mean PSNR between both results, the mean absolute error of each against the true states (nothing blurred), and the time of sampling, decoding and saving, measured once. [speed.md](speed.md) has more settings on more pictures.

{ev.deviation_table(results.deviations)}
"""


def keyframe_sheet(results: Results) -> Image.Image:
    """Draw the contact sheet of the best, a typical and the worst picture's keyframes."""
    cases = []
    for name, place in ev.chosen_cases([score.middle_error for score in results.keyframes]):
        score = results.keyframes[place]
        label = f"{name}: picture {score.index}, error {score.middle_error:.4f}"
        cases.append((label, results.keyframe_pictures[place]))
    return sheet([f"step {step}" for step in ev.KEYFRAME_STEPS], cases)


def segment_sheet(results: Results) -> Image.Image:
    """Draw the contact sheet of the best, a typical and the worst segment."""
    cases = []
    for name, place in ev.chosen_cases([score.excess for score in results.segments]):
        score, pictures = results.segments[place], results.segment_pictures[place]
        label = (
            f"{name}: picture {score.index}, steps {score.pair[0]} to {score.pair[1]}, "
            f"error {score.error:.4f}, cross-fade's {score.fade_error:.4f}"
        )
        shown = list(FRAMES_SHOWN)
        cases.append((label, Compared(pictures.truth[shown], pictures.predicted[shown])))
    return sheet([f"frame {frame + 1}" for frame in FRAMES_SHOWN], cases)


def sheet(columns: Sequence[str], cases: Sequence[tuple[str, Compared]]) -> Image.Image:
    """Draw labelled cases one below the other: for each a row of true states and a row of predictions.

    Args:
        columns: headings.
        cases: label and pictures; both rows have as many pictures as there are columns.
    """
    tile_width = max(pictures.truth.shape[2] for _, pictures in cases) + MARGIN_PX
    heights = [2 * (pictures.truth.shape[1] + MARGIN_PX) + TEXT_PX + MARGIN_PX for _, pictures in cases]
    size = (
        GUTTER_PX + len(columns) * tile_width + MARGIN_PX,
        TEXT_PX + MARGIN_PX + sum(heights) + MARGIN_PX,
    )
    image = Image.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    for column, text in enumerate(columns):
        draw.text((GUTTER_PX + column * tile_width, MARGIN_PX), text, fill=TEXT, font=font)
    top = TEXT_PX + MARGIN_PX
    for (label, pictures), height in zip(cases, heights, strict=True):
        draw.text((MARGIN_PX, top + 2), label, fill=TEXT, font=font)
        y = top + TEXT_PX
        for name, row in (("truth", pictures.truth), ("prediction", pictures.predicted)):
            draw.text((MARGIN_PX, y + row.shape[1] // 2), name, fill=TEXT, font=font)
            for column, picture in enumerate(row):
                image.paste(Image.fromarray(picture), (GUTTER_PX + column * tile_width, y))
            y += row.shape[1] + MARGIN_PX
        top += height
    return image


def save_small(image: Image.Image, target: Path, most_bytes: int = SHEET_BYTES) -> None:
    """Save a PNG of at most `most_bytes`: as it is, else with a palette, else smaller and smaller."""
    data = png(image)
    scaled = image
    while len(data) > most_bytes:
        data = png(scaled.quantize(COLOURS, dither=Image.Dither.NONE))
        size = (round(scaled.width * 0.85), round(scaled.height * 0.85))
        scaled = scaled.resize(size, Image.Resampling.LANCZOS)
    target.write_bytes(data)


def png(image: Image.Image) -> bytes:
    """Return the contents of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
