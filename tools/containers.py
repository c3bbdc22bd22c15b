"""Texts that media files carry about themselves, read from their containers: MP4, WebM, GIF, PNG, JPEG, WebP.

Only what stands where the format puts it counts; the same words in a picture, in a workflow or in a text file are
nothing. Files are walked block by block and read where a text is, so memory stays small for any size of file.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

LONGEST_TEXT = 1 << 20
"""Bytes; a longer text is not read, as none of the statements is nearly as long."""

MOST_TEXTS = 64
"""More are not kept: files of ours have four."""

XMP_BOX_ID = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
C2PA_BOX_ID = bytes.fromhex("D8FEC3D61B0E483C92975828877EC481")
XMP = "XMP"
NAMES = (XMP, "comment", "description", "digital_source_type")
"""Names of the texts that are read."""

_COMMENTS = {b"\xa9cmt": "comment", b"\xa9des": "description", b"desc": "description"}  # as iTunes names them


class DamagedFileError(ValueError):
    """A file ends too early, or holds what its format does not allow."""


@dataclass
class Contents:
    """What was found in a file.

    Attributes:
        kind: of file, such as "MP4"; None where it is none that this module reads.
        texts: pairs of name and text, in the order of the file; "XMP" stands for a packet.
        has_credentials: it holds Content Credentials (C2PA).
        damage: why reading ended before the end of the file, as a sentence; "" where it did not.
    """

    kind: str | None = None
    texts: list[tuple[str, str]] = field(default_factory=list)
    has_credentials: bool = False
    damage: str = ""

    def add(self, name: str, data: bytes) -> None:
        """Keep a text, where its name is one of NAMES in any case."""
        name = name if name == XMP else name.lower()
        if name in NAMES and data and len(self.texts) < MOST_TEXTS:
            self.texts.append((name, data.decode("utf-8", "replace")))


def read_contents(path: Path) -> Contents:
    """Read the texts of a file, of what its bytes say it is; its name means nothing.

    Raises:
        OSError: it cannot be opened or read.
    """
    contents = Contents()
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        start = file.read(12)
        for kind, is_kind, read in _KINDS:
            if is_kind(start):
                contents.kind = kind
                try:
                    read(file, size, contents)
                except DamagedFileError as error:
                    contents.damage = str(error)
                break
    return contents


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise DamagedFileError("The file is cut short.")
    return data


def _number(file: BinaryIO, count: int, order: str = "big") -> int:
    return int.from_bytes(_exactly(file, count), "little" if order == "little" else "big")


def _text(file: BinaryIO, start: int, end: int) -> bytes:
    """Read from start to end; nothing where that is too long for a text."""
    if end - start > LONGEST_TEXT:
        return b""
    file.seek(start)
    return _exactly(file, max(0, end - start))


# MP4 and its relatives (MOV, M4V, 3GP, HEIC): boxes of length, name and content.


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box between two places."""
    while start + 8 <= end:
        file.seek(start)
        size, name, head = _number(file, 4), _exactly(file, 4), 8
        if size == 1:
            size, head = _number(file, 8), 16
        elif size == 0:
            size = end - start
        if size < head or start + size > end:
            raise DamagedFileError("The file is damaged or cut short: a part of it reaches beyond its end.")
        yield name, start + head, start + size
        start += size


def _read_mp4(file: BinaryIO, size: int, contents: Contents) -> None:
    for name, start, end in _boxes(file, 0, size):
        if name == b"uuid":
            box_id = _text(file, start, min(end, start + 16))
            if box_id == XMP_BOX_ID:
                contents.add(XMP, _text(file, start + 16, end))
            contents.has_credentials |= box_id == C2PA_BOX_ID
        elif name == b"moov":
            for inner, inner_start, inner_end in _boxes(file, start, end):
                if inner == b"udta":
                    _read_user_data(file, inner_start, inner_end, contents)
                elif inner == b"meta":
                    _read_meta(file, inner_start, inner_end, contents)


def _read_user_data(file: BinaryIO, start: int, end: int, contents: Contents) -> None:
    for name, inner_start, inner_end in _boxes(file, start, end):
        if name == b"meta":
            _read_meta(file, inner_start, inner_end, contents)
        elif name == b"XMP_":
            contents.add(XMP, _text(file, inner_start, inner_end))
        elif name in _COMMENTS:  # behind two bytes of length and two of language
            contents.add(_COMMENTS[name], _text(file, inner_start + 4, inner_end))


