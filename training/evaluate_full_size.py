"""Measure videos at the picture's size against true states: `python training/evaluate_full_size.py`. Writes docs/full_size.md.

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

require_python("evaluate_full_size.py")

from tools.installation import Installation  # noqa: E402
from training.evaluation_command import add_multi, evaluation_parser, run_evaluation  # noqa: E402


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the program."""
    parser = evaluation_parser(
        __file__,
        "Measure how well a finished picture's detail is carried into the frames of a video of it.",
    )
    add_multi(parser)
    parser.add_argument(
        "--pictures", type=int, default=6, help="pictures, for ideal frames and keyframes (default: 6)"
    )
    parser.add_argument("--segments", type=int, default=3, help="segments of the demo (default: 3)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = arguments(argv)
    return run_evaluation(__file__, lambda installation: measure(options, installation))


def measure(options: argparse.Namespace, installation: Installation) -> int:
    """Measure, write the page and show the table; return the exit code."""
    from training import full_size_page, full_size_run

    results = full_size_run.evaluate(installation, options)
    page = full_size_page.write(results, options.output)
    print(f"\n{full_size_page.figures_of(results)}\n\nWritten: {page}")
    return 0 if all(figure.is_met for figure in results.figures) else 1


if __name__ == "__main__":
    sys.exit(main())
