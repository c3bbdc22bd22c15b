"""Commands that need ComfyUI's packages in their own process: a second run under its Python, with its modules importable."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .command import run_command
from .installation import CommandError, Installation, ensure_installation, missing_packages
from .launch_comfyui import install_torchvision_finder

ROOT = Path(__file__).resolve().parent.parent

INSTALLATION_VARIABLE = "PAINTSUNDO_INSTALLATION"
"""Set for the second run of a command; holds Installation.encode()."""


def run_under_comfyui(script: str, requirements: Path | None = None, *, is_optional: bool = False) -> int:
    """Run a script again with its arguments, under the Python of ComfyUI; return its exit code.

    Args:
        script: its file.
        requirements: packages that the script needs beside ComfyUI's; they are installed only into the clone's own
            environment. None where it needs none.
        is_optional: the script can do without these packages.

    Raises:
        CommandError: there is no ComfyUI, or a package is missing.
    """
    installation = ensure_installation(ROOT)
    missing = missing_packages(installation.python, requirements) if requirements else []
    if missing and installation.is_pinned:
        subprocess.check_call([str(installation.python), "-m", "pip", "install", "-q", *missing])
    elif missing and not is_optional:
        raise CommandError(f'This needs: "{installation.python}" -m pip install {" ".join(missing)}')
    environment = {
        **os.environ,
        INSTALLATION_VARIABLE: installation.encode(),
        "COMFYUI_PATH": str(installation.comfyui),
    }
    command = [str(installation.python), str(Path(script).resolve()), *sys.argv[1:]]
    sys.stdout.flush()
    if os.name != "nt":  # the second run takes the place of the first, and Ctrl-C reaches it alone
        os.execve(command[0], command, environment)
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the second run got it too, and is ending
            time.sleep(0.1)


def run_command_under_comfyui(
    script: str,
    requirements: Path,
    work: Callable[[Installation], int | None],
    *errors: type[Exception],
    is_optional: bool = False,
) -> int:
    """A command whose work is done by its second run, which knows the host; return the exit code.

    Args:
        script: the command's file.
        requirements: packages that it needs beside the host's.
        work: what to do with the host; returns the exit code, None is 0.
        *errors: what the work raises with a message for the user, beside CommandError.
        is_optional: it can do without the packages.
    """

    def run() -> int | None:
        installation = installation_of_this_run()
        return (
            work(installation)
            if installation
            else run_under_comfyui(script, requirements, is_optional=is_optional)
        )

    return run_command(run, *errors)


def installation_of_this_run() -> Installation | None:
    """The host that this Python belongs to, in the second run of a command; None in the first."""
    encoded = os.environ.pop(INSTALLATION_VARIABLE, None)
    return Installation.decode(encoded) if encoded else None


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
