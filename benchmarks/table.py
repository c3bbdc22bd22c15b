"""The table of what was measured: its arithmetic and its text. Standard library only."""

from dataclasses import dataclass

from tools.markdown import figures_table

HEADINGS = ("stage", "seconds", "TFLOP", "TFLOP/s", "% of peak", "weights GB", "peak GB")
NOT_KNOWN = "-"


@dataclass(frozen=True)
class Row:
    """One stage; None is what was not, or could not be, measured."""

    name: str
    seconds: float | None
    flops: float
    weights: int | None = None  # bytes of the networks at work
    working: int | None = None  # bytes at the peak beyond the weights

    @property
    def rate(self) -> float | None:
        """FLOP a second; None too where there is nothing to compute."""
        return self.flops / self.seconds if self.seconds and self.flops else None

    def share(self, matrix_rate: float | None) -> float | None:
        """Part of the rate at which the device multiplies large matrices, 0 to 1."""
        return self.rate / matrix_rate if self.rate is not None and matrix_rate else None

    @property
    def peak(self) -> int | None:
        """Bytes at the peak, weights included."""
        return None if self.working is None else self.working + (self.weights or 0)

    def as_dict(self, matrix_rate: float | None) -> dict[str, str | float | None]:
        """Everything as JSON takes it, units in the names."""
        return {
            "stage": self.name,
            "seconds": self.seconds,
            "flop": self.flops,
            "flop_per_second": self.rate,
            "share_of_peak": self.share(matrix_rate),
            "weights_bytes": self.weights,
            "peak_bytes": self.peak,
        }

    def cells(self, matrix_rate: float | None) -> list[str]:
        """One text for each of HEADINGS."""
        share = self.share(matrix_rate)
        return [
            self.name,
            number(self.seconds),
            number(self.flops / 1e12 if self.flops else None),
            number(None if self.rate is None else self.rate / 1e12),
            NOT_KNOWN if share is None else f"{100 * share:.0f}",
            number(None if self.weights is None else self.weights / 1e9),
            number(None if self.peak is None else self.peak / 1e9),
        ]


def number(value: float | None) -> str:
    """Three digits: 0.00123, 1.23, 123, 12345; "-" for None."""
    if value is None:
        return NOT_KNOWN
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:#.3g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def markdown(rows: list[Row], matrix_rate: float | None, columns: tuple[str, ...] = HEADINGS) -> str:
    """A Markdown table, its columns of even width so that it reads well in a terminal too.

    Args:
        rows: the stages.
        matrix_rate: FLOP a second of the measured peak, or None.
        columns: those of HEADINGS to show.
    """
    kept = [HEADINGS.index(column) for column in columns]
    cells = (row.cells(matrix_rate) for row in rows)
    return figures_table(columns, [[line[index] for index in kept] for line in cells])
