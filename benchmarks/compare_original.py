"""Compare our networks with those of the original program: `python benchmarks/compare_original.py PATH`.

PATH is a checkout of Paints-UNDO. Both sides run alternately in one process on the CPU, in float32, with the same
full-size weights and inputs. The checkout's modules are imported from PATH; none of its code is in this repository.
The comparison needs the package diffusers in ComfyUI's Python. Where xformers is missing, torch's attention replaces it.
"""

import argparse
import statistics
import sys
import time
import types
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from tools.markdown import row  # noqa: E402
from tools.under_comfyui import prepare, run_command_under_comfyui  # noqa: E402

HEADINGS = (
    *("computation", "original, s", "ours, s", "original / ours"),
    *("least ... most", "largest difference"),
)

if TYPE_CHECKING:
    from torch import Tensor

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
        "--repeats", type=int, default=5, help="timed runs of each side, after one to warm up"
    )
    parser.add_argument("--side", type=int, default=16, help="height and width of the latents")
    options = parser.parse_args(argv)
    requirements = ROOT / "benchmarks" / "requirements.txt"
    return run_command_under_comfyui(
        __file__, requirements, lambda _: run(options), ValueError, is_optional=True
    )


def run(options: argparse.Namespace) -> None:
    """Compare our networks with the checkout that the options name."""
    prepare(options.threads)
    compare(options, make_importable(options.path.resolve()))


def make_importable(path: Path) -> str:
    """Make the checkout's modules importable, with torch's attention where xformers is missing.

    Returns:
        A sentence about the packages that the checkout's modules use.

    Raises:
        ValueError: PATH is no checkout, or diffusers is missing.
    """
    if not (path / "diffusers_vdm" / "unet.py").is_file():
        raise ValueError(f"{path} is no checkout of Paints-UNDO: it has no diffusers_vdm/unet.py.")
    sys.path.append(str(path))
    try:
        import diffusers  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(
            "The original's keyframe network is that of diffusers, which this Python does not have. Install it with\n"
            f"  {sys.executable} -m pip install diffusers"
        ) from error
    try:
        import xformers.ops  # pyright: ignore[reportMissingImports]

        attention = f"xformers {xformers.__version__}"
    except ImportError:
        package, ops = types.ModuleType("xformers"), types.ModuleType("xformers.ops")
        ops.memory_efficient_attention = plain_attention  # pyright: ignore[reportAttributeAccessIssue]
        package.ops = ops  # pyright: ignore[reportAttributeAccessIssue]
        sys.modules.update({"xformers": package, "xformers.ops": ops})
        attention = "torch's scaled_dot_product_attention in place of xformers"
    return f"The original's modules run on diffusers {diffusers.__version__} and {attention}."


def plain_attention(q: "Tensor", k: "Tensor", v: "Tensor") -> "Tensor":
    """Compute xformers' attention of (B, N, C) by torch, as (B, 1, N, C) because torch has a fast kernel for four dimensions."""
    from torch.nn.functional import scaled_dot_product_attention

    return scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]


def compare(options: argparse.Namespace, about: str) -> None:
    """Print the table, with a line for each case as soon as it is measured."""
    import torch

    from benchmarks.original_cases import CASES

    print(
        f"float32 on the CPU, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"{options.repeats} runs of each side in turn; sizes are those of the latents.\n{about}\n"
    )
    print(row(HEADINGS))
    print(row(["---", *["---:"] * (len(HEADINGS) - 1)]), flush=True)
    with torch.inference_mode():
        for cases in CASES:
            # The variable `case` ends with the generator expression, so its networks are freed before the next are made.
            for line in (row(compared(case, options.repeats)) for case in cases(options.side)):
                print(line, flush=True)


def compared(case: "Case", repeats: int) -> list[str]:
    """Run both sides alternately, each first in every other round; return a cell for each of HEADINGS."""
    expected, found = case.original(), case.ours()
    difference = ((found - expected).abs().max() / expected.abs().max()).item()
    sides = {"original": case.original, "ours": case.ours}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for index in range(repeats):
        for name in list(sides) if index % 2 == 0 else reversed(sides):
            start = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - start)
    ratios = [a / b for a, b in zip(seconds["original"], seconds["ours"], strict=True)]
    original, ours = (statistics.median(values) for values in seconds.values())
    return [
        case.name,
        f"{original:.2f}",
        f"{ours:.2f}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} ... {max(ratios):.2f}",
        f"{difference:.1e}",
    ]


if __name__ == "__main__":
    sys.exit(main())
