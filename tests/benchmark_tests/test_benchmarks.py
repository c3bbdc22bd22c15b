"""The benchmark commands: counts against figures from other calculations, the table's arithmetic, a whole run."""

import importlib.util
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import comfy.model_base
import comfy.model_management
import pytest
import torch
from paintsundo_pack.paintsundo_models.host.multi_frame import MultiFrameConfig
from paintsundo_pack.paintsundo_models.host.video_vae import memory_used_decode, memory_used_encode

from benchmarks import assemble, table
from benchmarks import run as command
from benchmarks.live_memory import counted
from tools.installation import Installation
from tools.under_comfyui import INSTALLATION_VARIABLE

ROOT = Path(__file__).parents[2]
COMFY = os.environ.get("COMFYUI_PATH", str(ROOT.parents[1]))
INSTALLATION = Installation(Path(sys.executable), Path(COMFY), is_pinned=False)
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
    """Start a command of benchmarks/ under this Python, on one thread, as its second process."""
    return subprocess.Popen(
        [sys.executable, ROOT / "benchmarks" / script, *arguments],
        env={
            **os.environ,
            INSTALLATION_VARIABLE: INSTALLATION.encode(),
            "COMFYUI_PATH": COMFY,
            "OMP_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


def test_rates_shares_and_peaks_of_given_numbers():
    row = table.Row("3D UNet step", 0.5, 20e12, weights=3_000_000_000, working=500_000_000)
    assert row.rate == 40e12
    assert row.share(160e12) == 0.25
    assert row.cells(160e12) == ["3D UNet step", "0.500", "20.0", "40.0", "25", "3.00", "3.50"]


def test_what_is_not_known_is_a_dash():
    assert table.Row("video file", 2.0, 0).cells(1e12) == ["video file", "2.00", "-", "-", "-", "-", "-"]
    assert table.Row("whole chain", None, 10e15).cells(None)[1:4] == ["-", "10000", "-"]


def test_markdown_has_a_line_for_each_row_and_the_wanted_columns():
    lines = table.markdown(
        [table.Row("a", 1.0, 1e12), table.Row("bb", 2.0, 4e12)], 4e12, ("stage", "% of peak")
    ).splitlines()
    assert lines == [
        "| stage | % of peak |",
        "|-------|----------:|",
        "| a     |        25 |",
        "| bb    |        50 |",
    ]


@pytest.fixture(scope="module")
def full_size(tmp_path_factory, run_in_process):
    """The text that `run.py --count` prints, and its figures: {"rows", "sizes"}, each by the name of its stage."""
    folder = tmp_path_factory.mktemp("count")
    code, text, errors = run_in_process(command.main, "--count", "--threads", 1, "--output", folder)
    assert code == 0, errors
    figures = json.loads((folder / "figures.json").read_text())
    return text, {part: {row["stage"]: row for row in rows} for part, rows in figures.items()}


def test_counts_at_full_size_are_those_worked_out_before(full_size):
    """2 x 13.3 TFLOP a step of the 3D UNet, 40 a video decode, 0.6 PFLOP for 6 keyframes of 50 steps."""
    text, figures = full_size
    rows = {name: row["flop"] for name, row in figures["rows"].items()}
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


def test_counted_memory_is_that_of_weights_and_tensors(full_size):
    rows = full_size[1]["rows"]
    assert rows["keyframe UNet step"]["weights_bytes"] == pytest.approx(1.72e9, rel=0.01)
    assert rows["3D UNet step"]["weights_bytes"] == pytest.approx(2.88e9 + 0.098e9, rel=0.01)
    # At the finest level: the residual, the convolution's input and its output, each 128 channels of all frames.
    three = 3 * 2 * 128 * 16 * 448 * 384
    working = rows["video VAE decode"]["peak_bytes"] - rows["video VAE decode"]["weights_bytes"]
    assert three < working < 1.2 * three
    assert rows["whole chain"]["peak_bytes"] == max(rows[name]["peak_bytes"] for name in STAGES) < 6e9


def test_counted_memory_is_linear_in_pixels(full_size):
    rows = full_size[1]["sizes"]
    for stage in ("keyframe UNet step", "image VAE decode", "3D UNet step", "video VAE decode"):
        small, large = (rows[f"{size}: {stage}"] for size in ("256x256", "768x1024"))
        working = [row["peak_bytes"] - row["weights_bytes"] for row in (small, large)]
        assert working[1] / working[0] == pytest.approx(768 * 1024 / 256**2, rel=0.01)


def test_the_host_frees_what_the_networks_take_and_not_much_more(full_size, monkeypatch):
    """In half precision with fused attention. Too low an estimate runs out of memory; too high a one unloads weights in vain."""
    monkeypatch.setattr(comfy.model_management, "pytorch_attention_flash_attention", lambda: True)
    model = types.SimpleNamespace(
        memory_usage_factor=MultiFrameConfig.memory_usage_factor,
        memory_usage_factor_conds=(),
        get_dtype=lambda: torch.float16,
        manual_cast_dtype=None,
    )
    for width, height in ((256, 256), (384, 448), (768, 1024)):
        rows = full_size[1]["sizes"]
        latent = (16, height // 8, width // 8)
        estimates = {
            "3D UNet step": comfy.model_base.BaseModel.memory_required(model, [2, 4, *latent]),
            "video VAE decode": memory_used_decode((1, 4, *latent), torch.float16),
        }
        for stage, estimate in estimates.items():
            row = rows[f"{width}x{height}: {stage}"]
            assert 1.2 < estimate / (row["peak_bytes"] - row["weights_bytes"]) < 1.5, stage
    row = full_size[1]["rows"]["video VAE encode"]
    estimate = memory_used_encode((1, 3, 1, 448, 384), torch.float16)
    assert 1.2 < estimate / (row["peak_bytes"] - row["weights_bytes"]) < 1.5


def test_live_tensors_are_followed_as_they_come_and_go():
    x = torch.zeros(1000)

    def run():
        a = x + 1  # 4000 bytes
        b = a[:500] * 2  # 2000 more: 6000
        del a
        b += 1  # in place
        c = torch.cat([b, b, b])  # 6000 more: 8000
        return c.view(3, 500)[1:].clone()  # 4000 more: 12000

    assert counted(run).peak == 12_000
    assert counted(lambda: x.view(10, 100).t()).peak == 0, "a view of what was there before takes nothing"
    query, key = torch.zeros(1, 1, 100, 8), torch.zeros(1, 1, 5000, 8)
    fused = counted(lambda: torch.nn.functional.scaled_dot_product_attention(query, key, key))
    assert fused.peak == query.nbytes, "no matrix of scores"
    assert fused.flops == 2 * 100 * 5000 * (8 + 8), "the products that make and read the matrix of scores"


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
    process = start("compare_original.py", tmp_path)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "is no checkout of Paints-UNDO" in errors


@pytest.mark.parametrize("script", ["run.py", "compare_original.py"])
def test_commands_begin_with_the_standard_library_alone(script):
    """Users start the commands with any Python; the commands find ComfyUI's."""
    command = [sys.executable, "-S", ROOT / "benchmarks" / script, "--help"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert "--threads" in result.stdout


def test_assembling_is_measured_for_a_full_size_video():
    found = assemble.assemble_one(assemble.QUICK[1])
    assert (found.frames, found.size) == (31, (256, 192))
    assert found.segments == 32 * 64 * 48 * 3 * 4
    assert "192x256" in assemble.table([assemble.QUICK[1]], [found])
