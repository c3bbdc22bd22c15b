"""Both models on a device other than the CPU. It is a stand-in also on a machine with a GPU."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHAIN = Path(__file__).with_name("chain.py")


RUNS = ("fp32 all", "fp16 all", "fp32 low")


@pytest.fixture(scope="module")
def reports(seeded_checkpoints):
    """The reports of chain.py, by run. One process does all runs, because starting it takes long."""
    folders = [str(folder) for folder in seeded_checkpoints.values()]
    command = [sys.executable, str(CHAIN), *folders, *RUNS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return dict(zip(RUNS, lines, strict=True))


@pytest.fixture(params=RUNS)
def run(request, reports):
    """(weight_dtype, memory, the report of chain.py)."""
    return *request.param.split(), reports[request.param]


def test_result_is_that_of_the_cpu_and_comes_back_to_it(run):
    dtype, _, report = run
    assert report["devices"] == ["cpu", "cpu"]
    assert max(report["errors"]) < {"fp32": 1e-5, "fp16": 5e-3}[dtype]


def test_weights_are_where_the_host_puts_them(run):
    _, memory, report = run
    if memory == "low":
        assert report["share_there"] < 0.5
    else:
        assert report["share_there"] == 1


def test_sampling_does_not_wait_for_the_device(run):
    """Two numbers are read before the steps, and on newer hosts whether each of the two results is finite; one a step
    would keep the CPU from running ahead.
    """
    *_, report = run
    assert report["waits"], "what is read is seen"
    most = {line: 2 if "/host/sampling.py:" in line else 1 for line in report["waits"]}
    assert all(count <= most[line] for line, count in report["waits"].items()), report["waits"]
