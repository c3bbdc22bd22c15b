"""paint.py --variants: the seeds in the graph, the sheet of the keyframes, and which results belong to which video."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from paintsundo_pack.nodes import NODES
from PIL import Image

from tools import painting, studio, variants
from tools.what_is import statement_of
from tools.workflow import Workflow

ROOT = Path(__file__).resolve().parents[2]
LOADED = {"LoadImage": ["IMAGE", "MASK"], "JoinImageWithAlpha": ["IMAGE"]}


@pytest.fixture
def workflow():
    """The default workflow, with the pack's nodes as the server describes them."""
    info = {node.define_schema().node_id: node.GET_NODE_INFO_V1() for node in NODES}
    host = {
        kind: {"input": {}, "output": outputs, "output_name": outputs} for kind, outputs in LOADED.items()
    }
    return Workflow.load(ROOT / painting.WORKFLOW, {**info, **host})


def node_of(prompt, kind):
    return next(key for key, node in prompt.items() if node["class_type"] == kind)


def test_seeds_reach_both_models_and_the_saved_graph_holds_the_node(workflow):
    assert variants.add_variants(workflow, 7, 3) == [7, 8, 9]
    # What is saved in the video is the graph, so it must give the same prompt when it is opened again.
    again = Workflow(json.loads(json.dumps(workflow.graph)), workflow.object_info)
    for prompt in (workflow.to_prompt(), again.to_prompt()):
        key = node_of(prompt, variants.VARIANTS)
        assert prompt[key]["inputs"] == {"seed": 7, "count": 3}
        for kind in (painting.KEYFRAMES, painting.PAIRS):
            assert prompt[node_of(prompt, kind)]["inputs"]["seed"] == [key, 0]


def test_keyframes_alone_run_nothing_of_the_costly_half(workflow):
    variants.add_variants(workflow, 7, 3)
    prompt = workflow.to_prompt()
    first = variants.keyframes_only(prompt)
    kinds = {node["class_type"] for node in first.values()}
    assert {painting.KEYFRAMES, painting.SINGLE_LOADER, variants.VARIANTS, "PreviewImage"} <= kinds
    assert not kinds & {painting.MULTI_LOADER, painting.PAIRS, painting.INTERPOLATE, painting.VIDEO}
    shared = first.keys() & prompt.keys()
    assert all(first[key] == prompt[key] for key in shared), "else ComfyUI makes the keyframes again"


class Client:
    """Answers with six keyframes of two seeds, each of its own grey."""

    def run(self, prompt, on_event=None):
        assert "look" in prompt
        return {"look": {"images": list(range(6))}, "steps": {"text": ["400, 800, 999"]}}

    def view(self, file):
        data = io.BytesIO()
        Image.new("RGB", (128, 192), (40 * file,) * 3).save(data, "PNG")
        return data.getvalue()


def test_sheet_has_a_row_for_each_seed_in_painting_order(workflow, tmp_path):
    seeds = variants.add_variants(workflow, 7, 2)
    sheet = variants.variants_sheet(Client(), workflow.to_prompt(), seeds, tmp_path / "a" / "sheet.png")
    with Image.open(sheet) as image:
        width, height = image.size
        columns = [image.getpixel((round((x + 0.5) * width / 3), height // 5))[0] for x in range(3)]
        below = [image.getpixel((round((x + 0.5) * width / 3), height * 7 // 10))[0] for x in range(3)]
    assert columns == [80, 40, 0]
    assert below == [200, 160, 120]
    assert statement_of(sheet) is not None, "the sheet says that models made it"


def test_results_are_told_apart():
    gif = [{"filename": f"p_{n}.{end}", "subfolder": "PaintsUndo"} for n in (1, 2) for end in ("gif", "png")]
    assert variants.results_of_videos(gif, ".gif") == [[gif[0]], [gif[2]]]
    pictures = [{"filename": "00001.png", "subfolder": folder} for folder in ("a", "a", "b")]
    assert variants.results_of_videos(pictures, "") == [pictures[:2], pictures[2:]]


def test_every_variant_gets_a_name_with_its_seed(tmp_path):
    server = SimpleNamespace(client=SimpleNamespace(download=lambda result, target: target))
    results = [{"filename": f"{n}.mp4", "subfolder": ""} for n in (1, 2)]
    run = SimpleNamespace(seeds=[7, 8])
    files = studio.download_videos(server, run, results, tmp_path / "house_painting.mp4")
    assert files == [[tmp_path / f"house_painting_seed{seed}.mp4"] for seed in (7, 8)]
