"""What the model nodes show: their results, and what was cut off where anything was; small stand-ins take the place of the models."""

import folder_paths
import pytest
import torch
from paintsundo_pack.nodes import interpolate_keyframes, predict_keyframes
from paintsundo_pack.paintsundo_models.segments import FADED, SAMPLED, Segment
from PIL import Image

WIDGETS = {
    "prompt": "",
    "negative_prompt": "",
    "seed": 0,
    "steps": 1,
    "cfg": 1.0,
    "sampler_name": "euler",
    "scheduler": "simple",
}
SINGLE = {"model": None, "clip": None, "vae": None, "width": 0, "height": 0, **WIDGETS}
MULTI = {
    "model": None,
    "clip": None,
    "vae": None,
    "clip_vision": None,
    "fs": 3,
    "resolution": "384x448",
    **WIDGETS,
}


@pytest.fixture(autouse=True)
def temp_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("picture", "cuts"), [((1, 128, 64, 3), 0), ((1, 100, 100, 4), 1)])
def test_keyframes_are_shown_and_the_cut_behind_them(monkeypatch, temp_folder, picture, cuts):
    made = torch.linspace(0, 1, 3)[:, None, None, None].expand(-1, 128, 64, 3)
    monkeypatch.setattr(
        predict_keyframes, "predict_keyframes", lambda objects, image, steps, *_: made[: len(steps)]
    )
    image = torch.ones(picture)
    many = predict_keyframes.PredictKeyframes.execute(image=image, operation_steps="1 2 3", **SINGLE)
    one = predict_keyframes.PredictKeyframe.execute(image=image, operation_step=5, **SINGLE)
    for output, count in ((many, 3), (one, 1)):
        shown = output.ui["images"]
        assert len(shown) == count + cuts
        files = [Image.open(temp_folder / entry["filename"]) for entry in shown]
        assert [file.size for file in files[:count]] == [(64, 128)] * count
        assert [file.getpixel((0, 0))[0] for file in files[:count]] == [0, 127, 255][:count]
        assert all(file.size[0] == 320 for file in files[count:])


@pytest.mark.parametrize(("picture", "shown"), [((1, 80, 64, 3), 0), ((1, 90, 64, 3), 1)])
def test_segment_shows_what_is_cut_only_where_anything_is(monkeypatch, picture, shown):
    made = Segment(torch.zeros(16, 80, 64, 3), origin=SAMPLED)
    monkeypatch.setattr(interpolate_keyframes.segments, "interpolate", lambda *_: made)
    image = torch.ones(picture)
    output = interpolate_keyframes.Interpolate.execute(start_image=image, end_image=image, **MULTI)
    assert len(output.ui["images"]) == shown
    assert output.ui["text"] == ("segment made now",)


def test_segment_that_was_faded_says_so(monkeypatch):
    made = Segment(torch.zeros(16, 80, 64, 3), origin=FADED)
    monkeypatch.setattr(interpolate_keyframes.segments, "interpolate", lambda *_: made)
    image = torch.ones(1, 80, 64, 3)
    output = interpolate_keyframes.Interpolate.execute(start_image=image, end_image=image, **MULTI)
    assert output.ui["text"] == ("segment cross-faded",)
