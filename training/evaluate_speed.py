"""Measure sampling settings against true states: `python training/evaluate_speed.py`. Writes docs/speed.md.

Every run is kept in a file, so that after an interruption the same command goes on. Like evaluate.py, the command starts
itself again under the Python of a ComfyUI.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("evaluate_speed.py")

from tools.installation import Installation  # noqa: E402
from training.evaluation_command import add_multi, evaluation_parser, run_evaluation  # noqa: E402


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the program."""
    parser = evaluation_parser(__file__, "Measure what sampling settings cost in time and in error.")
    add_multi(parser)
    parser.add_argument("--pictures", type=int, default=24, help="held-out pictures (default: 24)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each picture (default: 3)")
    parser.add_argument(
        "--runs",
        type=Path,
        default=ROOT / "output" / "speed.jsonl",
        help="file of the runs; those that are there are not made again (default: output/speed.jsonl)",
    )
    parser.add_argument(
        "--page-only", action="store_true", help="write the page from the runs that are there, and make none"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = arguments(argv)
    return run_evaluation(__file__, lambda installation: measure(options, installation))


def measure(options: argparse.Namespace, _: Installation) -> int:
    """Measure, write the page and show the tables; return the exit code."""
    from training import speed_page, speed_run
    from training.speed_scores import RunFile

    file = RunFile(options.runs) if options.page_only else speed_run.evaluate(options)
    page = speed_page.write(file.runs, options.output)
    print(f"\n{speed_page.tables(file.runs)}\n\nWritten: {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
