"""Headers of safetensors files: which of a checkpoint's tensors are in a file, and whether the file is whole.

A list of checkpoints looks at every file in the model folders, also at those of other models, so each header is read
once and remembered until the file's size or time changes. Nothing but the header is read, and only from regular files:
opening a pipe would wait for ever.
"""

import json
import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .parts import SIGNATURES

LONGEST_HEADER = 100_000_000
"""Bytes; the limit of the safetensors format."""

_KNOWN = frozenset(name for signature in SIGNATURES for name in signature.tensors)


@dataclass(frozen=True)
class Header:
    """What a list needs to know of a file.

    Attributes:
        names: the tensors in it by which parts are recognised, with the prefix of a single file where there is one.
        trouble: why the file cannot be loaded, as the end of a sentence that begins with its name; None if it is whole.
        is_readable: the names are known, although the file may be cut short behind its header.
    """

    names: frozenset[str]
    trouble: str | None
    is_readable: bool = False


def read_header(file: Path) -> Header:
    """Return what a file's header says; never raises an error."""
    try:
        found = os.stat(file)
    except OSError as error:  # a link to nothing, a loop of links
        return Header(frozenset(), f"is missing ({error.strerror})")
    if not stat.S_ISREG(found.st_mode):
        return Header(frozenset(), "is no regular file")
    return _read_header(str(file), found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4096)
def _read_header(file: str, size: int, time_ns: int) -> Header:
    try:
        with open(file, "rb") as opened:  # noqa: PTH123  a text is the key of the memory
            start = opened.read(8)
            length = int.from_bytes(start, "little")
            is_safetensors = len(start) == 8 and 2 <= length <= LONGEST_HEADER
            text = opened.read(length if is_safetensors else 1000)
    except OSError as error:
        return Header(frozenset(), f"cannot be read ({error.strerror})")
    if not is_safetensors or not text.lstrip().startswith(b"{"):
        return Header(frozenset(), _what_else(start + text[:1000], size))
    if len(text) < length:
        return Header(
            frozenset(), f"is cut short: {size:,} bytes, not even its header of {length:,} bytes is whole"
        )
    try:
        entries = json.loads(text)
        end = max(
            (entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"), default=0
        )
        whole = 8 + length + int(end)
        float(whole)  # raises OverflowError for a size that no file can have
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError):
        return Header(frozenset(), "is damaged: its header cannot be read")
    names = frozenset(name for name in entries if name in _KNOWN or name.partition(".")[2] in _KNOWN)
    return Header(names, None if size == whole else _other_size(size, whole), is_readable=True)


def _other_size(size: int, whole: int) -> str:
    if size > whole:
        return f"is damaged: {size:,} bytes, and its header describes {whole:,}"
    unit, name = (1e9, "GB") if whole >= 1e9 else (1e6, "MB")
    return f"is incomplete: {size / unit:.1f} of {whole / unit:.1f} {name} are there ({size:,} of {whole:,} bytes)"


def _what_else(start: bytes, size: int) -> str:
    """Say what a file is that is no safetensors file; start: its first bytes."""
    if not size:
        return "is empty"
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer: a line of text in place of the file. Run `git lfs pull` in its folder"
    if start.lstrip()[:15].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page, not the file that it leads to"
    if not any(start[:64]):
        return f"is incomplete: {size:,} bytes, and the first ones are not written yet"
    return f"is no safetensors file, or cut short ({size:,} bytes)"
