"""What was painted already: a file of JSON lines beside the results, one line for each picture.

Lines are only ever added, each whole, under a lock that all runs on this folder share. A line that a killed run has left
unfinished is passed over, and so is everything that is no line of this file.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .destination import unused_base

MANIFEST = "paintsundo.jsonl"
HIDDEN = ".paintsundo"
"""Folder for the lock and for unfinished results, in the folder of the results."""


class Manifest:
    """The manifest of a folder. In memory it keeps only where the line of each key begins.

    Args:
        folder: that of the results; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / MANIFEST
        self.hidden = folder / HIDDEN
        self._places: dict[bytes, int] = {}
        self._read_to = 0
        self.refresh()

    def refresh(self) -> None:
        """Read what was added since the last time, by this run or by another one."""
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._read_to)
            for line in file:
                if not line.endswith(b"\n"):  # unfinished; the next line that is added ends it
                    break
                if (entry := _entry(line)) is not None:
                    self._places[bytes.fromhex(entry["key"])] = self._read_to
                self._read_to += len(line)

    def find(self, key: str) -> dict[str, Any] | None:
        """Return the line of a key, or None if there is none or one of its results does not exist any more."""
        entry = self._line(key)
        is_there = entry is not None and all((self.folder / name).exists() for name in entry["results"])
        return entry if is_there else None

    def keep(self, key: str, base: Path, finished: list[Path], about: dict[str, Any]) -> list[Path] | None:
        """Move finished results into the folder and write their line; return their new paths.

        Args:
            key: of all that they depend on, in hexadecimal digits.
            base: path that the new names begin with, in the folder; it gets a number if such files exist.
            finished: files or folders on the same disk, whose names begin with "painting"; that which matters most, last.
            about: what else the line says.

        Returns:
            None if another run has made the same meanwhile: then nothing is moved.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        with self._locked():
            self.refresh()
            if self.find(key) is not None:
                return None
            self._remove_remains(key)
            tails = [path.name.removeprefix("painting") for path in finished]
            base.parent.mkdir(parents=True, exist_ok=True)
            base = unused_base(base, tails)
            targets = [base.with_name(base.name + tail) for tail in tails]
            names = {
                target.relative_to(self.folder).as_posix(): path.stat().st_size if path.is_file() else None
                for target, path in zip(targets, finished, strict=True)
            }
            # The line comes first. If this run is killed before the last move, the line names results that do not exist,
            # and the picture is painted again; the other order could leave results of which nothing is known.
            self._append({**about, "key": key, "results": names})
            for path, target in zip(finished, targets, strict=True):
                path.rename(target)
            return targets

    def tell_failure(self, picture: str, reason: str) -> None:
        """Write that a picture failed. Such a line keeps no later run from trying again."""
        with self._locked():
            self._append({"picture": picture, "error": reason})

    def _line(self, key: str) -> dict[str, Any] | None:
        place = self._places.get(bytes.fromhex(key))
        if place is None:
            return None
        with self.path.open("rb") as file:
            file.seek(place)
            return _entry(file.readline())

    def _remove_remains(self, key: str) -> None:
        """Remove those results of a key that a killed run has moved before it was killed, if nobody has changed them."""
        entry = self._line(key)
        for name, size in entry["results"].items() if entry else ():
            path = self.folder / name
            if size is not None and path.is_file() and path.stat().st_size == size:
                path.unlink()

    def _append(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=True).encode() + b"\n"
        with self.path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            file.write(line)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock

        self.hidden.mkdir(exist_ok=True)
        lock = FileLock(self.hidden / "lock")
        with contextlib.suppress(NotImplementedError):  # a network disk without locks
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _entry(line: bytes) -> dict[str, Any] | None:
    """Return a line that tells results, or None for any other."""
    try:
        entry = json.loads(line)
        bytes.fromhex(entry["key"])
        is_entry = isinstance(entry["results"], dict)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return entry if is_entry else None
