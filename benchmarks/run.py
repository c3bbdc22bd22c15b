"""Measure the chain on this computer's device: `python benchmarks/run.py`. See benchmarks/RESULTS.md.

The command starts itself again under the Python of a ComfyUI: the one that COMFYUI_PATH names, or one that is installed
inside this clone. It generates the weights.
"""

import argparse
import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent

if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("run.py")

from benchmarks import table  # noqa: E402
from benchmarks.machine import device  # noqa: E402
from tools.under_comfyui import prepare, run_command_under_comfyui  # noqa: E402

if TYPE_CHECKING:
    from benchmarks.settings import Setting

LEGEND = (
    "A step is one evaluation of the positive and the negative branch together. The keyframe UNet and the image VAE's decoder work "
    "on all keyframes at once; the vision encoder and both VAEs' encoders on one picture; a segment has 16 frames. "
    "TFLOP: matrix products, convolutions and attention. Peak GB: the stage's own weights and what it needs beyond them."
)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the program."""
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Time, operations and memory of each stage and of the whole chain, on the GPU if there is one.",
    )
    size = parser.add_mutually_exclusive_group()
    sizes = {
        "full-size": "the real networks: at the default sizes on a GPU (the default there), stage by stage at small sizes on a CPU",
        "small": "small networks and small pictures (the default on a CPU)",
        "quick": "small networks, one picture and one step, to see that the command works",
    }
    for name, meaning in sizes.items():
        size.add_argument(f"--{name}", dest="size", action="store_const", const=name, help=meaning)
    parser.add_argument(
        "--count",
        action="store_true",
        help="only count operations and memory of the full-size default chain; needs no GPU",
    )
    parser.add_argument("--no-growth", action="store_true", help="no growth curves")
    parser.add_argument("--threads", type=int, help="processor threads; by default as many as torch likes")
    parser.add_argument(
        "--output",
        type=Path,
        default=ROOT / "output" / "benchmarks",
        help="folder for table.md, figures.json and growth.png; output/benchmarks by default",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = arguments(argv)
    requirements = ROOT / "benchmarks" / "requirements.txt"
    return run_command_under_comfyui(
        __file__, requirements, lambda _: run(options), ValueError, is_optional=True
    )


def run(options: argparse.Namespace) -> None:
    """Count or measure, according to the options."""
    prepare(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    if options.count:
        count(options.output)
    else:
        measure(options)


def count(output: Path) -> None:
    """Count operations and memory of the full-size default chain, and of single evaluations at other sizes."""
    import torch

    from benchmarks.count import Count, count_rows, growth_rows
    from benchmarks.settings import DEFAULT_CHAIN, FULL_GROWTH
    from paintsundo_models.constants import WEIGHT_TYPES

    counter = Count(DEFAULT_CHAIN.listing, getattr(torch, WEIGHT_TYPES[DEFAULT_CHAIN.weight_dtype]))
    rows = count_rows(counter, DEFAULT_CHAIN)
    sizes = growth_rows(counter, FULL_GROWTH.sizes)
    columns = ("stage", "TFLOP", "weights GB", "peak GB")
    chain, growth = (table.markdown(part, None, columns) for part in (rows, sizes))
    figures = {"rows": [row.as_dict(None) for row in rows], "sizes": [row.as_dict(None) for row in sizes]}
    save(
        output, f"{describe(DEFAULT_CHAIN)}\n\n{chain}\n\nOne keyframe and one segment:\n\n{growth}", figures
    )


def measure(options: argparse.Namespace) -> None:
    """Measure, print the tables and save them."""
    import torch

    from benchmarks.settings import choose

    has_gpu = torch.cuda.is_available()
    setting = choose(options.size, has_gpu)
    if has_gpu:
        setting = dataclasses.replace(setting, weight_dtype="fp16")
    if options.no_growth:
        setting = dataclasses.replace(setting, growth=None)
    if setting.growth and importlib.util.find_spec("matplotlib") is None:
        raise ValueError(
            "The growth curves need matplotlib, which this Python does not have. Install it with\n"
            f"  {sys.executable} -m pip install matplotlib\nor measure without them: --no-growth."
        )
    from benchmarks.growth import draw
    from benchmarks.session import measure_all

    results = measure_all(setting, options.output, lambda line: print(line, flush=True))
    about = f"{device()}\n\n{describe(setting)}"
    peak = f"Measured peak: {results.matrix_rate / 1e12:.3g} TFLOP/s (products of large matrices, {setting.weight_dtype})."
    rows = table.markdown(results.rows, results.matrix_rate)
    save(options.output, f"{about} {peak}\n\n{rows}\n\n{LEGEND}", {"about": about, **results.as_dict()})
    if results.curves and setting.growth:
        path = options.output / "growth.png"
        draw(results.curves, f"{device()}: {setting.title}, {setting.growth.steps} steps", path)
        print(f"\nGrowth curves: {path}")


def describe(setting: "Setting") -> str:
    """Return a sentence or two about the setting."""
    keyframe, segment = (f"{width}x{height}" for height, width in (setting.keyframe, setting.segment))
    count = len(setting.operation_steps)
    steps = (
        f" The chain: {count} keyframes, {count + 1} segments, {setting.steps} steps each."
        if setting.steps
        else ""
    )
    return f"{setting.title.capitalize()}: {count} keyframes of {keyframe}, segments of {segment}.{steps}"


def save(output: Path, text: str, figures: dict) -> None:
    """Print the text, and write text and figures into the folder."""
    print(f"\n{text}")
    (output / "table.md").write_text(f"{text}\n", encoding="utf-8")
    (output / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
