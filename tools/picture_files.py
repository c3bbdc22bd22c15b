"""Open picture files of every kind as ComfyUI's Load Image does, and convert their colours to sRGB by the profile inside."""

import contextlib
import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

Note = Callable[[str], None]

_PSD_HEADER = 26  # bytes before the sections with lengths


@contextlib.contextmanager
def cut_files_allowed() -> Iterator[None]:
    """Let Pillow open files that end too early or hold very long texts, which it else refuses."""
    from PIL import ImageFile

    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def upright(image: "Image", note: Note) -> "Image":
    """Turn a picture as its EXIF data say; data that make no sense are passed over."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except (struct.error, OSError, ValueError, TypeError, LookupError, SyntaxError) as error:
        note(f"Its EXIF data make no sense ({error}), so it is not turned.")
        return image


def in_srgb(image: "Image", note: Note) -> "Image":
    """Convert a picture with an embedded profile, such as Display P3, Adobe RGB or one of a printer, to sRGB; alpha is kept.

    A picture without a profile, or with one that cannot be read or is for other colours, stays as it is.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return image
    try:
        from PIL import ImageCms
    except ImportError:  # a Pillow that was built without Little CMS
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()  # pyright: ignore[reportAttributeAccessIssue]  declared as a file
        if image.mode in ("P", "PA", "RGBa", "La") or (image.mode == "L" and space == "RGB"):
            image = image.convert("RGBA" if image.mode != "L" else "RGB")
        alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
        mode = {"RGB": "RGB", "CMYK": "CMYK", "GRAY": "L", "Lab": "LAB"}.get(space)
        colours = image.convert(image.mode[:-1]) if alpha else image
        if mode is None or colours.mode != mode:
            return image
        converted = ImageCms.profileToProfile(
            colours, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        note(f"Its colour profile cannot be read ({error}), so its colours are taken for sRGB.")
        return image
    if converted is None:
        return image
    converted.info.pop("icc_profile", None)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def has_transparency(path: Path) -> bool:
    """Return whether the fourth channel of a PSD is its transparency, and not a selection that was saved in it.

    A negative number of layers says so (Adobe Photoshop File Formats Specification, "Layer info").
    """
    with path.open("rb") as file:
        file.seek(_PSD_HEADER)
        for _ in range(2):  # colour mode data, image resources
            (length,) = struct.unpack(">I", file.read(4))
            file.seek(length, io.SEEK_CUR)
        sections = file.read(10)
    if len(sections) < 10 or struct.unpack(">I", sections[:4])[0] == 0:
        return False
    return struct.unpack(">h", sections[8:])[0] < 0


def to_eight_bits(image: "Image") -> "Image":
    """Convert a grey picture of 16 or 32 bits or of floating-point numbers to 8 bits, by the range of its numbers."""
    import numpy as np
    from PIL import Image

    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        top = next((top for top in (1.0, 255.0, 65535.0) if values.max(initial=0.0) <= top), values.max())
    else:
        if values.dtype == np.int32 and values.min(initial=0) < 0:
            values = values.view(np.uint32)  # Pillow reads unsigned numbers of 32 bits as signed ones
        top = 65535.0 if values.max(initial=0) <= 65535 else 4294967295.0
    return Image.fromarray((values / top * 255).round().clip(0, 255).astype(np.uint8))
