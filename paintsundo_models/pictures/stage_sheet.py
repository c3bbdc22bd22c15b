"""A sheet of pictures with a line of text below each: the stages of a painting, to look at, to print and to teach with.

Works on Pillow's pictures and knows no tensors: the command line makes its sheet of frames with it, without the host's
models.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..operation_steps import parse_operation_steps
from .fonts import FontFace, fonts_for

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

OWN_SIZE = "as the pictures"
SCREEN = "screen (1920 pixels wide)"
A4 = "A4 (300 dpi)"
LETTER = "Letter (300 dpi)"
SHEET_SIZES = (SCREEN, OWN_SIZE, A4, LETTER)
"""Sizes of a sheet; the first is the default."""

MAX_PICTURES = 100
MAX_SHEET_PIXELS = 400_000_000  # 5 GB as ComfyUI's picture
MAX_TITLE_LINES, MAX_LABEL_LINES = 2, 3

_SCREEN_WIDTH = 1920
_PAGES = {A4: (2480, 3508), LETTER: (2550, 3300)}
_PROBE_PX = 100  # size of letters at which lines are counted
_SMALLEST_ON_PAGE = 64  # pixels: half a centimetre
_SCREEN_ASPECT = 1.5  # of a sheet whose columns are chosen here
_GREY, _PAPER, _FRAME, _INK = (226, 226, 226), (255, 255, 255), (190, 190, 190), (60, 60, 60)


# From this operation step on, what is left of a picture; the steps are those of the README's table.
_STAGES = (
    (999, "first stroke"),
    (900, "rough sketch"),
    (700, "line art"),
    (300, "flat colours"),
    (1, "shading"),
    (0, "finished"),
)
CANVAS_LABEL = "white canvas"


@dataclass(frozen=True)
class _Layout:
    """Places on a sheet, in pixels."""

    columns: int
    rows: int
    tile: tuple[int, int]
    margin: int
    label_px: int
    label_height: int
    title_px: int
    title_height: int

    @property
    def step(self) -> tuple[int, int]:
        return self.tile[0] + self.margin, self.tile[1] + self.label_height + self.margin

    @property
    def size(self) -> tuple[int, int]:
        return (
            self.columns * self.step[0] + self.margin,
            self.rows * self.step[1] + self.margin + self.title_height,
        )


def step_labels(operation_steps: str, count: int) -> list[str]:
    """Name the stage of each picture by its operation step, in undo order.

    Args:
        operation_steps: of the pictures, such as "400, 800, 999".
        count: of pictures: one for each step, or one more where the finished picture comes first, or two more where the
            white canvas comes last too, as Arrange Keyframes puts them.

    Raises:
        ValueError: no operation steps, or another count.
    """
    steps = parse_operation_steps(operation_steps)
    more = count - len(steps)
    if not 0 <= more <= 2:
        raise ValueError(
            f"operation_steps has {len(steps)} steps, and there are {count} pictures. Give the step of each keyframe; the "
            "finished picture and the white canvas that Arrange Keyframes adds need none."
        )
    named = [f"{next(name for first, name in _STAGES if step >= first)} ({step})" for step in steps]
    return [*["finished"][:more], *named, *[CANVAS_LABEL][: max(0, more - 1)]]


def written_labels(labels: str, count: int) -> list[str]:
    """Split a text into one label a line, for so many pictures; the last may be left out.

    Raises:
        ValueError: more lines than pictures.
    """
    lines = labels.strip("\n").split("\n")
    if len(lines) > count:
        raise ValueError(
            f"labels has {len(lines)} lines, and the sheet shows {count} pictures. Write one line for each."
        )
    return [*lines, *[""] * (count - len(lines))]


def spread(total: int, count: int) -> list[int]:
    """Return up to `count` indices of `total` things, evenly spread, first and last among them."""
    if total <= count:
        return list(range(total))
    return [round(index * (total - 1) / max(1, count - 1)) for index in range(count)]


def check_texts(texts: Sequence[str]) -> None:
    """Check that this computer can draw the texts.

    Raises:
        ValueError: no font has the letters.
    """
    fonts_for([text for text in texts if text.strip()])


def draw_sheet(
    pictures: Sequence["Image"],
    labels: Sequence[str],
    title: str = "",
    columns: int = 0,
    size: str = OWN_SIZE,
) -> "Image":
    """Draw pictures in rows, each with its label below.

    Args:
        pictures: RGB, 1 to 100, all of one size.
        labels: one a picture, in any script; long ones are broken into up to three lines.
        title: above all of them; "" for none.
        columns: pictures in a row; 0 chooses.
        size: one of SHEET_SIZES. "as the pictures" scales nothing.

    Returns:
        RGB. On a screen's sheet the ground is light grey, on paper white, so that a white canvas is seen either way.

    Raises:
        ValueError: no pictures or too many, a sheet of over MAX_SHEET_PIXELS, or no font has the letters.
    """
    from PIL import Image, ImageDraw

    if not 1 <= len(pictures) <= MAX_PICTURES:
        raise ValueError(f"A sheet holds 1 to {MAX_PICTURES} pictures; got {len(pictures)}.")
    faces = fonts_for([title, *labels])
    layout, wanted = _fit(_Content(pictures[0].size, labels, title, faces), columns, size)
    if wanted[0] * wanted[1] > MAX_SHEET_PIXELS:
        raise ValueError(
            f"The sheet would have {wanted[0]:,} x {wanted[1]:,} pixels, and may have {MAX_SHEET_PIXELS // 10**6} million. "
            f'Choose "{SCREEN}" or a page as size, fewer pictures, or more columns.'
        )
    is_page = size in _PAGES
    sheet = Image.new("RGB", wanted, _PAPER if is_page else _GREY)
    draw = ImageDraw.Draw(sheet)
    left = (wanted[0] - layout.size[0]) // 2
    if title:
        font = faces[0].at(layout.title_px)
        width = wanted[0] - 2 * layout.margin
        _draw_lines(
            draw, wrap(title, font, width, MAX_TITLE_LINES), font, (layout.margin, layout.margin), width
        )
    for index, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x = left + layout.margin + index % layout.columns * layout.step[0]
        y = layout.title_height + layout.margin + index // layout.columns * layout.step[1]
        tile = (
            picture if picture.size == layout.tile else picture.resize(layout.tile, Image.Resampling.LANCZOS)
        )
        sheet.paste(tile, (x, y))
        if is_page:
            draw.rectangle(
                (x - 2, y - 2, x + layout.tile[0] + 1, y + layout.tile[1] + 1), outline=_FRAME, width=2
            )
        font = faces[index + 1].at(layout.label_px)
        lines = wrap(label, font, layout.tile[0], MAX_LABEL_LINES)
        _draw_lines(
            draw, lines, font, (x, y + layout.tile[1] + round(layout.label_px * 0.25)), layout.tile[0]
        )
    return sheet


@dataclass(frozen=True)
class _Content:
    """What goes on a sheet: the size of each picture, the texts, and the title's font before those of the labels."""

    picture: tuple[int, int]
    labels: Sequence[str]
    title: str
    faces: list[FontFace]


