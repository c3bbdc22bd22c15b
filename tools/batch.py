"""Many pictures: which are due, what became of each, and a table at the end."""

import argparse
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from paintsundo_models.constants import DEMO_NAME
from paintsundo_models.video.unfinished import unfinished_folder

from .comfy_client import ExecutionError
from .command import FAILED, CommandError
from .destination import ENDINGS, try_destination
from .installation import Installation
from .manifest import MANIFEST, Manifest
from .painting import Say, check_numbers, check_options
from .pictures import PictureError
from .progress import BatchBars
from .sources import Source, Sources
from .studio import PaintingError, Studio, Watch, server_errors

WITHOUT_EFFECT = {
    *("picture", "pictures", "output", "cpu", "cluster", "by"),
    *("serve", "port", "what_is", "download", "check"),
}
"""Options that choose where and how something is done. All others belong to what a result is known by."""

SHOWN = 20  # rows of the table at the end

FAILURES = (PictureError, ExecutionError, PaintingError)
"""What can be wrong with one picture; the next one may do well."""


def version(root: Path) -> str:
    """Return the version of the pack."""
    found = re.search(
        r'^version = "(.+)"$', (root / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    return found[1] if found else ""


@dataclass
class Tally:
    """What became of the pictures; of names it keeps the first few."""

    painted: int = 0
    there: int = 0
    by_demo: int = 0
    failed: int = 0
    rows: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    @property
    def done(self) -> int:
        """How many pictures are dealt with."""
        return self.painted + self.there + self.failed


class Due(NamedTuple):
    """A picture that is not painted yet."""

    source: Source
    key: str  # what its results are known by
    sha256: str  # of the file's content


class Batch:
    """The pictures of one run of the command, and the folder of their results.

    Args:
        root: the pack.
        options: those of paint.py.
        output: the folder of the results; it exists.
        bars: where the progress is shown.
    """

    def __init__(self, root: Path, options: argparse.Namespace, output: Path, bars: BatchBars) -> None:
        self.output, self.bars, self.tally = output, bars, Tally()
        self.manifest = Manifest(output)
        self._sources = Sources(options.pictures, output)
        chosen = {name: value for name, value in vars(options).items() if name not in WITHOUT_EFFECT}
        self._about = {"options": chosen, "version": version(root)}
        self._known_by = json.dumps(self._about, sort_keys=True).encode()

    def due(self) -> Iterator[tuple[Due, bytes]]:
        """Yield each picture that is not painted yet, with the content of its file."""
        for source in self._sources:
            try:
                data = source.path.read_bytes()
            except OSError as error:
                self.failed(source, f"It cannot be read: {error.strerror or error}.")
                continue
            key = hashlib.sha256(self._known_by + b"\0" + data).hexdigest()[:32]
            self.manifest.refresh()
            entry = self.manifest.find(key)
            if entry is None:
                yield Due(source, key, hashlib.sha256(data).hexdigest()), data
            else:
                self._was_there(source, entry)

    def keep(self, due: Due, finished: list[Path], about: dict[str, Any]) -> None:
        """Give finished results their names, and write down what they are.

        Raises:
            CommandError: they cannot be written there, and neither could those of the next picture.
        """
        source = due.source
        told = {"picture": source.name, "sha256": due.sha256, **self._about, **about}
        try:
            results = self.manifest.keep(due.key, self.output / f"{source.place}_painting", finished, told)
        except OSError as error:
            raise CommandError(
                f"The results of {source.name} could not be written in {self.output}: {error.strerror or error}. "
                "Those of the pictures before are kept."
            ) from error
        if results is None:
            self._was_there(source, self.manifest.find(due.key) or {"results": [""]})
            return
        self.tally.painted += 1
        self._row(source, results[-1].relative_to(self.output).as_posix())

    def failed(self, source: Source, reason: str) -> None:
        """Tell that a picture failed; the others go on."""
        self.tally.failed += 1
        reason = " ".join(reason.split())
        self.manifest.tell_failure(source.name, reason)
        if len(self.tally.failures) < SHOWN:
            self.tally.failures.append((source.name, reason))
        self.bars.done(self.tally.done, f"{source.name}: FAILED. {reason}")

    def _was_there(self, source: Source, entry: dict[str, Any]) -> None:
        self.tally.there += 1
        self.tally.by_demo += DEMO_NAME in entry.get("checkpoints", ())
        self._row(source, f"{list(entry['results'])[-1]} (there already)", is_said=False)

    def _row(self, source: Source, result: str, *, is_said: bool = True) -> None:
        if len(self.tally.rows) < SHOWN:
            self.tally.rows.append((source.name, result))
        self.bars.done(self.tally.done, f"{source.name} -> {result}" if is_said else None)

    def count(self) -> int:
        """Return how many pictures there are, done ones included."""
        return sum(1 for _ in self._sources)

    def table(self, seconds: float) -> str:
        """Return what became of the pictures, for the end."""
        tally = self.tally
        rows = tally.rows if tally.done <= SHOWN else []
        named = [*rows, *((name, f"FAILED. {reason}") for name, reason in tally.failures)]
        width = max((len(name) for name, _ in named), default=0)
        lines = [f"  {name.ljust(width)}  {result}" for name, result in named]
        if tally.failed > len(tally.failures):
            lines.append(f"  ... and {tally.failed - len(tally.failures)} more failures, in {MANIFEST}")
        by_demo = f", {tally.by_demo} of them by the built-in demo" if tally.by_demo else ""
        rate = f", {3600 * tally.painted / seconds:.0f} pictures an hour" if tally.painted else ""
        return "\n".join(
            [
                "",
                *lines,
                f"Painted:        {tally.painted}",
                f"There already:  {tally.there}{by_demo}",
                f"Failed:         {tally.failed}",
                f"Time:           {seconds // 60:.0f} min {seconds % 60:.0f} s{rate}",
                f"Results:        {self.output}",
            ]
        )


def is_many(options: argparse.Namespace) -> bool:
    """Return whether the results get a folder, and a manifest."""
    return bool(options.cluster) or len(options.pictures) > 1 or options.pictures[0].is_dir()


def check_first(root: Path, options: argparse.Namespace) -> None:
    """Check what can be checked without a ComfyUI, which the first run of the command makes for minutes.

    Raises:
        CommandError: a number or the place of the results cannot be.
    """
    with server_errors():
        check_numbers(options)
        target = output_folder(options, root) / "x" if is_many(options) else options.output
        try_destination(argparse.Namespace(output=target), root)


def output_folder(options: argparse.Namespace, root: Path) -> Path:
    """Return the folder of the results.

    Raises:
        CommandError: --output names a file or one of the folders with the pictures.
    """
    folders = [path.resolve() for path in options.pictures if path.is_dir()]
    if options.output is None:
        return root / "output" / (folders[0].name if len(options.pictures) == 1 and folders else "")
    output = options.output.resolve()
    if output.suffix.lower() in ENDINGS or output.is_file():
        raise CommandError(f"--output is {options.output}. Of several pictures it is a folder; name one.")
    if output in folders:
        raise CommandError(
            f"--output is {options.output}, the folder of the pictures. Name another, so that results do not become pictures."
        )
    return output


def paint_all(
    root: Path,
    options: argparse.Namespace,
    work: Callable[[Batch, Path], None],
) -> int:
    """Paint all pictures, show how far it is, and say what came out; return the exit code.

    Args:
        root: the pack.
        options: those of paint.py.
        work: paints what is due, with a folder for unfinished results.

    Raises:
        CommandError: what concerns all pictures: an option, ComfyUI, the folder of the results.
    """
    started = time.monotonic()
    with server_errors():
        check_options(options)
        output = output_folder(options, root)
        try_destination(argparse.Namespace(output=output / "x"), root)
        output.mkdir(parents=True, exist_ok=True)
        bars = BatchBars()
        batch = Batch(root, options, output, bars)
        total = batch.count()
        if total == 0:
            raise CommandError(f"There is no picture in {', '.join(map(str, options.pictures))}.")
        print(f"{total} picture{'s' if total > 1 else ''} -> {output}")
        batch.manifest.hidden.mkdir(exist_ok=True)
        try:
            with bars.shown(total), unfinished_folder(batch.manifest.hidden) as unfinished:
                work(batch, unfinished)
        finally:
            print(batch.table(time.monotonic() - started))
    return FAILED if batch.tally.failed else 0


def paint_here(root: Path, installation: Installation, options: argparse.Namespace) -> int:
    """Paint all pictures with one ComfyUI, one after the other; return the exit code."""

    def work(batch: Batch, unfinished: Path) -> None:
        bars = batch.bars
        with Studio(root, installation, options, bars.say) as studio:
            for due, _ in batch.due():
                name = due.source.name
                try:
                    with bars.of_one(name) as watch:
                        painted = paint_one(
                            studio,
                            due.source.path,
                            unfinished / "now",
                            watch,
                            lambda text, name=name: bars.say(f"{name}: {text}"),
                        )
                except FAILURES as error:
                    batch.failed(due.source, str(error))
                else:
                    batch.keep(due, painted.files, painted.about)

    return paint_all(root, options, work)


class Painted(NamedTuple):
    """What a Studio has made of a picture."""

    files: list[Path]  # the videos last
    about: dict[str, Any]  # what the manifest says of them


def paint_one(studio: Studio, picture: Path, folder: Path, watch: Watch, note: Say) -> Painted:
    """Paint one picture into a folder, which is made or emptied first, and measure the time; see Studio.paint.

    Raises:
        One of FAILURES: this picture cannot be painted.
        CommandError: no picture can.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    started = time.monotonic()
    files = studio.paint(picture, folder, watch, note)
    return Painted(
        files, {"checkpoints": studio.checkpoints, "seconds": round(time.monotonic() - started, 1)}
    )
