"""Run a command that imports ComfyUI's packages: start it again under ComfyUI's Python, and make ComfyUI importable."""

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
"""Environment variable that is set for the second run of a command; its value is Installation.encode()."""


def run_under_comfyui(script: str, requirements: Path | None = None, *, is_optional: bool = False) -> int:
    """Run a script again with its arguments, under ComfyUI's Python; return its exit code.

    Args:
        script: path of the script.
        requirements: file with packages that the script needs besides ComfyUI's; None if there are none. They are installed
            only into the environment in `.host/`.
        is_optional: the script works without these packages.

    Raises:
        CommandError: ComfyUI is not found, or a package is missing.
    """
    installation = ensure_installation(ROOT)
    missing = missing_packages(installation.python, requirements) if requirements else []
    if missing and installation.is_pinned:
        subprocess.check_call([str(installation.python), "-m", "pip", "install", "-q", *missing])
    elif missing and not is_optional:
        names = " ".join(f'"{name}"' for name in missing)  # quoted, because a shell would take > for a file
        raise CommandError(f'This needs: "{installation.python}" -m pip install {names}')
    environment = {
        **os.environ,
        INSTALLATION_VARIABLE: installation.encode(),
        "COMFYUI_PATH": str(installation.comfyui),
    }
    command = [str(installation.python), str(Path(script).resolve()), *sys.argv[1:]]
    sys.stdout.flush()
    if os.name != "nt":  # replace this process, so that Ctrl-C reaches only the second run
        os.execve(command[0], command, environment)
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the second run received the Ctrl-C too, and is ending
            time.sleep(0.1)


def run_command_under_comfyui(
    script: str,
    requirements: Path,
    work: Callable[[Installation], int | None],
    *errors: type[Exception],
    is_optional: bool = False,
) -> int:
    """Run a command whose work needs ComfyUI's Python; return the exit code.

    The first run starts the second one under ComfyUI's Python, which calls `work`.

    Args:
        script: path of the command's file.
        requirements: file with packages that the command needs besides ComfyUI's.
        work: called with the installation; returns the exit code, None is 0.
        *errors: further exceptions, besides CommandError, whose message is meant for the user.
        is_optional: the command works without these packages.
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
    """Return the installation that this Python belongs to in the second run of a command, and None in the first run."""
    encoded = os.environ.pop(INSTALLATION_VARIABLE, None)
    return Installation.decode(encoded) if encoded else None


def prepare(threads: int | None = None) -> None:
    """Make ComfyUI (COMFYUI_PATH) and the pack importable, and select the CPU if torch sees no GPU.

    Call it before importing any module of `comfy`.
    """
    sys.path[:0] = [os.environ["COMFYUI_PATH"], str(ROOT)]
    install_torchvision_finder()
    import torch
    from comfy.cli_args import args

    args.cpu = not torch.cuda.is_available()
    args.use_pytorch_cross_attention = True
    if threads:
        torch.set_num_threads(threads)
