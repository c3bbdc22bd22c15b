"""What paint.py --cluster decides and how results travel; the cluster itself is in server_tests/test_cluster.py."""

import argparse
import json
from pathlib import Path

import pytest
from paintsundo_pack.nodes import NODES

from tools import by_segment, cluster, painting
from tools.command import CommandError
from tools.installation import Installation
from tools.workflow import Workflow

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("nodes", "use_cpu", "expected"),
    [
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 4.0}], False, (2, {"num_gpus": 1})),
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 5.0}], True, (6, {"num_cpus": 2})),
        ([{"CPU": 1.0}, {"CPU": 1.0}], False, (2, {"num_cpus": 1})),
        ([{"CPU": 3.0}, {"CPU": 3.0}, {}], False, (2, {"num_cpus": 2})),
    ],
)
def test_workers_are_one_for_a_gpu_or_for_two_cores(nodes, use_cpu, expected):
    alive = [{"Alive": True, "Resources": resources} for resources in nodes]
    assert cluster.workers_of([*alive, {"Alive": False, "Resources": {"CPU": 64.0}}], use_cpu) == expected


def test_what_is_not_made_by_segment_is_told():
    def said(by, variants):
        return cluster.left_out(argparse.Namespace(by=by, variants=variants))

    assert "No sheet of the variants" in said("segment", 2)
    assert [said("picture", 2), said("segment", None), said("picture", None)] == [None] * 3


def test_cluster_without_room_is_told():
    with pytest.raises(CommandError, match="neither a GPU nor a processor core"):
        cluster.workers_of([{"Alive": True, "Resources": {}}], False)


def test_results_travel_whole_and_in_order(tmp_path):
    (tmp_path / "painting").mkdir()
    for name in ("painting_frames.png", "painting/00001.png", "painting/00002.png"):
        (tmp_path / name).write_bytes(name.encode())
    packed = cluster._packed([tmp_path / "painting_frames.png", tmp_path / "painting"])
    there = cluster._unpacked(packed, tmp_path / "there")
    assert [path.name for path in there] == ["painting_frames.png", "painting"]
    assert (there[1] / "00002.png").read_bytes() == b"painting/00002.png"


def test_comfyui_of_a_machine_is_the_one_it_names_or_that_of_the_driver(tmp_path, monkeypatch):
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    python = tmp_path / "python"
    of_driver = Installation(python, tmp_path, is_pinned=False)
    with pytest.raises(CommandError, match="has no ComfyUI: COMFYUI_PATH is not set there"):
        cluster.installation_here(of_driver)
    (tmp_path / "comfy").mkdir()
    for file in (python, tmp_path / "main.py"):
        file.touch()
    assert cluster.installation_here(of_driver) == of_driver
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(CommandError, match="COMFYUI_PATH is"):
        cluster.installation_here(of_driver)


@pytest.fixture(params=[painting.WORKFLOW, painting.FAST_WORKFLOW, painting.PACED_WORKFLOW], ids=str)
def prompt(request):
    """The prompt of a workflow that paint.py uses."""
    info = {name: {"input": {"required": {}}} for name in ("LoadImage", "JoinImageWithAlpha")}
    info |= {node.define_schema().node_id: node.GET_NODE_INFO_V1() for node in NODES}
    return Workflow(json.loads((ROOT / request.param).read_text(encoding="utf-8")), info).to_prompt()


def kinds(prompt):
    return {node["class_type"] for node in prompt.values()}


def test_parts_do_their_share_and_nothing_twice(prompt):
    costly = {painting.KEYFRAMES, painting.INTERPOLATE, painting.VIDEO}
    first = by_segment.keyframes_part(prompt)
    segment = by_segment.segment_part(prompt, 2)
    video = by_segment.video_part(prompt, ["a", "b"])
    assert kinds(first) & costly == {painting.KEYFRAMES}
    assert kinds(segment) & costly == {painting.INTERPOLATE}
    assert kinds(video) & costly == {painting.VIDEO}
    for part in (first, segment, video):
        links = [
            value[0] for node in part.values() for value in node["inputs"].values() if isinstance(value, list)
        ]
        assert set(links) <= part.keys()
    picks = [node["inputs"]["index"] for node in segment.values() if node["class_type"] == by_segment.PICK]
    assert picks
    assert set(picks) == {2}
