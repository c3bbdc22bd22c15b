"""Which pictures a command line means, one after the other: files, folders with their sub-folders, and patterns."""

import glob
import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ENDINGS = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ico"),
    *(".psd", ".avif", ".heic", ".heif", ".tga", ".jp2", ".ppm", ".pgm"),
}
"""What counts as a picture in a folder. A file that is named on the command line may have any ending."""


@dataclass(frozen=True)
class Source:
    """A picture to paint.

    Attributes:
        path: of the file.
        name: shown to people: its path below what was given.
        place: where its results belong, below the folder of the results: the name without ending.
    """

    path: Path
    name: str
    place: str


def expanded(words: Iterable[str]) -> list[Path]:
    """Return the paths that the words of a command line mean; a pattern such as *.png, which Windows passes on, is replaced.

    A word without a match stays as it is, so that the command can say that there is no such file.
    """
    paths: list[Path] = []
    for word in words:
        is_pattern = glob.has_magic(word) and not os.path.exists(word)
        paths += map(Path, (sorted(glob.glob(word)) if is_pattern else []) or [word])
    return paths


class Sources:
    """All pictures of a command line; each iteration looks at the folders anew, and keeps the names of one folder at a time.

    Args:
        given: existing files and folders. One folder alone: its pictures lie at the top of the results. Of several, each
            has a folder of its name there.
        left_out: a folder that is not searched: that of the results.
    """

    def __init__(self, given: list[Path], left_out: Path) -> None:
        self._files = [path for path in given if not path.is_dir()]
        self._folders = [path for path in given if path.is_dir()]
        self._is_alone = len(given) == 1
        self._left_out = left_out.resolve()

    def __iter__(self) -> Iterator[Source]:
        yield from _named(self._files, "")
        for folder in self._folders:
            yield from self._below(folder, "" if self._is_alone else f"{folder.resolve().name}/")

    def _below(self, folder: Path, place: str) -> Iterator[Source]:
        """Yield the pictures of a folder, then those of its sub-folders. Links to folders are not followed: they may be loops.

        A folder that cannot be read is yielded itself, and fails as a picture that cannot be read.
        """
        if folder.resolve() == self._left_out:
            return
        files, folders = [], []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    elif os.path.splitext(entry.name)[1].lower() in ENDINGS and entry.is_file():
                        files.append(entry.name)
        except OSError:
            name = place.removesuffix("/") or folder.name
            yield Source(folder, name, name)
            return
        yield from _named((folder / name for name in files), place)
        for name in sorted(folders):
            yield from self._below(folder / name, f"{place}{name}/")


def _named(paths: Iterable[Path], place: str) -> Iterator[Source]:
    """Yield the pictures of one folder by name; those that differ only in their endings keep these in their results' names."""

    def stem(path: Path) -> str:
        return path.stem.casefold()

    ordered = sorted(paths, key=lambda path: (stem(path), path.name))
    for _, group in itertools.groupby(ordered, key=stem):
        same = list(group)
        for path in same:
            name = path.stem if len(same) == 1 else f"{path.stem}_{path.suffix[1:]}"
            yield Source(path, f"{place}{path.name}", f"{place}{name}")