def _read_meta(file: BinaryIO, start: int, end: int, contents: Contents) -> None:
    if _text(file, start, min(end, start + 8))[4:] != b"hdlr":
        start += 4  # version and flags, which MOV files leave out
    keys: list[str] = []
    for name, inner_start, inner_end in _boxes(file, start, end):
        if name == b"keys" and inner_end - inner_start <= LONGEST_TEXT:
            keys = [
                _text(file, a, b).decode("utf-8", "replace")
                for _, a, b in _boxes(file, inner_start + 8, inner_end)
            ]
        elif name == b"ilst":
            for item, item_start, item_end in _boxes(file, inner_start, inner_end):
                number = int.from_bytes(item, "big")
                label = keys[number - 1] if 1 <= number <= len(keys) else _COMMENTS.get(item)
                if label is not None:
                    _read_item(file, item_start, item_end, label, contents)


def _read_item(file: BinaryIO, start: int, end: int, label: str, contents: Contents) -> None:
    for name, inner_start, inner_end in _boxes(file, start, end):
        if name == b"data":  # behind its type and its language
            contents.add(label, _text(file, inner_start + 8, inner_end))


# WebM and Matroska: elements of number, length and content, both of variable width.

_SEGMENT, _TAGS, _TAG, _SIMPLE_TAG, _TAG_NAME, _TAG_TEXT = (
    0x18538067,
    0x1254C367,
    0x7373,
    0x67C8,
    0x45A3,
    0x4487,
)
_DESCENDED = {_SEGMENT, _TAGS, _TAG, _SIMPLE_TAG}


def _variable(file: BinaryIO, is_length: bool) -> int | None:
    """A number of variable width; None for the length that means "unknown"."""
    first = _number(file, 1)
    width = 9 - first.bit_length()
    if width > 8:
        raise DamagedFileError("The file is damaged: a length in it is none.")
    value = first << 8 * (width - 1) | _number(file, width - 1)
    if not is_length:
        return value
    mask = (1 << 7 * width) - 1
    return None if value & mask == mask else value & mask


def _read_webm(file: BinaryIO, size: int, contents: Contents) -> None:
    name = ""
    position = 0
    while position < size:
        file.seek(position)
        element, length = _variable(file, is_length=False), _variable(file, is_length=True)
        start = file.tell()
        # Content of unknown length (live recordings) is walked like what surrounds it.
        if element in _DESCENDED or length is None:
            if length is not None and start + length > size:
                contents.damage = "The file is cut short."
            position = start
            continue
        if start + length > size:
            raise DamagedFileError("The file is damaged or cut short: a part of it reaches beyond its end.")
        if element == _TAG_NAME:
            name = _text(file, start, start + length).decode("utf-8", "replace").rstrip("\0")
        elif element == _TAG_TEXT and name:
            contents.add(name, _text(file, start, start + length).rstrip(b"\0"))
        position = start + length


# GIF: frames and extensions, both in blocks of at most 255 bytes.

_GIF_TRAILER_LENGTH = 257


def _read_gif(file: BinaryIO, size: int, contents: Contents) -> None:
    file.seek(0)
    head = _exactly(file, 13)
    _skip_palette(file, head[10])
    while (kind := _number(file, 1)) != 0x3B:
        if kind == 0x2C:
            _skip_palette(file, _exactly(file, 9)[8])
            _exactly(file, 1)
            _blocks(file)
        elif kind == 0x21:
            _read_extension(file, contents)
        else:
            raise DamagedFileError("The file is damaged: between its frames stands what no GIF has there.")


