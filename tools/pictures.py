"""Read any picture file as RGB, and make a contact sheet of the frames of a video."""

import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from paintsundo_models.pictures.stage_sheet import OWN_SIZE, draw_sheet, spread
from paintsundo_models.video.cover import COVER_SECONDS
from paintsundo_models.video.mark import add_png_texts

from .picture_files import Note, cut_files_allowed, has_transparency, in_srgb, to_eight_bits, upright
from .what_is import statement_of

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_SIDE_PX = 2048
SHEET_COLUMNS, SHEET_FRAMES = 4, 12
SHEET_FRAME_PX = 256  # longer side of a frame in the sheet

_BROKEN = (
    *(OSError, EOFError, SyntaxError, ValueError, ArithmeticError, LookupError, TypeError),
    *(struct.error, zlib.error),
)
"""What Pillow raises at broken files, by format."""


class PictureError(ValueError):
    """A file cannot be read as a picture."""


def load_picture(
    path: Path, longest_side_px: int = LONGEST_SIDE_PX, note: Note = lambda text: None
) -> "Image":
    """Read a picture of any size and mode as upright 8-bit RGB in sRGB.

    Transparent pictures are laid on white, of an animation the first frame is taken, and a picture with a side longer
    than `longest_side_px` is scaled down (the models work at about 512 x 640).

    Args:
        path: of the file.
        longest_side_px: largest side of the result.
        note: called with a sentence about what was wrong with the file, if the picture could be read all the same.

    Raises:
        PictureError: there is no such file, or it is no picture.
    """
    from PIL import Image

    # Pillow's limit protects servers from uploads of strangers; this is the user's own file.
    Image.MAX_IMAGE_PIXELS = None
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise PictureError(f"{path} is a folder or a device. Give a picture file.")
    try:
        try:
            return _opened(path, longest_side_px, note)
        except _BROKEN as error:
            if not path.is_file() or isinstance(error, Image.UnidentifiedImageError):
                raise
            with cut_files_allowed():
                picture = _opened(path, longest_side_px, note)
            if len(picture.getcolors(1) or []) == 1:  # not one pixel of it could be read
                raise
            note(f"It is damaged or cut short ({error}); what can be read of it is used.")
            return picture
    except FileNotFoundError:
        raise PictureError(f"There is no file {path}.") from None
    except MemoryError as error:
        raise PictureError(
            f"{path} does not fit into this computer's memory, or is damaged, so that it claims to be that large."
        ) from error
    except _BROKEN as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise PictureError(
            f"{path} cannot be read as a picture: {reason}. PNG, JPEG, WebP, TIFF, BMP and GIF can."
        ) from error


def _opened(path: Path, longest_side_px: int, note: Note) -> "Image":
    from PIL import Image

    with Image.open(path) as image:
        image.draft(image.mode, (longest_side_px, longest_side_px))  # JPEG decodes smaller, and much faster
        image.load()
        picture: Image.Image = image
        if image.format == "PSD" and image.mode == "RGBA" and not has_transparency(path):
            picture = image.convert("RGB")
        picture = to_rgb(in_srgb(upright(picture, note), note))
        picture.thumbnail((longest_side_px, longest_side_px), Image.Resampling.LANCZOS)
        return picture


def to_rgb(image: "Image") -> "Image":
    """Convert any mode to RGB; transparency is laid on white."""
    from PIL import Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = to_eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def png_bytes(image: "Image") -> bytes:
    """Return the picture as the content of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def read_frames(files: list[Path]) -> Iterator[tuple[float, "Image"]]:
    """Frames of a video or GIF with their times in seconds, or those of several pictures with their numbers.

    The cover of a painting video is left out, because it is not part of the painting process.
    """
    from PIL import Image

    if len(files) > 1 or files[0].suffix.lower() == ".png":
        for number, file in enumerate(files, start=1):
            with Image.open(file) as image:
                yield float(number), image.convert("RGB")
        return
    import av

    with av.open(str(files[0])) as container:
        decoded = container.decode(video=0)
        first_two = list(itertools.islice(decoded, 2))
        is_cover = len(first_two) == 2 and (first_two[1].time or 0.0) < 1.5 * COVER_SECONDS
        for frame in itertools.chain(first_two[is_cover:], decoded):
            yield frame.time or 0.0, frame.to_image()


def contact_sheet(files: list[Path], target: Path, count: int = SHEET_FRAMES) -> Path:
    """Write a PNG with frames of a video in playing order, evenly spread, first and last among them.

    It says of itself what the video says.

    Args:
        files: the video file, or the pictures of a sequence in order.
        target: the PNG file.
        count: frames in the sheet.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    total = sum(1 for _ in read_frames(files))
    chosen = spread(total, count)
    tiles: list[Image.Image] = []
    labels: list[str] = []
    for index, (time, frame) in enumerate(read_frames(files)):
        if index in chosen:
            frame.thumbnail((SHEET_FRAME_PX, SHEET_FRAME_PX), Image.Resampling.LANCZOS)
            tiles.append(frame)
            labels.append(f"{time:.1f} s" if len(files) == 1 else f"{time:.0f}")
    texts = PngInfo()
    statement = statement_of(files[0])
    if statement is not None:  # the sheet shows what the video shows
        add_png_texts(texts, statement)
    draw_sheet(tiles, labels, columns=SHEET_COLUMNS, size=OWN_SIZE).save(target, pnginfo=texts)
    return target
