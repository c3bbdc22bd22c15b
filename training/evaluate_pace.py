"""Measure how evenly videos change: `python training/evaluate_pace.py`, two minutes. Writes docs/pace.md.

The exit code is 0 when all bars are met, and 1 when one is missed or the measurement failed. Like evaluate.py, the
command starts itself again under the Python of a ComfyUI.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("evaluate_pace.py")

from tools.installation import Installation  # noqa: E402
from training.evaluation_command import evaluation_parser, run_evaluation  # noqa: E402


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the program."""
    parser = evaluation_parser(
        __file__,
        "Measure how evenly the change of a painting is spread over segments and seconds.",
    )
    parser.add_argument("--pictures", type=int, default=8, help="held-out pictures (default: 8)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = arguments(argv)
    return run_evaluation(__file__, lambda installation: measure(options, installation))


def measure(options: argparse.Namespace, installation: Installation) -> int:
    """Measure, write the page and show the tables; return the exit code."""
    from training import pace_page, pace_run
    from training.evaluation import figure_table

    results = pace_run.evaluate(installation, options)
    page = pace_page.write(results, options.output)
    print(f"\n{figure_table(results.figures)}\n\n{pace_page.tables(results)}\n\nWritten: {page}")
    return 0 if all(figure.is_met for figure in results.figures) else 1


if __name__ == "__main__":
    sys.exit(main())
