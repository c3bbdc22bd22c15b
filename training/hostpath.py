"""Runs the commands of this folder under ComfyUI's Python, and makes the host's packages importable there."""

import os
import subprocess
import sys
from pathlib import Path

from tools.host import Host, HostError, ensure_host, missing_packages

ROOT = Path(__file__).resolve().parent.parent

HOST_VARIABLE = "PAINTSUNDO_TRAINING_HOST"
"""Set for the second run of a command, under the host's Python; holds Host.encode()."""


def run_under_host(script: str) -> int:
    """Run a script again with its arguments, under the host's Python; return its exit code.

    The drawing library is installed where that Python is the clone's own.

    Raises:
        HostError: there is no host, or it lacks the library.
    """
    host = ensure_host(ROOT)
    missing = missing_packages(host.python, ROOT / "training" / "requirements.txt")
    if missing and host.is_pinned:
        subprocess.check_call([str(host.python), "-m", "pip", "install", "-q", *missing])
    elif missing:
        raise HostError(f'This needs: "{host.python}" -m pip install {" ".join(missing)}')
    environment = {**os.environ, HOST_VARIABLE: host.encode(), "COMFYUI_PATH": str(host.comfyui)}
    return subprocess.call([str(host.python), str(Path(script).resolve()), *sys.argv[1:]], env=environment)


def encoded_host() -> Host | None:
    """The host that this Python belongs to, in the second run of a command; None in the first."""
    encoded = os.environ.pop(HOST_VARIABLE, None)
    return Host.decode(encoded) if encoded else None


def prepare(threads: int | None = None) -> None:
    """Put ComfyUI (COMFYUI_PATH) and the pack on the path, and choose the CPU where torch sees no GPU.

    To be called before anything of `comfy` is imported.
    """
    sys.path[:0] = [os.environ["COMFYUI_PATH"], str(ROOT)]
    # here, because the first run of a command has no torch
    from tools.launch_comfyui import install_torchvision_finder

    install_torchvision_finder()
    import torch
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available()
    args.use_pytorch_cross_attention = True
    if threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # a sixth faster on a CPU
