"""Where paint.py writes: names that fit any picture's name, and a folder that is tried before anything is computed."""

import argparse
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from paintsundo_models.file_names import MOST_BYTES, cut_to_bytes

from .command import CommandError

PNG_SEQUENCE = "png sequence"
ENDINGS = (".mp4", ".webm", ".gif", ".png")
"""Endings of files that are written. A folder of PNG files has none, although its name may have a dot, as in "v1.5"."""

_OTHER_ENDINGS = (".avi", ".mov", ".mkv", ".m4v", ".apng", ".webp", ".jpg")
_NUMBER_BYTES = len("-999")


def ending_of(path: Path) -> str:
    """Return the ending of a written file, "" for a folder."""
    return path.suffix if path.suffix.lower() in ENDINGS else ""


def ending_of_format(video_format: str) -> str:
    """Return the ending of a video of this format, "" for a folder of PNG files."""
    return "" if video_format == PNG_SEQUENCE else f".{video_format.split()[0]}"


def stem_of(path: Path) -> str:
    """Return the name without the ending of a written file."""
    return path.name.removesuffix(ending_of(path))


def beside(path: Path, tail: str) -> Path:
    """Return a path in the same folder: the stem and this tail; the stem is cut where the name would get too long."""
    return path.with_name(cut_to_bytes(stem_of(path), MOST_BYTES - len(tail.encode()) - _NUMBER_BYTES) + tail)


def unused_path(path: Path) -> Path:
    """Return `path`, or the first of path-2, path-3, ... that does not exist."""
    number, ending = 1, ending_of(path)
    candidate = path
    while candidate.exists():
        number += 1
        tail = f"-{number}{ending}"
        candidate = path.with_name(cut_to_bytes(stem_of(path), MOST_BYTES - len(tail)) + tail)
    return candidate


def unused_base(base: Path, tails: Sequence[str]) -> Path:
    """Return `base`, or the first of base-2, base-3, ... to which no file with one of these tails exists.

    The name is cut where it would get too long with the longest tail.
    """
    longest = max((len(tail.encode()) for tail in tails), default=0)
    base = base.with_name(cut_to_bytes(base.name, MOST_BYTES - longest - _NUMBER_BYTES))
    number, candidate = 1, base
    while any(candidate.with_name(candidate.name + tail).exists() for tail in tails):
        number += 1
        candidate = base.with_name(f"{base.name}-{number}")
    return candidate


def result_path(options: argparse.Namespace, root: Path, video_format: str) -> Path:
    """Return a path for the result that does not exist yet, with the format's ending; prints it if it is not the one given."""
    is_sequence = video_format == PNG_SEQUENCE
    ending = ending_of_format(video_format)
    if options.output is None:
        return unused_path(beside(root / "output" / options.picture.stem, f"_painting{ending}"))
    wanted = options.output.resolve()
    given = wanted.suffix if wanted.suffix.lower() in (*ENDINGS, *_OTHER_ENDINGS) else ""
    target = wanted.with_name(wanted.name.removesuffix(given) + ending)
    if given.lower() not in ("", ending):
        what = "a folder of PNG files" if is_sequence else f'a {ending} file ("{video_format}"; see --format)'
        print(f"{wanted.name}: the result is {what}, so it will be named {target.name}.")
    free = unused_path(target)
    if free != target:
        print(f"{target} exists already and stays as it is; the result will be {free.name}.")
    return free


def try_destination(options: argparse.Namespace, root: Path) -> None:
    """Write and remove a file where the result will be, so that a long run does not end in a place that takes none.

    Raises:
        CommandError: the name is too long, or the folder cannot be made or written.
    """
    target = root / "output" / "x" if options.output is None else options.output.resolve()
    length = len(target.name.encode("utf-8", "surrogateescape"))
    most = MOST_BYTES - len(".webm")
    if length > most:
        raise CommandError(
            f"--output has a name of {length} bytes, and {most} is the most (a kanji takes 3 bytes). Shorten it."
        )
    new = [folder for folder in target.parents if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(
            f"Nothing can be written in {target.parent}: {reason}. Choose another place with --output."
        ) from error
    finally:
        for folder in new:
            with contextlib.suppress(OSError):
                folder.rmdir()
