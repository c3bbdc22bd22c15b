"""All checks: format, lint, types and tests, against a real ComfyUI. `python run_tests.py --help` shows the choices.

Makes what it needs inside this folder, as paint.py does; COMFYUI_PATH names a ComfyUI to test against instead.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent

sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("run_tests.py")

from tools.command import run_command  # noqa: E402
from tools.installation import Installation, ensure_installation  # noqa: E402
from tools.pinned_comfyui import work_folder  # noqa: E402
from tools.programs import PACKAGES, find_program, missing_libraries  # noqa: E402

# Two processes halve the time of all tests. For a few tests one is faster: a second one first has to import ComfyUI.
# All tests of a file go to one process, because they share what the file sets up.
TWO_PROCESSES = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")

DESCRIPTION = """\
Without arguments: format, lint, types and all tests, as CI runs them.
With --quick: the same without the slow tests (servers, training, benchmarks, the stand-in for a GPU).
With a PATH or -k: only these tests, and neither format, lint nor types; --lint runs those too.
"""
EPILOG = """\
examples:
  python run_tests.py --quick
  python run_tests.py tests/video_tests
  python run_tests.py tests/video_tests/test_timeline.py -k hold
  python run_tests.py tests/node_tests -x --durations=10     (other options are pytest's)
"""


def main(argv: list[str]) -> int:
    """Run what the arguments ask for; return 0 when nothing failed."""
    options, pytest_options = parse_arguments(argv)
    return run_command(lambda: run_checks(options, pytest_options))


def parse_arguments(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return this command's own options and those that pytest gets as they are."""
    parser = argparse.ArgumentParser(
        "run_tests.py",
        usage="%(prog)s [--quick] [--lint | --no-lint] [-k EXPRESSION] [PATH ...] [pytest options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="folder, file or file::name of tests")
    parser.add_argument(
        "-k", dest="expression", metavar="EXPRESSION", help="tests whose names fit, as in pytest"
    )
    parser.add_argument("--quick", action="store_true", help="leave the slow tests out")
    parser.add_argument(
        "--lint", action=argparse.BooleanOptionalAction, help="run format, lint and types, or not"
    )
    parser.add_argument("--types", action="store_true", help="run the type check alone")
    options, pytest_options = parser.parse_known_intermixed_args(argv)
    for missing in (path for path in options.paths if not find_tests(path)):
        parser.error(
            f"there is no {missing}. PATH is a folder or a file of tests, such as tests/video_tests; "
            "write the value of a pytest option behind a =, as in --durations=10."
        )
    options.paths = [find_tests(path) for path in options.paths]
    if options.lint is None:
        options.lint = not (options.paths or options.expression)
    return options, pytest_options


def find_tests(path: str) -> str | None:
    """Return the absolute form of a PATH, which may be relative to the current folder or to the clone."""
    file, separator, name = path.partition("::")
    found = [folder / file for folder in (Path.cwd(), ROOT) if (folder / file).exists()]
    return f"{found[0].resolve()}{separator}{name}" if found else None


def run_checks(options: argparse.Namespace, pytest_options: list[str]) -> int:
    """Make or find the installation of ComfyUI, then run the checks that were asked for; return the exit code."""
    install_system_packages()
    installation = ensure_installation(ROOT, for_tests=True)
    steps = plan_checks(options, pytest_options, str(installation.python), str(type_settings(installation)))
    environment = {
        # Two servers with as many threads each as there are cores wait for one another at every step.
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "COMFYUI_PATH": str(installation.comfyui),
        "COMFYUI_PYTHON": str(installation.python),
    }
    results = {name: run_step(name, command, environment) for name, command in steps.items()}
    print("\n" + ", ".join(f"{name}: {'ok' if code == 0 else 'FAILED'}" for name, code in results.items()))
    return 0 if not any(results.values()) else 1


def plan_checks(
    options: argparse.Namespace, pytest_options: list[str], python: str, settings: str
) -> dict[str, list[str]]:
    """Return the command of each check, in the order in which they run."""
    types = [python, "-m", "pyright", "--project", settings, "--pythonpath", python]
    if options.types:
        return {"types": types}
    steps: dict[str, list[str]] = {}
    if options.lint:
        steps["format"] = [python, "-m", "ruff", "format", "--check"]
        steps["lint"] = [python, "-m", "ruff", "check"]
        steps["types"] = types
    steps["tests"] = [python, "-m", "pytest", *(options.paths or ["tests"])]
    if not (options.paths or options.expression):
        steps["tests"] += TWO_PROCESSES
    if options.expression:
        steps["tests"] += ["-k", options.expression]
    if options.quick:
        steps["tests"] += ["-m", "not slow"]
    steps["tests"] += pytest_options
    return steps


def run_step(name: str, command: list[str], environment: dict[str, str]) -> int:
    """Run one check with its output on the terminal; return its exit code."""
    print(f"\n=== {name}: {' '.join(command[1:])}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def type_settings(installation: Installation) -> Path:
    """Write pyright's settings of pyproject.toml with the ComfyUI that is in use; return the file."""
    folder = work_folder(ROOT)
    folder.mkdir(exist_ok=True)
    path = folder / "pyrightconfig.json"
    settings = {"extends": "../pyproject.toml", "extraPaths": [str(installation.comfyui), str(ROOT)]}
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def install_system_packages() -> None:
    """Install the browser, ffmpeg and the libraries that some tests need, where no one has to be asked for a password.

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
            # A system that was just started may be installing updates of its own.
            command = [*prefix, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments]
            code = subprocess.call(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
            if code != 0:
                print(f"Note: {' '.join(command)} failed (exit code {code}); its output is in {log}")
                return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
