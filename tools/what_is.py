"""What a media file says of how it was made: `python paint.py --what-is FILE`. Standard library only.

It finds statements that a file makes in the places made for them (see `containers`). Where there is none, nothing
follows: every copy, upload or edit may have lost it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from paintsundo_models.video.mark import (
    IPTC_EXTENSION,
    SENTENCE,
    SOURCE_TYPE_KEY,
    SOURCE_TYPES,
    Statement,
)

from .command import CommandError
from .containers import XMP, Contents, read_contents

MEANINGS = {
    "trainedAlgorithmicMedia": "made by a generative AI model",
    "compositeWithTrainedAlgorithmicMedia": "partly made by a generative AI model",
    "compositeSynthetic": "put together, with synthetic parts",
    "algorithmicMedia": "made by an algorithm without training data",
    "algorithmicallyEnhanced": "changed by an algorithm",
    "digitalCapture": "recorded by a camera",
    "computationalCapture": "recorded by a camera that combined several exposures",
    "digitalCreation": "made by a person with digital tools",
    "digitalArt": "made by a person with digital tools",
    "humanEdits": "edited by a person",
    "screenCapture": "recorded from a screen",
    "composite": "put together from several sources",
}
_SHOWN_LETTERS = 200
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"


@dataclass
class Findings:
    """The statements in a file.

    Attributes:
        sentences: our plain sentence, where it is there.
        source_types: IPTC's digital source types, without the address before the name.
        places: where they stand.
    """

    sentences: list[str] = field(default_factory=list)
    source_types: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def note(self, values: list[str], value: str, place: str) -> None:
        """Keep a value and its place, each once."""
        for known, new in ((values, value), (self.places, place)):
            if new not in known:
                known.append(new)


def describe(path: Path) -> str:
    """Say what a file says of itself, in a few lines.

    Raises:
        CommandError: there is no such file, or it cannot be read.
    """
    if path.is_dir():
        raise CommandError(f"{path} is a folder. Give one of the files in it.")
    if path.exists() and not path.is_file():  # opening a pipe would wait for ever
        raise CommandError(f"{path} is a device. Give a file.")
    try:
        contents = read_contents(path)
    except FileNotFoundError as error:
        raise CommandError(f"There is no file {path}.") from error
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    findings = find_statements(contents)
    name = _plain(path.name)
    lines = [f"{name} says:"]
    lines += [f"  {sentence}" for sentence in findings.sentences]
    for source_type in findings.source_types:
        meaning = MEANINGS.get(source_type)
        lines.append(f"  digital source type: {source_type}" + (f" ({meaning})" if meaning else ""))
    if findings.places:
        lines.append(f"  read from: {contents.kind}, {', '.join(findings.places)}")
    else:
        lines = [f"{name}: no statement found. {_why_none(contents)}"]
    if contents.damage:
        lines.append(f"  {contents.damage} Only what stands before that was read.")
    if contents.has_credentials:
        lines.append("  It holds Content Credentials (C2PA), which this command does not check.")
    return "\n".join(lines)


def find_statements(contents: Contents) -> Findings:
    """Return the statements among the texts of a file."""
    findings = Findings()
    for place, text in contents.texts:
        values = _read_xmp(text) if place == XMP else [(place, text)]
        for name, value in values:
            if name == SOURCE_TYPE_KEY and value.startswith(SOURCE_TYPES):
                findings.note(findings.source_types, _plain(value.removeprefix(SOURCE_TYPES)), place)
            elif name != SOURCE_TYPE_KEY and value.strip() == SENTENCE:
                findings.note(findings.sentences, SENTENCE, place)
    return findings


def statement_of(path: Path) -> Statement | None:
    """Return the statement that a file of ours makes; None for any other file."""
    findings = find_statements(read_contents(path))
    if not findings.sentences or not findings.source_types:
        return None
    return Statement(SOURCE_TYPES + findings.source_types[0])


def _read_xmp(packet: str) -> list[tuple[str, str]]:
    """Descriptions and digital source types of an XMP packet; none where it cannot be read."""
    if "<!" in packet.replace("<!--", ""):  # no packet declares anything, and declarations can blow up memory
        return []
    try:
        root = ElementTree.fromstring(packet.strip("\ufeff\0 \t\r\n"))
    except ElementTree.ParseError:
        return []
    source_type = f"{{{IPTC_EXTENSION}}}DigitalSourceType"
    values: list[tuple[str, str]] = []
    for element in root.iter():
        if element.tag == source_type:
            values.append((SOURCE_TYPE_KEY, (element.get(f"{_RDF}resource") or element.text or "").strip()))
        elif element.tag == _DESCRIPTION:
            values += [("description", part.text or "") for part in element.iterfind(f"{_RDF}Alt/{_RDF}li")]
        if source_type in element.attrib:
            values.append((SOURCE_TYPE_KEY, element.attrib[source_type]))
    return values


def _why_none(contents: Contents) -> str:
    if contents.kind is None:
        return "This is no MP4, MOV, WebM, MKV, GIF, PNG, JPEG or WebP file, and others are not read."
    return "That says nothing about how it was made: most files never had one, and copies and uploads often lose it."


def _plain(text: str) -> str:
    """Text of a stranger's file, safe and short enough for a terminal."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    return plain if len(plain) <= _SHOWN_LETTERS else plain[:_SHOWN_LETTERS] + "..."
