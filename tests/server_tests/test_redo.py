"""The workflows that finish a picture another way: one from a sketch, one only where it changed."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools import painting
from tools.workflow import Workflow, template

ROOT = Path(__file__).resolve().parents[2]
REDO = ROOT / template("redo")
TOUCH_UP = ROOT / template("touch_up")
SIDE = 64


@pytest.fixture
def sd15(server):
    """A small checkpoint under the name that the workflow holds; the colour of its pictures."""
    spec = importlib.util.spec_from_file_location("small_sd15", Path(__file__).with_name("small_sd15.py"))
    small = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(small)
    path = server.base_directory / "models" / "checkpoints" / "v1-5-pruned-emaonly-fp16.safetensors"
    yield small.write_small_sd15(path)
    path.unlink()


def test_new_picture_gets_a_painting_video_of_its_own_and_no_controlnet_is_needed(server, sd15):
    data = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (40, 200, 40)).save(data, "PNG")
    workflow = Workflow.load(REDO, server.client.object_info())
    for node_type, widget, value in (
        ("LoadImage", "image", server.client.upload_image(data.getvalue(), "to_redo.png")),
        ("PaintsUndoPredictKeyframe", "steps", 1),
        ("PaintsUndoPredictKeyframes", "steps", 1),
        ("PaintsUndoPredictKeyframes", "operation_steps", "999"),
        ("KSampler", "steps", 1),
        (painting.INTERPOLATE, "steps", 1),
        (painting.INTERPOLATE, "resolution", "size of the pictures"),
        (painting.VIDEO, "format", "png sequence"),
        (painting.VIDEO, "hold_last", 0.0),
    ):
        workflow.set_widget(node_type, widget, value)
    for node_type in ("PaintsUndoPredictKeyframe", "PaintsUndoPredictKeyframes"):
        for side in ("width", "height"):
            workflow.set_widget(node_type, side, SIDE)
    prompt = workflow.to_prompt()
    assert not {"ControlNetLoader", "ControlNetApplyAdvanced"} & {
        node["class_type"] for node in prompt.values()
    }
    outputs = server.client.run(prompt, workflow.graph)
    (video,) = workflow.nodes_of_type(painting.VIDEO)
    files = outputs[str(video["id"])]["images"]
    assert len(files) == 31, "two segments: from the new picture to the first stroke, and to the canvas"
    first, last = (
        np.asarray(Image.open(io.BytesIO(server.client.view(file)))) for file in (files[0], files[-1])
    )
    assert first.min() == 255, "the video begins with the white canvas"
    assert np.abs(last.astype(int) - sd15).max() <= 1, "and ends with the picture that SD 1.5 made"


def test_only_what_the_stage_added_is_painted_anew(server, sd15):
    """The seeded model's stage is another picture, so a high threshold decides what counts as added."""
    pixels = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    workflow = Workflow.load(TOUCH_UP, server.client.object_info())
    for node_type, widget, value in (
        ("LoadImage", "image", server.client.upload_image(data.getvalue(), "to_touch_up.png")),
        ("PaintsUndoPredictKeyframe", "steps", 1),
        ("PaintsUndoPredictKeyframe", "width", SIDE),
        ("PaintsUndoPredictKeyframe", "height", SIDE),
        ("PaintsUndoChangeMask", "threshold", 0.5),
        ("PaintsUndoChangeMask", "softness", 0),
        ("KSampler", "steps", 1),
        ("KSampler", "denoise", 1.0),
    ):
        workflow.set_widget(node_type, widget, value)
    outputs = server.client.run(workflow.to_prompt(), workflow.graph)

    def shown(node_type):
        ((node,),) = [workflow.nodes_of_type(node_type)]
        (file,) = outputs[str(node["id"])]["images"]
        return np.asarray(Image.open(io.BytesIO(server.client.view(file))).convert("RGB"))

    is_redone = shown("PreviewImage")[..., 0] > 127
    result = shown("SaveImage")
    assert 0.05 < is_redone.mean() < 0.95, "a part of the picture"
    assert (result[~is_redone] == pixels[~is_redone]).all(), "the rest stays to the bit"
    assert np.abs(result[is_redone].astype(int) - sd15).max() <= 1, "and the part is what SD 1.5 made"
