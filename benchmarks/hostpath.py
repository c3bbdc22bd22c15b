"""Finds the host and makes its packages importable; to be used before anything of `comfy` is imported."""

import os
import subprocess
import sys
from pathlib import Path

from tools.host import ensure_host
from tools.launch_comfyui import install_torchvision_finder

ROOT = Path(__file__).resolve().parent.parent
HOST_VARIABLE = "PAINTSUNDO_BENCHMARK_HOST"  # set for the second run of a command, under the host's Python


def is_under_host() -> bool:
    """Whether this Python is the host's already."""
    return HOST_VARIABLE in os.environ


def run_under_host(script: str) -> int:
    """Run a command of this folder again under ComfyUI's Python; return its exit code.

    Packages are installed only where that Python is the pack's own.

    Raises:
        HostError: there is no ComfyUI, and none can be made.
    """
    host = ensure_host(ROOT)
    if host.is_pinned:
        requirements = ROOT / "benchmarks" / "requirements.txt"
        subprocess.check_call([host.python, "-m", "pip", "install", "-q", "-r", requirements])
    environment = {**os.environ, HOST_VARIABLE: "1", "COMFYUI_PATH": str(host.comfyui)}
    return subprocess.call([str(host.python), str(Path(script).resolve()), *sys.argv[1:]], env=environment)


def prepare(threads: int | None = None) -> None:
    """Put ComfyUI (COMFYUI_PATH) and the pack on the path, as paint.py's server is set up: GPU where torch sees one."""
    sys.path[:0] = [os.environ["COMFYUI_PATH"], str(ROOT)]
    install_torchvision_finder()
    import torch
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available()
    args.use_pytorch_cross_attention = True
    if threads:
        torch.set_num_threads(threads)
    import comfy.utils

    comfy.utils.set_progress_bar_enabled(False)
