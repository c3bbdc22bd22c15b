"""What the page or another node puts into extra_pnginfo never costs the video."""

import json
from fractions import Fraction

import pytest
import torch
from paintsundo_pack.paintsundo_models.video import files as video_files
from paintsundo_pack.paintsundo_models.video.metadata import metadata_texts

CIRCLE: dict = {}
CIRCLE["self"] = CIRCLE
DEEP: list = []
for _ in range(100_000):
    DEEP = [DEEP]

SHAPES = {
    "nothing": None,
    "a list": [1, 2],
    "a text": "workflow",
    "a number": 7,
    "a tensor": {"x": torch.ones(2)},
    "bytes": {"x": b"1"},
    "a circle": {"x": CIRCLE},
    "too deep": {"x": DEEP},
    "a set": {"x": {1, 2}},
    "a number as a name": {7: "x"},
    "no name": {"": "x"},
    "a long name": {"x" * 80: "x"},
    "letters that PNG lacks": {"漢": "x"},
    "a line break in a name": {"a\nb": "x"},
    "a zero in a name": {"a\0b": "x"},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_any_shape_leaves_prompt_and_video(shape, tmp_path):
    texts = metadata_texts({"1": {"class_type": "X"}}, SHAPES[shape])
    assert texts == {"prompt": '{"1": {"class_type": "X"}}'}
    video_files.save_png(torch.ones(8, 8, 3), tmp_path / "a.png", texts)


@pytest.mark.parametrize("text", ["\ud83d", "\0", "漢🎨", "a=b;c#d\\e\nf", "{" * 50])
def test_any_text_in_a_workflow_is_stored(text, tmp_path):
    texts = metadata_texts(None, {"workflow": {"text": text, "nan": float("nan")}})
    assert json.loads(texts["workflow"]) == {"text": text, "nan": None}
    for name in ("mp4 (h264)", "webm (vp9)"):
        path = tmp_path / f"a{video_files.VIDEO_FORMATS[name].extension}"
        video_files.encode_video(torch.ones(2, 16, 16, 3), path, Fraction(4), name, metadata=texts)
        assert path.stat().st_size
