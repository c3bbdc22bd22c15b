"""The page with the figures: the command writes the tables between two comments, and people write everything else."""

import re
from collections.abc import Iterable
from pathlib import Path

from tools.command import CommandError


def write_table(page: Path, kind: str, about: str, table: str) -> None:
    """Replace one kind's figures in a Markdown file.

    Args:
        page: has the two comments of the kind; see `begin_mark` and `end_mark`.
        kind: such as "prompts".
        about: a line about machine, versions, date and command, written above the table.
        table: in Markdown.

    Raises:
        CommandError: `require_places` refuses the file.
    """
    require_places(page, [kind])
    begin, end = begin_mark(kind), end_mark(kind)
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n{about}\n\n{table}\n{end}{after}", encoding="utf-8")


def require_places(page: Path, kinds: Iterable[str]) -> None:
    """Check that the tables of these kinds can be written.

    Raises:
        CommandError: the file cannot be read, or lacks the two comments of a kind.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"{page} cannot be read: {error.strerror}. Copy docs/reliability.md there."
        ) from error
    for kind in kinds:
        begin, end = begin_mark(kind), end_mark(kind)
        if begin not in text or end not in text:
            raise CommandError(f"{page} has no place for the figures of {kind}: it lacks {begin} or {end}.")


def begin_mark(kind: str) -> str:
    """Return the comment above the figures of a kind."""
    return f"<!-- {kind}: from here on written by tools/torture.py -->"


def end_mark(kind: str) -> str:
    """Return the comment below the figures of a kind."""
    return f"<!-- {kind}: up to here -->"


def tables_of(text: str) -> dict[str, list[list[str]]]:
    """Return the tables that the command has written into a page: {kind: lines of cells, the headings first}."""
    found: dict[str, list[list[str]]] = {}
    for kind in re.findall(r"<!-- (\w+): from here on", text):
        part = text.partition(begin_mark(kind))[2].partition(end_mark(kind))[0]
        lines = [line for line in part.splitlines() if line.startswith("|") and not line.startswith("| ---")]
        found[kind] = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return found
