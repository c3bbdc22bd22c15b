"""Train both models at small width: `python training/train.py all`. See training/README.md.

The command starts itself again under the Python of a ComfyUI, whose classes the networks are made of: the ComfyUI that
COMFYUI_PATH names, or one that is installed inside this clone.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("image_vae", "image_decoder", "latents", "video_vae", "single_frame", "multi_frame", "export")

if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("train.py")

from tools.command import run_command  # noqa: E402
from tools.under_comfyui import installation_of_this_run, prepare, run_under_comfyui  # noqa: E402
from training.settings import load_settings  # noqa: E402


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the program."""
    parser = argparse.ArgumentParser(
        prog="train.py",
        description="Train small checkpoints of both models. An interrupted run goes on from its last checkpoint.",
    )
    parser.add_argument("stages", nargs="+", choices=("all", *STAGES), help="stages to do, in this order")
    parser.add_argument(
        "--settings",
        type=Path,
        default=ROOT / "training" / "demo.json",
        help="JSON file with the networks' widths and the steps of each stage; by default that of the demo",
    )
    parser.add_argument(
        "--run", type=Path, help="folder of the run; by default training/runs/NAME of the settings"
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        help="folder with recordings of drawing: sub-folders of numbered pictures, or videos; without it the procedural "
        "painter makes the pictures",
    )
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FOLDER",
        help="begin from the checkpoints in this folder, made by this tool at the same widths (paintsundo_models/demo, or "
        "RUN/export), instead of fresh weights",
    )
    parser.add_argument("--threads", type=int, help="processor threads; by default as many as torch likes")
    options = parser.parse_args(argv)
    if "all" in options.stages:
        options.stages = [stage for stage in STAGES if not options.start or stage != "image_vae"]
    elif options.start and "image_vae" in options.stages:
        parser.error(
            "--start keeps the image VAE, whose latents the other networks know: leave image_vae out"
        )
    return options


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = arguments(argv)
    return run_command(
        lambda: train(options),
        ValueError,
        FileNotFoundError,
        on_cancel="Stopped. The same command goes on from the last checkpoint.",
    )


def train(options: argparse.Namespace) -> int:
    """Do the stages under ComfyUI's Python; return the exit code."""
    settings = load_settings(options.settings)  # first, because installing a ComfyUI takes minutes
    if installation_of_this_run() is None:
        return run_under_comfyui(__file__, ROOT / "training" / "requirements.txt")
    prepare(options.threads)
    from training import trainer

    run = options.run or ROOT / "training" / "runs" / options.settings.stem
    trainer.run(options.stages, settings, run.resolve(), options.recordings, options.start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
