"""What the commands of the evaluation share: the checkpoints' options, and the start under ComfyUI's Python."""

import argparse
from collections.abc import Callable
from pathlib import Path

from paintsundo_models.constants import DEMO_NAME
from tools.installation import Installation
from tools.painting import DEMO_WORKFLOW, FAST_WORKFLOW
from tools.under_comfyui import prepare, run_command_under_comfyui

ROOT = Path(__file__).resolve().parent.parent

DEMO, NODES, FAST = "demo", "nodes", "fast"
SETTINGS = {
    DEMO: (DEMO_WORKFLOW, "those of the demo's workflow"),
    NODES: (None, "the nodes' defaults"),
    FAST: (FAST_WORKFLOW, "those of the fast workflow"),
}
"""What is measured or compared: the workflow whose settings are taken, and its name on the page."""


def evaluation_parser(
    script: str, description: str, output_help: str = "folder of the page"
) -> argparse.ArgumentParser:
    """Return a parser with the options --single and --output."""
    parser = argparse.ArgumentParser(prog=Path(script).name, description=description)
    parser.add_argument("--single", default=DEMO_NAME, help="single-frame checkpoint, as in its loader")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help=f"{output_help} (default: docs)")
    return parser


def add_multi(parser: argparse.ArgumentParser) -> None:
    """Add the option --multi."""
    parser.add_argument("--multi", default=DEMO_NAME, help="multi-frame checkpoint, as in its loader")


def run_evaluation(script: str, measure: Callable[[Installation], int]) -> int:
    """Run a measurement under the Python of a ComfyUI, on one thread; return the exit code.

    Args:
        script: path of the command's file.
        measure: called with the installation once ComfyUI's packages can be imported; returns the exit code.
    """

    def measured(installation: Installation) -> int:
        prepare(threads=1)  # most networks run in a server's process
        return measure(installation)

    requirements = ROOT / "training" / "requirements.txt"
    return run_command_under_comfyui(script, requirements, measured, ValueError, OSError)
