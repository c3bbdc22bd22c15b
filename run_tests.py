"""All checks: format, lint, types and tests, against a real ComfyUI. `python run_tests.py [--no-lint] [pytest arguments]`.

Makes what it needs inside this folder, as paint.py does; COMFYUI_PATH names a ComfyUI to test against instead.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent

if sys.version_info < (3, 10):  # noqa: UP036  older Pythons get this far, and deserve the reason
    sys.exit("run_tests.py needs Python 3.10 or newer; this is {}.{}.".format(*sys.version_info))
sys.path.insert(0, str(ROOT))

from tools.command import run_command  # noqa: E402
from tools.host import Host, ensure_host, work_folder  # noqa: E402
from tools.programs import PACKAGES, find_program, missing_libraries  # noqa: E402


def main(argv: list[str]) -> int:
    """Run everything; return 0 when nothing failed."""
    has_lint = "--no-lint" not in argv
    pytest_arguments = [argument for argument in argv if argument != "--no-lint"]
    return run_command(lambda: run_checks(has_lint, pytest_arguments))


def run_checks(has_lint: bool, pytest_arguments: list[str]) -> int:
    """Make the host, then run every check; return the exit code."""
    install_system_packages()
    host = ensure_host(ROOT, for_tests=True)
    python = str(host.python)
    steps: dict[str, list[str]] = {}
    if has_lint:
        steps["format"] = [python, "-m", "ruff", "format", "--check"]
        steps["lint"] = [python, "-m", "ruff", "check"]
        steps["types"] = [
            python,
            "-m",
            "pyright",
            "--project",
            str(type_settings(host)),
            "--pythonpath",
            python,
        ]
    steps["tests"] = [python, "-m", "pytest", "tests", *pytest_arguments]
    environment = {**os.environ, "COMFYUI_PATH": str(host.comfyui), "COMFYUI_PYTHON": python}
    results = {name: run_step(name, command, environment) for name, command in steps.items()}
    print("\n" + ", ".join(f"{name}: {'ok' if code == 0 else 'FAILED'}" for name, code in results.items()))
    return 0 if not any(results.values()) else 1


def run_step(name: str, command: list[str], environment: dict[str, str]) -> int:
    """Run one check with its output on the terminal; return its exit code."""
    print(f"\n=== {name}: {' '.join(command[1:])}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def type_settings(host: Host) -> Path:
    """Write pyright's settings of pyproject.toml with the ComfyUI that is in use; return the file."""
    folder = work_folder(ROOT)
    folder.mkdir(exist_ok=True)
    path = folder / "pyrightconfig.json"
    settings = {"extends": "../pyproject.toml", "extraPaths": [str(host.comfyui), str(ROOT)]}
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def install_system_packages() -> None:
    """Install the browser, ffmpeg and the libraries that some tests need, where that is possible and asked of nobody.

    That is on Linux with apt, as root or in CI. Elsewhere the tests that need them skip themselves and say so; in CI
    they fail instead.
    """
    missing = [package for program, package in PACKAGES.items() if not find_program(program)]
    if sys.platform == "linux":
        missing += missing_libraries()
    if not missing:
        return
    is_ci = bool(os.environ.get("CI"))
    is_root = sys.platform == "linux" and os.geteuid() == 0
    if not (shutil.which("apt-get") and (is_root or is_ci)):
        print(f"Note: {' and '.join(missing)} not found; the tests that need them will be skipped.")
        return
    print(f"Installing {' and '.join(missing)} with apt-get ...", flush=True)
    prefix = [] if is_root else ["sudo", "-n"]
    log = work_folder(ROOT) / "apt.log"
    log.parent.mkdir(exist_ok=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("wb") as output:
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
            command = [*prefix, "apt-get", "-q", *arguments]
            code = subprocess.call(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
            if code != 0:
                print(f"Note: {' '.join(command)} failed (exit code {code}); its output is in {log}")
                return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
