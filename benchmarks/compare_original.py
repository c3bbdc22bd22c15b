"""Compare our networks with those of the original program: `python benchmarks/compare_original.py PATH`.

PATH is a checkout of Paints-UNDO. Both sides run alternately in one process on the CPU, in float32, with the same
full-size weights and inputs. The checkout's modules are imported from PATH; none of its code is in this repository.
The comparison needs the package diffusers in ComfyUI's Python. Where xformers is missing, torch's attention replaces it.

With --chain the whole programs are compared, on the demo's weights: see compare_chain.py.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from benchmarks import original_stand_ins as stand_ins  # noqa: E402
from paintsundo_models.constants import DEFAULT_OPERATION_STEPS  # noqa: E402
from tools.installation import Installation  # noqa: E402
from tools.markdown import row  # noqa: E402
from tools.under_comfyui import prepare, run_command_under_comfyui  # noqa: E402

HEADINGS = (
    *("computation", "original, processor s", "ours, processor s", "original / ours"),
    *("least ... most", "largest difference", "gain"),
)
CASES = ("unet", "decode", "keyframes")
LEAST_GAIN = 1.05
PICTURE = ROOT / "docs" / "pictures" / "house.png"

if TYPE_CHECKING:
    from benchmarks.original_cases import Case


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="compare_original.py",
        description="Time of our networks against the original program's, same weights and precision, on the CPU.",
    )
    parser.add_argument("path", type=Path, help="checkout of github.com/lllyasviel/Paints-UNDO")
    parser.add_argument("--threads", type=int, help="processor threads; by default as many as torch likes")
    parser.add_argument(
        "--repeats", type=int, help="timed runs of each side: 5, after one to warm up; with --chain 3"
    )
    parser.add_argument("--side", type=int, default=16, help="height and width of the latents")
    parser.add_argument("--only", choices=CASES, help="compare only this computation (default: all)")
    parser.add_argument(
        "--chain",
        action="store_true",
        help="compare the whole programs on one picture, with the demo's weights",
    )
    parser.add_argument("--picture", type=Path, default=PICTURE, help="with --chain; default: the house")
    parser.add_argument(
        "--steps", type=int, default=50, help="with --chain: sampling steps of keyframes and of each segment"
    )
    parser.add_argument(
        "--operation-steps",
        default=DEFAULT_OPERATION_STEPS,
        help=f"with --chain: of the keyframes; default: {DEFAULT_OPERATION_STEPS}",
    )
    options = parser.parse_args(argv)
    options.repeats = options.repeats or (3 if options.chain else 5)
    requirements = ROOT / "benchmarks" / "requirements.txt"
    return run_command_under_comfyui(
        __file__, requirements, lambda found: run(options, found), ValueError, is_optional=True
    )


def run(options: argparse.Namespace, installation: Installation) -> None:
    """Compare our networks, or our chain, with the checkout that the options name."""
    checkout = options.path.resolve()
    require_checkout(checkout)
    stand_ins.require_packages(stand_ins.PACKAGES if options.chain else ("diffusers",))
    prepare(options.threads)
    if not options.chain:
        compare(options, make_importable(checkout))
        return
    from benchmarks.compare_chain import compare_chain

    print(compare_chain(options, installation, lambda text: print(text, file=sys.stderr, flush=True)))


def require_checkout(path: Path) -> None:
    """Check that a folder is a checkout of the original, else raise ValueError."""
    for file in ("diffusers_vdm/unet.py", "gradio_app.py"):
        if not (path / file).is_file():
            raise ValueError(f"{path} is no checkout of Paints-UNDO: it has no {file}.")


def make_importable(path: Path) -> str:
    """Make the checkout's modules importable, with torch's attention where xformers is missing.

    Returns:
        A sentence about the packages that the checkout's modules use.
    """
    sys.path.append(str(path))
    import diffusers  # pyright: ignore[reportMissingImports]

    try:
        import xformers.ops  # pyright: ignore[reportMissingImports]

        attention = f"xformers {xformers.__version__}"
    except ImportError:
        stand_ins.replace_xformers()
        attention = "torch's scaled_dot_product_attention in place of xformers"
    return f"The original's modules run on diffusers {diffusers.__version__} and {attention}."


def compare(options: argparse.Namespace, about: str) -> None:
    """Print the table, with a line for each case as soon as it is measured."""
    import torch

    from benchmarks.machine import device
    from benchmarks.original_cases import keyframe_cases, segment_cases, video_decode_cases

    print(
        f"float32 on the CPU, {options.repeats} runs of each side in turn; sizes are those of the latents.\n"
        f"{device()}\n{about}\n"
    )
    print(row(HEADINGS))
    print(row(["---", *["---:"] * (len(HEADINGS) - 1)]), flush=True)
    with torch.inference_mode():
        for name, cases in zip(CASES, (segment_cases, video_decode_cases, keyframe_cases), strict=True):
            if options.only not in (None, name):
                continue
            # The variable `case` ends with the generator expression, so its networks are freed before the next are made.
            for line in (row(compared(case, options.repeats)) for case in cases(options.side)):
                print(line, flush=True)


def compared(case: "Case", repeats: int) -> list[str]:
    """Run both sides alternately, each first in every other round; return a cell for each of HEADINGS.

    Processor time, which other programs on the machine change little; with one thread it is the time of a quiet machine.
    """
    expected, found = case.original(), case.ours()
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    sides = {"original": case.original, "ours": case.ours}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for index in range(repeats):
        for name in list(sides) if index % 2 == 0 else reversed(sides):
            start = time.process_time()
            sides[name]()
            seconds[name].append(time.process_time() - start)
    ratios = [a / b for a, b in zip(seconds["original"], seconds["ours"], strict=True)]
    original, ours = (statistics.median(values) for values in seconds.values())
    return [
        case.name,
        f"{original:.2f}",
        f"{ours:.2f}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} ... {max(ratios):.2f}",
        f"{difference:.1e}",
        gain(ratios),
    ]


def gain(ratios: list[float]) -> str:
    """Say whether ours is faster: only if it was in every run, and by a twentieth or more in the median."""
    return "yes" if min(ratios) > 1 and statistics.median(ratios) >= LEAST_GAIN else "no gain"


if __name__ == "__main__":
    sys.exit(main())
