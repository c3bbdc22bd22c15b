"""Tables in Markdown. Standard library only."""

from collections.abc import Iterable, Sequence


def row(cells: Iterable[str]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cells)} |"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of left-aligned columns."""
    return "\n".join([row(head), row(["---"] * len(head)), *map(row, rows)])


def figures_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose columns after the first are right-aligned, padded so that it reads well in a terminal too."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def padded(line: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        return row([first, *others])

    rule = "|".join("-" * (width + 1) + (":" if place else "-") for place, width in enumerate(widths))
    return "\n".join([padded(head), f"|{rule}|", *map(padded, lines[1:])])