def _skip_palette(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        _exactly(file, 3 << (flags & 7) + 1)


def _read_extension(file: BinaryIO, contents: Contents) -> None:
    label = _number(file, 1)
    if label == 0xFE:
        contents.add("comment", _blocks(file))
        return
    if label != 0xFF:
        _blocks(file)
        return
    application = _exactly(file, _number(file, 1))
    contents.has_credentials |= application.startswith(b"C2PA_GIF")
    if application != b"XMP DataXMP":
        _blocks(file)
        return
    # The packet is not cut into blocks, so its letters were taken for lengths: both together are the packet. Behind it
    # stand the bytes that lead a reader of blocks to the end, whichever of them it meets first.
    contents.add(XMP, _blocks(file, with_lengths=True)[:-_GIF_TRAILER_LENGTH])


def _blocks(file: BinaryIO, with_lengths: bool = False) -> bytes:
    """The content of blocks up to the empty one; what is beyond the longest text is left out."""
    content = bytearray()
    while length := _number(file, 1):
        block = _exactly(file, length)
        if len(content) <= LONGEST_TEXT:
            content += bytes([length]) + block if with_lengths else block
    return bytes(content)


# PNG: chunks of length, name, content and checksum.


def _read_png(file: BinaryIO, size: int, contents: Contents) -> None:
    position, name = 8, b""
    while name != b"IEND":
        file.seek(position)
        length, name = _number(file, 4), _exactly(file, 4)
        if position + 12 + length > size:
            raise DamagedFileError("The file is cut short.")
        contents.has_credentials |= name == b"caBX"
        if name in (b"tEXt", b"iTXt", b"zTXt") and length <= LONGEST_TEXT:
            data = _exactly(file, length)
            if zlib.crc32(name + data) != _number(file, 4):
                raise DamagedFileError("The file is damaged: the checksum of one of its texts is wrong.")
            _add_png_text(name, data, contents)
        position += 12 + length


def _add_png_text(name: bytes, data: bytes, contents: Contents) -> None:
    keyword, _, rest = data.partition(b"\0")
    label = keyword.decode("latin-1")
    is_packed = name == b"zTXt"
    if is_packed:
        rest = rest[1:]
    elif name == b"iTXt":
        is_packed = rest[:1] == b"\1"
        rest = rest[2:].split(b"\0", 2)[-1]  # behind language and translated keyword
    if is_packed:
        try:
            rest = zlib.decompressobj().decompress(rest, LONGEST_TEXT)
        except zlib.error as error:
            raise DamagedFileError("The file is damaged: one of its texts cannot be unpacked.") from error
    contents.add(XMP if label == "XML:com.adobe.xmp" else label, rest)


# JPEG: segments up to the picture itself.


def _read_jpeg(file: BinaryIO, size: int, contents: Contents) -> None:
    position = 2
    while True:
        file.seek(position)
        while (mark := _exactly(file, 2)) == b"\xff\xff":  # fillers
            file.seek(-1, 1)
        if mark[0] != 0xFF:
            raise DamagedFileError("The file is damaged: a segment of it begins where none can.")
        if mark[1] in (0xD9, 0xDA):
            return
        if mark[1] == 0x01 or 0xD0 <= mark[1] <= 0xD8:
            position = file.tell()
            continue
        start = file.tell()
        length = _number(file, 2)
        data = _exactly(file, max(0, length - 2))
        if mark[1] == 0xE1 and data.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            contents.add(XMP, data.split(b"\0", 1)[1])
        elif mark[1] == 0xFE:
            contents.add("comment", data)
        contents.has_credentials |= mark[1] == 0xEB and b"jumb" in data[:64]
        position = start + max(2, length)


# WebP: chunks of name, length and content, each at an even place.


def _read_webp(file: BinaryIO, size: int, contents: Contents) -> None:
    position = 12
    while position + 8 <= size:
        file.seek(position)
        name, length = _exactly(file, 4), _number(file, 4, "little")
        if position + 8 + length > size:
            raise DamagedFileError("The file is cut short.")
        if name == b"XMP ":
            contents.add(XMP, _text(file, position + 8, position + 8 + length))
        contents.has_credentials |= name == b"C2PA"
        position += 8 + length + length % 2


_KINDS: tuple[tuple[str, Callable[[bytes], bool], Callable[[BinaryIO, int, Contents], None]], ...] = (
    ("MP4", lambda start: start[4:8] in (b"ftyp", b"moov", b"wide"), _read_mp4),
    ("WebM", lambda start: start.startswith(b"\x1a\x45\xdf\xa3"), _read_webm),
    ("GIF", lambda start: start[:6] in (b"GIF87a", b"GIF89a"), _read_gif),
    ("PNG", lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"), _read_png),
    ("JPEG", lambda start: start.startswith(b"\xff\xd8\xff"), _read_jpeg),
    ("WebP", lambda start: start[:4] == b"RIFF" and start[8:12] == b"WEBP", _read_webp),
)
