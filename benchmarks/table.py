"""The table of the measurements: its arithmetic and its text. Standard library only."""

from dataclasses import dataclass

from tools.markdown import figures_table

HEADINGS = ("stage", "seconds", "TFLOP", "TFLOP/s", "% of peak", "weights GB", "peak GB")
NOT_KNOWN = "-"


@dataclass(frozen=True)
class Row:
    """The figures of one stage; None is a figure that is not measured."""

    name: str
    seconds: float | None
    flops: float
    weights: int | None = None  # bytes of the networks' parameters
    working: int | None = None  # bytes at the peak beyond the weights

    @property
    def rate(self) -> float | None:
        """Return FLOP a second, or None without a time or without operations."""
        return self.flops / self.seconds if self.seconds and self.flops else None

    def share(self, matrix_rate: float | None) -> float | None:
        """Return the rate as a share of the rate at which the device multiplies large matrices."""
        return self.rate / matrix_rate if self.rate is not None and matrix_rate else None

    @property
    def peak(self) -> int | None:
        """Return the bytes at the peak, including the weights."""
        return None if self.working is None else self.working + (self.weights or 0)

    def as_dict(self, matrix_rate: float | None) -> dict[str, str | float | None]:
        """Return everything in types that JSON has, with units in the names."""
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
        """Return the text for each of HEADINGS."""
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
    """Format a number with three digits, such as 0.00123, 1.23, 123 or 12345; None becomes "-"."""
    if value is None:
        return NOT_KNOWN
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:#.3g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def markdown(rows: list[Row], matrix_rate: float | None, columns: tuple[str, ...] = HEADINGS) -> str:
    """Return a Markdown table of the stages.

    Args:
        rows: the stages.
        matrix_rate: FLOP a second of the measured peak, or None.
        columns: the HEADINGS to show.
    """
    kept = [HEADINGS.index(column) for column in columns]
    cells = (row.cells(matrix_rate) for row in rows)
    return figures_table(columns, [[line[index] for index in kept] for line in cells])
