"""Commands that need ComfyUI's packages in their own process: a second run under its Python, with its modules importable."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from .command import run_command
from .host import Host, HostError, ensure_host, missing_packages
from .launch_comfyui import install_torchvision_finder

ROOT = Path(__file__).resolve().parent.parent

HOST_VARIABLE = "PAINTSUNDO_COMMAND_HOST"
"""Set for the second run of a command; holds Host.encode()."""


def run_under_host(script: str, requirements: Path, *, is_optional: bool = False) -> int:
    """Run a script again with its arguments, under the host's Python; return its exit code.

    Args:
        script: its file.
        requirements: packages that it needs beside the host's; installed only where that Python is the clone's own.
        is_optional: it can do without them.

    Raises:
        HostError: there is no host, or it lacks a package.
    """
    host = ensure_host(ROOT)
    missing = missing_packages(host.python, requirements)
    if missing and host.is_pinned:
        subprocess.check_call([str(host.python), "-m", "pip", "install", "-q", *missing])
    elif missing and not is_optional:
        raise HostError(f'This needs: "{host.python}" -m pip install {" ".join(missing)}')
    environment = {**os.environ, HOST_VARIABLE: host.encode(), "COMFYUI_PATH": str(host.comfyui)}
    return subprocess.call([str(host.python), str(Path(script).resolve()), *sys.argv[1:]], env=environment)


def run_command_under_host(
    script: str,
    requirements: Path,
    work: Callable[[Host], int | None],
    *errors: type[Exception],
    is_optional: bool = False,
) -> int:
    """A command whose work is done by its second run, which knows the host; return the exit code.

    Args:
        script: the command's file.
        requirements: packages that it needs beside the host's.
        work: what to do with the host; returns the exit code, None is 0.
        *errors: what the work raises with a message for the user, beside HostError.
        is_optional: it can do without the packages.
    """

    def run() -> int | None:
        host = host_of_this_run()
        return work(host) if host else run_under_host(script, requirements, is_optional=is_optional)

    return run_command(run, *errors)


def host_of_this_run() -> Host | None:
    """The host that this Python belongs to, in the second run of a command; None in the first."""
    encoded = os.environ.pop(HOST_VARIABLE, None)
    return Host.decode(encoded) if encoded else None


def prepare(threads: int | None = None) -> None:
    """Put ComfyUI (COMFYUI_PATH) and the pack on the path, and choose the CPU where torch sees no GPU.

    To be called before anything of `comfy` is imported.
    """
    sys.path[:0] = [os.environ["COMFYUI_PATH"], str(ROOT)]
    install_torchvision_finder()
    import torch
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available()
    args.use_pytorch_cross_attention = True
    if threads:
        torch.set_num_threads(threads)
