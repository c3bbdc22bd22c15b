"""Pictures going in and coming out: any picture file to a plain RGB one, and a video to a sheet of its frames."""

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_SIDE_PX = 2048
SHEET_COLUMNS, SHEET_FRAMES = 4, 12
SHEET_FRAME_PX = 256  # longer side of a frame in the sheet
SHEET_MARGIN_PX = 12


class PictureError(ValueError):
    """A file is no picture that can be read."""


def load_picture(path: Path, longest_side_px: int = LONGEST_SIDE_PX) -> "Image":
    """Read a picture of any size and mode as upright 8-bit RGB.

    Transparency is laid on white, an animation gives its first frame, and a picture with a side longer than
    `longest_side_px` is scaled down (the models work at about 512 x 640).

    Raises:
        PictureError: there is no such file, or it is no picture.
    """
    from PIL import Image, ImageOps

    # The limit guards servers against files of strangers; this is the user's own file.
    Image.MAX_IMAGE_PIXELS = None
    try:
        with Image.open(path) as image:
            image.draft(
                image.mode, (longest_side_px, longest_side_px)
            )  # JPEG decodes smaller, and much faster
            picture = to_rgb(ImageOps.exif_transpose(image))
            picture.thumbnail((longest_side_px, longest_side_px), Image.Resampling.LANCZOS)
            return picture
    except FileNotFoundError:
        raise PictureError(f"There is no file {path}.") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError(
            f"{path} cannot be read as a picture: {error}. PNG, JPEG, WebP, TIFF, BMP and GIF can."
        ) from error


def to_rgb(image: "Image") -> "Image":
    """Convert any mode to RGB; transparency is laid on white."""
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _to_eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _to_eight_bits(image: "Image") -> "Image":
    import numpy as np
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    # Integers are 16 bits wide in all files that Pillow opens in these modes; floats are in [0, 1] by custom.
    top = 1.0 if image.mode == "F" and values.max() <= 1 else 65535.0
    return Image.fromarray((values / top * 255).round().clip(0, 255).astype(np.uint8))


def png_bytes(image: "Image") -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def read_frames(files: list[Path]) -> Iterator[tuple[float, "Image"]]:
    """Frames of a video or GIF with their times in seconds, or those of several pictures with their numbers."""
    from PIL import Image

    if len(files) > 1 or files[0].suffix.lower() == ".png":
        for number, file in enumerate(files, start=1):
            with Image.open(file) as image:
                yield float(number), image.convert("RGB")
        return
    import av

    with av.open(str(files[0])) as container:
        for frame in container.decode(video=0):
            yield frame.time or 0.0, frame.to_image()


def contact_sheet(files: list[Path], target: Path, count: int = SHEET_FRAMES) -> Path:
    """Write a PNG with frames of a video in playing order, evenly spread, first and last among them.

    Args:
        files: the video file, or the pictures of a sequence in order.
        target: the PNG file.
        count: frames in the sheet.
    """
    from PIL import Image, ImageDraw, ImageFont

    total = sum(1 for _ in read_frames(files))
    chosen = spread(total, count)
    tiles: list[tuple[float, Image.Image]] = []
    for index, (time, frame) in enumerate(read_frames(files)):
        if index in chosen:
            frame.thumbnail((SHEET_FRAME_PX, SHEET_FRAME_PX), Image.Resampling.LANCZOS)
            tiles.append((time, frame))
    width, height = tiles[0][1].size
    label_px = 18
    columns = min(SHEET_COLUMNS, len(tiles))
    rows = math.ceil(len(tiles) / columns)
    step_x, step_y = width + SHEET_MARGIN_PX, height + label_px + SHEET_MARGIN_PX
    # Light grey, so that the blank canvas shows as a sheet of paper.
    size = (columns * step_x + SHEET_MARGIN_PX, rows * step_y + SHEET_MARGIN_PX)
    sheet = Image.new("RGB", size, (226, 226, 226))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    unit = "s" if len(files) == 1 else ""
    for index, (time, tile) in enumerate(tiles):
        x = SHEET_MARGIN_PX + index % columns * step_x
        y = SHEET_MARGIN_PX + index // columns * step_y
        sheet.paste(tile, (x, y))
        text = f"{time:.1f} {unit}" if unit else f"{time:.0f}"
        draw.text((x, y + height + 3), text, fill=(70, 70, 70), font=font)
    sheet.save(target)
    return target


def spread(total: int, count: int) -> list[int]:
    """Up to `count` indices of `total` things, evenly spread, first and last among them."""
    if total <= count:
        return list(range(total))
    return [round(index * (total - 1) / (count - 1)) for index in range(count)]
