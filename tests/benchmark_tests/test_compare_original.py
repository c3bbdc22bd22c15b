"""The comparison with the original program, as far as it can be tested without a checkout of it."""

import argparse
import json
import os
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import compare_chain, compare_original, original_export, original_stand_ins
from benchmarks.compare_chain import Run
from benchmarks.machine import peak_bytes, processor_seconds
from paintsundo_models.checkpoints.files import read_checkpoint
from paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from tools.installation import Installation

ROOT = Path(__file__).parents[2]
COMFY = Path(os.environ.get("COMFYUI_PATH", str(ROOT.parents[1])))
KINDS = {SINGLE_FRAME: "single_frame", MULTI_FRAME: "multi_frame"}


def test_the_stand_in_for_xformers_computes_attention():
    q, k, v = (
        torch.randn(3, length, 8, generator=torch.Generator().manual_seed(length)) for length in (5, 7, 7)
    )
    weights = (q.double() @ k.double().transpose(1, 2) / 8**0.5).softmax(dim=-1)
    expected = weights @ v.double()
    torch.testing.assert_close(original_stand_ins.plain_attention(q, k, v), expected.float())


def test_the_stand_in_for_the_page_takes_a_page_and_goes_through_the_steps():
    page = original_stand_ins.PagePart()
    with page.Blocks().queue() as block, page.Row(scale=1):
        page.Button("Go").click(fn=print, inputs=[]).then(print)
    block.launch(server_name="nowhere")
    assert list(page.Progress().tqdm(range(3), desc="steps")) == [0, 1, 2]


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(original_stand_ins.PACKAGES, "no_such_module", "no-such-package")
    with pytest.raises(ValueError, match="needs no-such-package, .*\n.*pip install no-such-package"):
        original_stand_ins.require_packages(["no_such_module"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_config_has_the_sizes_of_the_tensors(kind, seeded_checkpoints, golden):
    checkpoint = read_checkpoint(seeded_checkpoints[KINDS[kind]], kind)
    for part in checkpoint.parts:
        config = original_export.part_config(kind, part, checkpoint)
        expected = golden.config(f"{KINDS[kind]}.{part}")
        assert {name: config[name] for name in expected} == expected, part


def test_the_exported_demo_is_the_demo_in_the_released_layout(tmp_path):
    demo = original_export.read_demo()
    original_export.export(demo, COMFY / compare_chain.TOKENIZER, tmp_path)
    for kind, checkpoint in demo.items():
        folder = tmp_path / original_export.FOLDERS[kind]
        exported = read_checkpoint(folder, kind)
        assert exported.parts.keys() == checkpoint.parts.keys()
        for part, tensors in checkpoint.parts.items():
            assert exported.parts[part].keys() == tensors.keys()
            assert all(torch.equal(exported.parts[part][name], tensors[name].float()) for name in tensors)
        settings = json.loads((folder / "tokenizer" / "tokenizer_config.json").read_text(encoding="utf-8"))
        vocabulary = json.loads((folder / "tokenizer" / "vocab.json").read_text(encoding="utf-8"))
        assert settings["model_max_length"] == 77
        assert vocabulary[settings["pad_token"]] == {SINGLE_FRAME: 49407, MULTI_FRAME: 0}[kind]


def test_ratios_are_those_of_runs_made_in_turn():
    def run(keyframes, segments, peak):
        return Run({}, {"start": 1.0, "keyframes": keyframes, "segments": segments}, peak)

    originals = [run(2.0, 10.0, 2_000_000_000), run(4.0, 20.0, 2_000_000_000)]
    ours = [run(1.0, 10.0, 1_500_000_000), run(3.0, 10.0, None)]
    rows = {row[0]: row[1:] for row in compare_chain.time_rows(originals, ours)}
    assert rows["processor time of the keyframes, s"] == ["3.00", "2.00", "0.62", "0.50 ... 0.75"]
    assert rows["processor time of the segments, s"] == ["15.00", "10.00", "0.75", "0.50 ... 1.00"]
    assert rows["processor time of the program, s"][:2] == ["19.00", "13.00"]
    assert rows["peak memory of the program, GB"] == ["2.00", "1.50", "0.75", "0.75 ... 0.75"]


def test_differences_are_in_steps_of_eight_bits():
    expected = torch.zeros(1, 4, 4, 3)
    assert compare_chain.compared("all", expected, expected + 1 / 255) == ["all", "1.0000", "1.0000", "48.1"]
    assert compare_chain.compared("none", expected, expected)[1:] == ["0.0000", "0.0000", "equal"]


@pytest.mark.parametrize(
    ("ratios", "word"),
    [([1.2, 1.1, 1.3], "yes"), ([0.94, 1.08, 1.07], "no gain"), ([1.01, 1.02, 1.04], "no gain")],
)
def test_a_gain_is_one_in_every_run(ratios, word):
    assert compare_original.gain(ratios) == word


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is known on Linux only")
def test_a_process_has_processor_time_and_a_peak():
    before = processor_seconds(os.getpid())
    block = torch.ones(50_000_000)
    assert peak_bytes(os.getpid()) > block.nbytes
    sum(range(3_000_000))
    assert processor_seconds(os.getpid()) > before


def test_our_chain_runs_in_a_comfyui_and_takes_given_keyframes(tmp_path):
    picture = ROOT / "docs" / "pictures" / "house.png"
    options = argparse.Namespace(path=tmp_path, picture=picture, steps=1, operation_steps="999", threads=1)
    chain = compare_chain.Chain(options, Installation(Path(sys.executable), COMFY, False), tmp_path)
    assert (chain.job.width, chain.job.height) == (128, 192)
    run = chain.ours()
    assert run.tensors["keyframes"].shape == (1, 192, 128, 3)
    assert run.tensors["segments"].shape == (2, 16, 192, 128, 3)
    assert min(run.seconds.values()) > 0
    # Other keyframes than those that it would paint: black ones, which the segments have to reach.
    given = chain.ours(torch.zeros(2, 192, 128, 3, dtype=torch.uint8))
    assert given.tensors["segments"].shape == (1, 16, 192, 128, 3)
    assert given.tensors["segments"][0, [0, -1]].mean() < 0.1 < run.tensors["segments"][0, -1].mean()
