"""The benchmark commands: the counts against figures worked out by other means, the table's arithmetic, a whole run."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.host import Host
from tools.under_host import HOST_VARIABLE

ROOT = Path(__file__).parents[2]
COMFY = os.environ.get("COMFYUI_PATH", str(ROOT.parents[1]))
HOST = Host(Path(sys.executable), Path(COMFY), is_pinned=False)
STAGES = [
    "keyframe prompts",
    "image VAE encode",
    "keyframe UNet step",
    "image VAE decode",
    "segment prompts",
    "CLIP vision",
    "image projection",
    "video VAE encode",
    "3D UNet step",
    "video VAE decode",
]


def start(script, *arguments):
    """A command of benchmarks/ under this Python, on one thread, without the search for a host."""
    return subprocess.Popen(
        [sys.executable, ROOT / "benchmarks" / script, *arguments],
        env={**os.environ, HOST_VARIABLE: HOST.encode(), "COMFYUI_PATH": COMFY, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


@pytest.fixture(scope="module")
def table():
    spec = importlib.util.spec_from_file_location("benchmarks_table", ROOT / "benchmarks" / "table.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_rates_shares_and_peaks_of_given_numbers(table):
    row = table.Row("3D UNet step", 0.5, 20e12, weights=3_000_000_000, working=500_000_000)
    assert row.rate == 40e12
    assert row.share(160e12) == 0.25
    assert row.cells(160e12) == ["3D UNet step", "0.500", "20.0", "40.0", "25", "3.00", "3.50"]


def test_what_is_not_known_is_a_dash(table):
    assert table.Row("video file", 2.0, 0).cells(1e12) == ["video file", "2.00", "-", "-", "-", "-", "-"]
    assert table.Row("whole chain", None, 10e15).cells(None)[1:4] == ["-", "10000", "-"]


def test_markdown_has_a_line_for_each_row_and_the_wanted_columns(table):
    lines = table.markdown(
        [table.Row("a", 1.0, 1e12), table.Row("bb", 2.0, 4e12)], 4e12, ("stage", "% of peak")
    ).splitlines()
    assert lines == [
        "| stage | % of peak |",
        "|-------|----------:|",
        "| a     |        25 |",
        "| bb    |        50 |",
    ]


def test_counts_at_full_size_are_those_worked_out_before(tmp_path):
    """2 x 13.3 TFLOP a step of the 3D UNet, 40 a video decode, 0.6 PFLOP for 6 keyframes of 50 steps."""
    text = finished(start("run.py", "--count", "--output", tmp_path))
    rows = {row["stage"]: row["flop"] for row in json.loads((tmp_path / "figures.json").read_text())["rows"]}
    assert rows["3D UNet step"] == pytest.approx(2 * 13.3e12, rel=0.02)
    assert rows["video VAE decode"] == pytest.approx(40e12, rel=0.05)
    assert 50 * rows["keyframe UNet step"] == pytest.approx(0.6e15, rel=0.05)
    # 11 layers of width 768 (4 d^2 for attention, 8 d^2 for the MLP) on 77 tokens, and attention itself
    prompt = 11 * 2 * (77 * 12 * 768**2 + 2 * 77**2 * 768)
    assert rows["keyframe prompts"] == pytest.approx(2 * prompt, rel=1e-6)
    segment = rows["image projection"] + 50 * rows["3D UNet step"] + rows["video VAE decode"]
    encoded = rows["segment prompts"] + 9 * rows["CLIP vision"] + 8 * rows["video VAE encode"]
    assert rows["all segments"] == pytest.approx(7 * segment + encoded, rel=1e-9)
    assert rows["whole chain"] == rows["all keyframes"] + rows["all segments"]
    assert [row for row in STAGES if row not in text] == []


def test_a_run_measures_every_stage_and_the_chain(tmp_path):
    has_matplotlib = importlib.util.find_spec("matplotlib") is not None
    options = [] if has_matplotlib else ["--no-growth"]
    text = finished(start("run.py", "--quick", "--threads", "1", "--output", tmp_path, *options))
    figures = json.loads((tmp_path / "figures.json").read_text())
    rows = {row["stage"]: row for row in figures["rows"]}
    assert list(rows) == [*STAGES, "all keyframes", "all segments", "video file", "whole chain"]
    for name in (*STAGES, "all keyframes", "all segments", "whole chain"):
        assert rows[name]["flop_per_second"] == pytest.approx(rows[name]["flop"] / rows[name]["seconds"])
        assert 0 < rows[name]["share_of_peak"] < 2, "the peak is measured in the same run"
    parts = sum(rows[name]["seconds"] for name in ("all keyframes", "all segments", "video file"))
    assert parts <= rows["whole chain"]["seconds"] < parts + 1
    assert rows["3D UNet step"]["weights_bytes"] > 50e6
    assert (tmp_path / "table.md").read_text().strip() in text
    assert not list(tmp_path.glob("weights_*")), "the weights must be gone"
    if sys.platform == "linux":
        assert rows["whole chain"]["peak_bytes"] > rows["video VAE decode"]["peak_bytes"]
    if has_matplotlib:
        assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
        assert [len(curve["points"]) for curve in figures["curves"]] == [2, 2, 2, 2]


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    process = start("compare_reference.py", tmp_path)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "is no checkout of Paints-UNDO" in errors


@pytest.mark.parametrize("script", ["run.py", "compare_reference.py"])
def test_commands_begin_with_the_standard_library_alone(script):
    """They are started with any Python, and find the host's by themselves."""
    command = [sys.executable, "-S", ROOT / "benchmarks" / script, "--help"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert "--threads" in result.stdout
