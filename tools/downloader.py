"""What `paint.py --download` does under the host's Python: get the released files, or compare those that are there."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .command import CommandError

if TYPE_CHECKING:
    from paintsundo_models.checkpoints.download import Progress, Report

WHAT = ("single-frame", "multi-frame", "tagger", "all")
"""What can be downloaded; the pack's own list needs ComfyUI's Python."""


def add_download_options(parser: argparse.ArgumentParser) -> None:
    """Add --download and --check."""
    parser.add_argument(
        "--download",
        nargs="?",
        const="all",
        choices=WHAT,
        metavar="WHAT",
        help="get the released models from the Hugging Face hub: single-frame, multi-frame, tagger or all (default: all)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="with --download: get nothing, and name every file that is not as published",
    )


def run(folder: Path, options: argparse.Namespace) -> int:
    """Download or check as the options say; return the exit code.

    Raises:
        CommandError: why not, and what to do.
    """
    from paintsundo_models.errors import DownloadError

    try:
        return (check if options.check else download)(folder, options.download)
    except DownloadError as error:
        raise CommandError(str(error)) from error


def download(folder: Path, what: str) -> int:
    """Bring the released files into models/paintsundo; return the exit code.

    Raises:
        DownloadError: why not, and what to do.
    """
    from paintsundo_models.checkpoints.download import Request
    from paintsundo_models.checkpoints.download import download as fetch

    print(f"Into {folder}. Ctrl-C cancels; the same command goes on from there.")
    with progress_line() as show:
        done = fetch(Request(what), folder, show)
    print(done.text())
    return 0


def check(folder: Path, what: str) -> int:
    """Compare the files in models/paintsundo with the hub's list, name each bad one; return the exit code.

    Raises:
        DownloadError: why not, and what to do.
    """
    from paintsundo_models.checkpoints.download import Request
    from paintsundo_models.checkpoints.download import check as compare

    print(f"Comparing {folder} with the hub's list.")
    with progress_line() as show:
        found = compare(Request(what), folder, show)
    bad = [(file.name, wrong) for file, wrong in found if wrong]
    for name, wrong in bad:
        print(f"{name} {wrong}")
    if not bad:
        print(f"All {len(found)} files are there and as published.")
        return 0
    print(
        f"{len(bad)} of {len(found)} files are not as published: `python paint.py --download {what}` gets them."
    )
    return 1


@contextlib.contextmanager
def progress_line() -> Iterator["Report"]:
    """A line that is written over on a terminal; where the output is no terminal, one for each stage and file."""
    if not sys.stdout.isatty():
        said: list[tuple[str, str]] = []

        def say(progress: "Progress") -> None:
            now = progress.stage, progress.name
            if now not in said:
                said.append(now)
                print(_line(progress), flush=True)

        yield say
        return
    from tqdm import tqdm

    with tqdm(bar_format="{desc}", file=sys.stdout, dynamic_ncols=True, leave=False) as line:

        def show(progress: "Progress") -> None:
            percent = f"{progress.done / progress.total:4.0%}  " if progress.total else ""
            line.set_description_str(percent + _line(progress))

        yield show


def _line(progress: "Progress") -> str:
    return f"{progress.text()}  {progress.name}".rstrip()