def _fit(content: _Content, columns: int, size: str) -> tuple[_Layout, tuple[int, int]]:
    """Return the layout and the size of the sheet."""
    count = len(content.labels)
    choices = [min(columns, count)] if columns else range(1, count + 1)
    if size in _PAGES:
        page = _PAGES[size]
        fitting = [
            (layout, turned)
            for turned in (page, (page[1], page[0]))
            for number in choices
            if (layout := _largest(content, number, turned)) is not None
        ]
        if not fitting:
            raise ValueError(f"{count} pictures do not fit on {size}. Choose another size, or fewer of them.")
        return max(fitting, key=lambda fit: fit[0].tile[0])

    def badness(layout: _Layout) -> tuple[float, int]:
        empty = layout.columns * layout.rows - count
        return abs(math.log(layout.size[0] / layout.size[1] / _SCREEN_ASPECT)) + 0.1 * empty, layout.columns

    if size == SCREEN:
        layouts = [_layout(content, number, _tile_width(content, number)) for number in choices]
        best = min(layouts, key=badness)
        return best, (_SCREEN_WIDTH, best.size[1])
    layouts = [_layout(content, number, content.picture[0]) for number in choices]
    best = min(layouts, key=badness)
    return best, best.size


def _tile_width(content: _Content, columns: int) -> int:
    margin = max(1.0, content.picture[1] / content.picture[0]) / 20  # for each pixel of the picture's width
    return max(16, math.floor(_SCREEN_WIDTH / (columns + (columns + 1) * margin)))


