"""Measure the demo checkpoint through the nodes: `python training/evaluate.py`. Writes docs/demo.md.

The exit code is 0 when all bars are met, and 1 when one is missed or the measurement failed. Like train.py, the command
starts itself again under the Python of a ComfyUI.
"""

import argparse
import shlex
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("evaluate.py")

from tools.installation import Installation  # noqa: E402
from training.evaluation_command import DEMO, SETTINGS, add_multi, evaluation_parser, run_evaluation  # noqa: E402


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the program."""
    parser = evaluation_parser(
        __file__,
        "Measure checkpoints on held-out pictures through the nodes, on the CPU, and write the page about it.",
        "folder of demo.md and its pictures",
    )
    add_multi(parser)
    parser.add_argument("--pictures", type=_positive, default=64, help="pictures for keyframes (default: 64)")
    parser.add_argument("--segments", type=_positive, default=64, help="segments (default: 64)")
    parser.add_argument(
        "--settings",
        choices=list(SETTINGS),
        default=DEMO,
        help="demo: those of the demo's workflow (default); nodes: the nodes' defaults; fast: the fast workflow's",
    )
    parser.add_argument("--steps", type=_positive, help="sampling steps of both models, in place of theirs")
    parser.add_argument(
        "--compared",
        type=int,
        default=7,
        help="how many of both are also made with each of the other settings (default: 7; 0: none)",
    )
    parser.add_argument(
        "--save-results", type=Path, help="JSON file for the scores of each picture and segment"
    )
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it has to be a whole number from 1 on, not {text}")
    return int(text)


def command_line(options: argparse.Namespace) -> str:
    """Return the command that repeats this measurement."""
    words, defaults = ["python", "training/evaluate.py"], arguments([])
    for name in ("single", "multi", "pictures", "segments", "settings", "steps", "compared"):
        value = getattr(options, name)
        if value != getattr(defaults, name):
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = arguments(argv)
    return run_evaluation(__file__, lambda installation: measure(options, installation))


def measure(options: argparse.Namespace, installation: Installation) -> int:
    """Measure, write the page and show the table; return the exit code."""
    from training import evaluation, evaluation_page, evaluation_run

    results = evaluation_run.evaluate(installation, options, command_line(options))
    page = evaluation_page.write(results, options.output)
    if options.save_results:
        options.save_results.parent.mkdir(parents=True, exist_ok=True)
        options.save_results.write_text(results.as_json(), encoding="utf-8")
    print(f"\n{evaluation.figure_table(results.figures)}\n\nWritten: {page}")
    for note in results.resized:
        print(f"Note: scaled {note} before comparing")
    return 0 if all(figure.is_met for figure in results.figures) else 1


if __name__ == "__main__":
    sys.exit(main())
