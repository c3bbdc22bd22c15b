"""Fit the colours of live previews to a checkpoint's latents: `python training/fit_preview_colours.py`, a minute.

A live preview makes the colours of a pixel from the four numbers of a latent, by factors and a bias. ComfyUI's are those
of SD 1.5, and a VAE of other latents needs its own. This command fits them to the built-in demo and writes them beside
its files, where the loaders read them; the weights stay as they are. Like train.py, it starts itself again under the
Python of a ComfyUI.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent

if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("fit_preview_colours.py")

from paintsundo_models.constants import PREVIEW_BIAS_KEY, PREVIEW_FACTORS_KEY  # noqa: E402
from tools.under_comfyui import prepare, run_command_under_comfyui  # noqa: E402

if TYPE_CHECKING:
    import comfy.sd
    from torch import Tensor

SIZES = ((128, 192), (192, 128), (128, 128))
STEPS = (0, 250, 500, 750, 900, 999)
DECIMALS = 4


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the program."""
    parser = argparse.ArgumentParser(
        prog="fit_preview_colours.py",
        description="Fit the colours of live previews to the latents of the built-in demo.",
    )
    parser.add_argument("--pictures", type=int, default=24, help="paintings to fit to (default: 24)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "paintsundo_models" / "demo",
        help="of single-frame.safetensors and multi-frame.safetensors (default: the demo's)",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = arguments(argv)
    requirements = ROOT / "training" / "requirements.txt"
    return run_command_under_comfyui(
        __file__, requirements, lambda installation: write(options), ValueError, OSError
    )


def write(options: argparse.Namespace) -> int:
    """Fit, say the errors on other paintings, and write the files; return the exit code."""
    prepare(threads=1)
    import comfy.latent_formats

    from paintsundo_models.checkpoints.files import CONFIGS_SUFFIX
    from paintsundo_models.loading import load_single_frame

    vae = load_single_frame(options.folder / "single-frame.safetensors", "fp32").vae
    factors, bias = fit(*samples(vae, range(options.pictures)))
    others = samples(vae, range(options.pictures, 2 * options.pictures))
    print(f"Mean error on {options.pictures} other paintings, of 255: {error(*others, factors, bias):.1f}")
    host = comfy.latent_formats.SD15()
    print(f"With ComfyUI's factors: {error(*others, host.latent_rgb_factors, [0.0] * 3):.1f}")
    # Both models have the same encoder, so their latents have the same colours.
    for name in ("single-frame", "multi-frame"):
        file = options.folder / f"{name}{CONFIGS_SUFFIX}"
        text = json.dumps({"vae": {PREVIEW_FACTORS_KEY: factors, PREVIEW_BIAS_KEY: bias}}, indent=1)
        file.write_text(text + "\n", encoding="utf-8", newline="\n")
        print(f"Written: {file}")
    return 0


def samples(vae: "comfy.sd.VAE", seeds: range) -> tuple["Tensor", "Tensor"]:
    """Return scaled latents (N, 4) and the mean colours in [-1, 1] of the 8 x 8 pixels that each stands for, (N, 3)."""
    import torch

    from training.latents import LATENT_SCALE
    from training.scenes import Painting

    latents, colours = [], []
    for seed in seeds:
        painting = Painting(seed, *SIZES[seed % len(SIZES)])
        pixels = torch.from_numpy(painting.states(STEPS)).float() / 255
        encoded: Tensor = vae.encode(pixels)  # pyright: ignore[reportAssignmentType]  # ComfyUI's annotation allows None
        latents.append((encoded.float() * LATENT_SCALE).movedim(1, -1).reshape(-1, encoded.shape[1]))
        pooled = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8)
        colours.append((pooled * 2 - 1).movedim(1, -1).reshape(-1, 3))
    return torch.cat(latents), torch.cat(colours)


def fit(latents: "Tensor", colours: "Tensor") -> tuple[list[list[float]], list[float]]:
    """Return the factors (4, 3) and the bias (3) of the least squared error."""
    import torch

    ones = torch.ones(len(latents), 1)
    solution = torch.linalg.lstsq(torch.cat([latents, ones], dim=1), colours).solution
    rows = [[round(number, DECIMALS) for number in row] for row in solution.tolist()]
    return rows[:-1], rows[-1]


def error(latents: "Tensor", colours: "Tensor", factors: list[list[float]], bias: list[float]) -> float:
    """Return the mean error of a preview's colours, as shown: 0 to 255."""
    import torch

    shown = (latents @ torch.tensor(factors) + torch.tensor(bias)).clamp(-1, 1)
    return (shown - colours).abs().mean().item() * 127.5


if __name__ == "__main__":
    sys.exit(main())
