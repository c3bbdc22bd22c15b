"""What a kind of torture found, as rows of a table. Standard library only."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tools.markdown import table

HEADINGS = ("looked at", "figure", "bar", "held")
_LONGEST_MISS = 600  # letters of a miss that are printed


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        what: what was looked at.
        figure: what was found.
        bar: what the figure has to be, or "" where it has no bar.
        is_met: whether the figure is that; None without a bar.
    """

    what: str
    figure: str
    bar: str = ""
    is_met: bool | None = None

    def cells(self) -> list[str]:
        """Return the text for each of HEADINGS."""
        return [self.what, self.figure, self.bar, {True: "yes", False: "**no**", None: ""}[self.is_met]]


@dataclass
class Report:
    """The figures of one kind; `say` gets a line about every miss."""

    say: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)

    def count(self, what: str, number: int) -> None:
        """Add a number without a bar."""
        self.rows.append(Row(what, str(number)))

    def figure(self, what: str, figure: str) -> None:
        """Add a figure without a bar."""
        self.rows.append(Row(what, figure))

    def none_of(self, what: str, misses: list[str]) -> None:
        """Add how many of something happened that never should."""
        self.rows.append(Row(what, str(len(misses)), "0", not misses))
        for miss in misses:
            self.say(f"    {what}: {miss[:_LONGEST_MISS]}")

    def at_most(self, what: str, value: float, bar: float, unit: str) -> None:
        """Add a figure that has a largest allowed value; both in the same unit, such as "s"."""
        self.rows.append(
            Row(what, f"{value:.3g} {unit}".strip(), f"at most {bar:g} {unit}".strip(), value <= bar)
        )

    @property
    def is_met(self) -> bool:
        """Return whether no bar was missed."""
        return all(row.is_met is not False for row in self.rows)

    def table(self) -> str:
        """Return the rows as a table in Markdown."""
        return table(HEADINGS, [row.cells() for row in self.rows])
