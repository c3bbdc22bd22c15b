"""The statement in every saved file that its content is AI-made: a plain sentence and IPTC's digital source type.

A painting video looks like the recording of a person at work, but it is not one. So every file states this, independent of the
workflow inside them: MP4 by metadata keys and XMP, WebM by tags, GIF by a comment and XMP, PNG by texts and XMP.
Standard library only: the command that reads the statement back runs without the host.

Source: IPTC NewsCodes "Digital Source Type"; XMP Specification part 3 (where the packet goes in MP4, GIF and PNG).
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

SENTENCE = "AI-simulated painting process made with PaintsUndo, not a recording"
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""Start of the address of every digital source type."""

IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
SOURCE_TYPE_KEY = "digital_source_type"
PNG_XMP_KEYWORD = "XML:com.adobe.xmp"
GIF_XMP_APPLICATION = b"XMP DataXMP"
XMP_BOX_ID = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")


@dataclass(frozen=True)
class Statement:
    """The statement of one file.

    Attributes:
        source_type: address of IPTC's digital source type.
        sentence: the same for people.
    """

    source_type: str
    sentence: str = SENTENCE


BY_MODELS = Statement(SOURCE_TYPES + "trainedAlgorithmicMedia")
"""Every frame comes from the models."""

WITH_PICTURE = Statement(SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia")
"""The finished frame is the picture that was given, the others come from the models."""


def tags(statement: Statement) -> dict[str, str]:
    """Return the metadata of a video file, by name."""
    return {
        "comment": statement.sentence,
        "description": statement.sentence,
        SOURCE_TYPE_KEY: statement.source_type,
    }


def xmp_packet(statement: Statement) -> str:
    """Return the XMP packet that says the statement: dc:description and Iptc4xmpExt:DigitalSourceType."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        f' xmlns:Iptc4xmpExt="{IPTC_EXTENSION}">'
        f"<Iptc4xmpExt:DigitalSourceType>{escape(statement.source_type)}</Iptc4xmpExt:DigitalSourceType>"
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(statement.sentence)}</rdf:li></rdf:Alt>'
        "</dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="r"?>'
    )


def add_png_texts(texts: "PngInfo", statement: Statement) -> None:
    """Add the sentence and the packet to the texts of a PNG file."""
    texts.add_text("Comment", statement.sentence)
    texts.add_itxt(PNG_XMP_KEYWORD, xmp_packet(statement))


def complete_file(path: Path, statement: Statement) -> None:
    """Add to a finished MP4 or GIF file what ffmpeg cannot write; other files stay as they are.

    Raises:
        ValueError: a file that ends in .gif is none.
    """
    if path.suffix == ".mp4":
        _append_mp4_xmp(path, statement)
    elif path.suffix == ".gif":
        _insert_gif_statement(path, statement)


def _append_mp4_xmp(path: Path, statement: Statement) -> None:
    """Add the packet as a box behind the last one, so that no offset in the file changes."""
    content = XMP_BOX_ID + xmp_packet(statement).encode()
    with path.open("ab") as file:
        file.write((8 + len(content)).to_bytes(4, "big") + b"uuid" + content)
        # An empty box ends the file: ComfyUI's page does not look for boxes in the last 8 bytes.
        file.write((8).to_bytes(4, "big") + b"free")


def _insert_gif_statement(path: Path, statement: Statement) -> None:
    """Put the comment and the packet before the first frame, behind the block that makes the GIF loop.

    Readers take a comment that comes later for one of a single frame.
    """
    marked = path.with_name(f"{path.name}.marked")
    with path.open("rb") as source, marked.open("wb") as target:
        target.write(_gif_head(source))
        target.write(_gif_statement(statement))
        shutil.copyfileobj(source, target)
    marked.replace(path)


def _gif_head(file: BinaryIO) -> bytes:
    """Read header, global palette and the loop block, if there is one; the file then stands behind them."""
    head = file.read(13)
    if len(head) < 13 or head[:6] != b"GIF89a":
        raise ValueError("This file is no GIF89a, so no statement can be put into it.")
    if head[10] & 0x80:
        head += file.read(3 << (head[10] & 7) + 1)
    loop = file.read(19)
    if loop[:14] == b"\x21\xff\x0bNETSCAPE2.0":
        return head + loop
    file.seek(len(head))
    return head


def _gif_statement(statement: Statement) -> bytes:
    sentence = statement.sentence.encode("ascii")
    # The packet is not cut into blocks, so readers of blocks take its letters for lengths. Wherever they come into this
    # trailer, the bytes that count down lead them to the zero at its end.
    trailer = bytes([1, *range(255, -1, -1), 0])
    comment = b"\x21\xfe" + bytes([len(sentence)]) + sentence + b"\x00"
    return comment + b"\x21\xff\x0b" + GIF_XMP_APPLICATION + xmp_packet(statement).encode() + trailer
