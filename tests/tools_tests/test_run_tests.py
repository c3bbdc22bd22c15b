"""Which checks run_tests.py runs for its arguments."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMELINE = "tests/video_tests/test_timeline.py"


@pytest.fixture(scope="module")
def command():
    """run_tests.py as a module."""
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location("run_tests", ROOT / "run_tests.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = path  # the command adds the clone, in which ComfyUI's nodes.py would not be found
    return module


def planned(command, *argv):
    """The commands of the checks, without the Python that runs them."""
    steps = command.plan_checks(*command.parse_arguments(list(argv)), "python", "settings")
    return {name: step[2:] for name, step in steps.items()}


def test_without_arguments_everything_runs(command):
    steps = planned(command)
    assert list(steps) == ["format", "lint", "types", "tests"]
    assert steps["tests"] == ["pytest", "tests", *command.TWO_PROCESSES]


def test_quick_leaves_only_the_slow_tests_out(command):
    steps = planned(command, "--quick")
    assert list(steps) == ["format", "lint", "types", "tests"]
    assert steps["tests"] == ["pytest", "tests", *command.TWO_PROCESSES, "-m", "not slow"]


@pytest.mark.parametrize(
    ("argv", "tests"),
    [
        ((TIMELINE,), [str(ROOT / TIMELINE)]),
        ((f"{TIMELINE}::test_x",), [f"{ROOT / TIMELINE}::test_x"]),
        (("-k", "hold"), ["tests", "-k", "hold"]),
        (("-k", "nodes", TIMELINE), [str(ROOT / TIMELINE), "-k", "nodes"]),
        (("-x", TIMELINE, "--durations=5"), [str(ROOT / TIMELINE), "-x", "--durations=5"]),
    ],
    ids=" ".join,
)
def test_path_or_expression_runs_those_tests_alone(command, argv, tests):
    assert planned(command, *argv) == {"tests": ["pytest", *tests]}
    assert list(planned(command, *argv, "--lint")) == ["format", "lint", "types", "tests"]


def test_no_lint_runs_the_tests_alone(command):
    assert planned(command, "--no-lint") == {"tests": ["pytest", "tests", *command.TWO_PROCESSES]}


def test_types_alone(command):
    assert list(planned(command, "--types")) == ["types"]


def test_path_that_does_not_exist_is_refused(command, capsys):
    with pytest.raises(SystemExit):
        command.parse_arguments(["tests/no_such_tests"])
    assert "there is no tests/no_such_tests" in capsys.readouterr().err


@pytest.mark.slow
def test_command_collects_the_tests_of_its_path():
    """Through the command itself, from another folder."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_tests.py"), TIMELINE, "--collect-only", "-q"],
        cwd=ROOT / "docs",
        env={**os.environ, "COMFYUI_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    tests = [line for line in done.stdout.splitlines() if "::" in line and not line.startswith("===")]
    assert tests
    assert all("test_timeline.py::" in line for line in tests), tests
    assert done.stdout.splitlines()[-1] == "tests: ok"