def _largest(content: _Content, columns: int, page: tuple[int, int]) -> _Layout | None:
    """Return the layout with the largest pictures that fit on a page; None where even small ones do not."""
    low, high = 0, page[0]
    while high - low > 4:
        middle = (low + high) // 2
        layout = _layout(content, columns, middle)
        if layout.size[0] <= page[0] and layout.size[1] <= page[1]:
            low = middle
        else:
            high = middle
    return _layout(content, columns, low) if low >= _SMALLEST_ON_PAGE else None


def _layout(content: _Content, columns: int, tile_width: int) -> _Layout:
    tile = (tile_width, max(1, round(content.picture[1] * tile_width / content.picture[0])))
    margin = max(12, max(tile) // 20)
    label_px = max(13, round(tile_width * 0.06))
    title_face, *label_faces = content.faces
    lines = max(
        _line_count(label, face, tile_width / label_px, MAX_LABEL_LINES)
        for label, face in zip(content.labels, label_faces, strict=True)
    )
    title_px = max(20, round(label_px * 1.6))
    width = columns * (tile_width + margin) - margin
    title_lines = _line_count(content.title, title_face, width / title_px, MAX_TITLE_LINES)
    return _Layout(
        columns=columns,
        rows=math.ceil(len(content.labels) / columns),
        tile=tile,
        margin=margin,
        label_px=label_px,
        label_height=_height(label_px, lines),
        title_px=title_px,
        title_height=_height(title_px, title_lines) + (margin // 2 if title_lines else 0),
    )


def _line_count(text: str, face: FontFace, width: float, most: int) -> int:
    """Return how many lines a text takes in a width counted in heights of its letters."""
    # Hundreds of layouts are compared, most of them with letters in the same proportion to the pictures. Rounded
    # down: a line too many leaves a gap, one too few would run into the next picture.
    return _lines_at_probe(text, face, math.floor(width * _PROBE_PX / 10) * 10, most)


@functools.lru_cache(maxsize=4096)
def _lines_at_probe(text: str, face: FontFace, width_px: int, most: int) -> int:
    return len(wrap(text, face.at(_PROBE_PX), width_px, most))


def _height(size_px: int, lines: int) -> int:
    return math.floor(size_px * 1.4 * lines)


def wrap(text: str, font: "FreeTypeFont", width: float, most: int) -> list[str]:
    """Break a text into lines of at most `width` pixels: at spaces, and where there are none between any two letters.

    What is beyond the last line is cut, and an ellipsis says so.
    """
    lines: list[str] = []
    for paragraph in text.strip().splitlines():
        line = ""
        for piece in _pieces(paragraph, font, width):
            if line and font.getlength((line + piece).rstrip()) > width:
                lines.append(line.rstrip())
                line = piece.lstrip()
            else:
                line += piece
        lines.append(line.rstrip())
    if len(lines) > most:
        lines = lines[:most]
        while lines[-1] and font.getlength(lines[-1] + "…") > width:
            lines[-1] = lines[-1][:-1]
        lines[-1] += "…"
    return lines


def _pieces(text: str, font: "FreeTypeFont", width: float) -> list[str]:
    """Words with the space behind them; letters where a word alone is too long, as in scripts without spaces."""
    words = text.split(" ")
    spaced = [word + " " for word in words[:-1]] + words[-1:]
    return [
        piece
        for word in spaced
        for piece in ([word] if font.getlength(word.rstrip()) <= width else list(word))
    ]


def _draw_lines(
    draw: "ImageDraw", lines: list[str], font: "FreeTypeFont", place: tuple[int, int], width: int
) -> None:
    left, y = place
    for line in lines:
        # From the baseline: fonts of other scripts leave more room above their letters.
        x = left + (width - font.getlength(line)) / 2
        draw.text((x, y + font.size), line, fill=_INK, font=font, anchor="ls")
        y += round(font.size * 1.35)
