"""Several paintings in one list of segments: each becomes a video, and never two of them one."""

import folder_paths
import imageio_ffmpeg
import numpy as np
import pytest
import torch
from comfy_api.latest import io
from paintsundo_pack.nodes.assemble_video import AssembleVideo
from paintsundo_pack.paintsundo_models.video.several import divide_segments


def places(*given, **named):
    return [list(part) for part in divide_segments(*given, **named)]


def test_keyframes_divide_the_segments():
    assert places(5, [3, 4]) == [[0, 1], [2, 3, 4]]
    assert places(2, [8, 8]) == [[0], [1]], "each painting as one batch of frames"
    assert places(7) == places(7, [8]) == places(7, [3]) == [list(range(7))]
    assert places(6, [4, 4], 2) == places(6, [4, 4], 1) == places(6, [], 2) == [[0, 1, 2], [3, 4, 5]]


def test_segments_of_one_batch_of_keyframes_are_repeated_only_where_that_is_known():
    assert places(6, [3]) == [list(range(6))], "laid out by hand: the keyframes are there for the ends only"
    assert places(6, [3], is_repeated=True) == [[0, 1], [2, 3], [4, 5]]
    assert places(5, [3], is_repeated=True) == [list(range(5))]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((6, [3, 3]), "frames has 6 segments, and the 2 batches of keyframes need 4"),
        ((4, [3, 3], 3), "finished has 3 pictures, and the keyframes make 2 videos"),
        ((7, [8], 2), "finished has 2 pictures, and the keyframes make 1 videos"),
        ((7, [], 2), "finished has 2 pictures"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        divide_segments(*given)


def segment(start, end):
    """Four grey frames from one brightness to another."""
    return torch.linspace(start, end, 4)[:, None, None, None].expand(4, 64, 80, 3)


def run(frames, keyframes, prompt, **widgets):
    class Prompted(AssembleVideo):
        hidden = io.HiddenHolder.from_dict({io.Hidden.prompt: prompt, io.Hidden.unique_id: "1"})

    inputs = {
        field.id: widgets.get(field.id, [getattr(field, "default", None)])
        for field in AssembleVideo.define_schema().inputs
        if isinstance(field, io.WidgetInput)
    }
    return Prompted.execute(frames=frames, keyframes=keyframes, **inputs)


def brightness(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    next(reader)
    return [round(float(np.frombuffer(frame, np.uint8).mean()) / 255, 1) for frame in reader]


def test_each_video_has_its_own_frames_file_and_outputs(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    frames = [segment(0.0, 0.3), segment(0.3, 1.0), segment(0.6, 1.0)]
    keyframes = [torch.zeros(3, 64, 80, 3), torch.zeros(2, 64, 80, 3)]
    names = {"filename_prefix": ["first", "second"], "format": ["webm (lossless)"], "exact_ends": [False]}
    result = run(frames, keyframes, {"1": {"class_type": "X", "inputs": {}}}, **names)
    shown = [item["filename"] for item in result.ui.as_dict()["images"]]
    assert shown == ["first_00001_.webm", "second_00001_.webm"]
    expected = [[1.0, 0.8, 0.5, 0.3, 0.2, 0.1, 0.0], [1.0, 0.9, 0.7, 0.6]]
    assert [brightness(tmp_path / name) for name in shown] == expected
    films, batches = result.args
    assert (
        [len(film.get_components().images) for film in films] == [len(batch) for batch in batches] == [7, 4]
    )


@pytest.mark.parametrize(
    ("pairs_get", "videos"), [(["arranged", 0], 2), (["other", 0], 1)], ids=["same keyframes", "others"]
)
def test_several_seeds_between_the_same_keyframes_make_several_videos(
    tmp_path, monkeypatch, pairs_get, videos
):
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    prompt = {
        "1": {
            "class_type": "PaintsUndoAssembleVideo",
            "inputs": {"frames": ["i", 0], "keyframes": ["arranged", 0]},
        },
        "i": {"class_type": "PaintsUndoInterpolate", "inputs": {"start_image": ["p", 0], "steps": 9}},
        "p": {"class_type": "PaintsUndoKeyframePairs", "inputs": {"keyframes": pairs_get}},
        "arranged": {"class_type": "PaintsUndoArrangeKeyframes", "inputs": {"include_finished": True}},
    }
    result = run([segment(0, 1), segment(0, 1)], [torch.zeros(2, 64, 80, 3)], prompt)
    assert len(result.ui.as_dict()["images"]) == videos
