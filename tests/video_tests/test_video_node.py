"""The node as ComfyUI runs it: names, outputs, what the page finds in the files, cancel; and how ffmpeg can be missing."""

import json
import struct
from fractions import Fraction

import comfy.model_management
import folder_paths
import imageio_ffmpeg
import numpy as np
import pytest
import torch
from comfy.cli_args import args
from comfy_api.latest import io
from paintsundo_pack.nodes.assemble_video import AssembleVideo
from paintsundo_pack.paintsundo_models.errors import VideoEncodingError
from paintsundo_pack.paintsundo_models.video import files as video_files
from PIL import Image

from tools.containers import read_contents
from tools.what_is import find_statements

WORKFLOW = {
    "nodes": [{"type": "X", "widgets_values": ['odd { brace "q" \\ = ; # ü 漢 }}} {', "x" * 300_000]}]
}
PROMPT = {"1": {"class_type": "X", "inputs": {}, "is_changed": float("nan")}}


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path))
    return tmp_path


@pytest.fixture
def segments():
    """Two segments of 4 frames that get darker; the shared frame once, they are 7 frames."""
    greys = torch.linspace(0.2, 0.8, 7)
    return [torch.ones(4, 64, 80, 3) * greys[i : i + 4, None, None, None] for i in (0, 3)]


def run(segments, keyframes=None, finished=None, prompt=PROMPT, **widgets):
    """Execute the node with every input as the list that ComfyUI hands to such nodes."""

    class Prompted(AssembleVideo):
        hidden = io.HiddenHolder.from_dict(
            {
                io.Hidden.prompt: prompt,
                io.Hidden.extra_pnginfo: {"workflow": WORKFLOW},
                io.Hidden.unique_id: "1",
            }
        )

    inputs = {
        field.id: [widgets.get(field.id, field.default)]
        for field in AssembleVideo.define_schema().inputs
        if isinstance(field, io.WidgetInput)
    }
    return Prompted.execute(frames=segments, keyframes=keyframes, finished=finished, **inputs)


def read_frames(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    return np.stack([np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader])


def shown(result):
    return [(item["subfolder"], item["filename"]) for item in result.ui.as_dict()["images"]]


def mp4_texts(data):
    """The texts in moov/udta/meta, keys and ilst, of an MP4."""

    def boxes(start, end):
        found = {}
        while start < end:
            size = struct.unpack_from(">I", data, start)[0]
            found.setdefault(data[start + 4 : start + 8], (start + 8, start + size))
            start += size
        return found

    top = boxes(0, len(data))
    assert list(top).index(b"moov") < list(top).index(b"mdat"), "read before the whole file is there"
    meta = boxes(*boxes(*top[b"moov"])[b"udta"])[b"meta"]
    parts = boxes(meta[0] + 4, meta[1])
    position, names = parts[b"keys"][0] + 8, []
    while position < parts[b"keys"][1]:
        size = struct.unpack_from(">I", data, position)[0]
        names.append(data[position + 8 : position + size].decode())
        position += size
    position, texts = parts[b"ilst"][0], {}
    while position < parts[b"ilst"][1]:
        size, index = struct.unpack_from(">II", data, position)
        texts[names[index - 1]] = data[position + 24 : position + size].decode()
        position += size
    return texts


def webm_texts(data):
    """The SimpleTags among the first 2 MiB of a WebM, which is as far as the page reads."""

    def sized(position):
        length = 9 - data[position].bit_length()
        value = int.from_bytes(data[position : position + length], "big") & ((1 << 7 * length) - 1)
        return position + length, position + length + value

    data, texts, position = data[: 2 << 20], {}, 0
    while (position := data.find(b"\x67\xc8", position)) >= 0:
        start, end = sized(position + 2)
        name = sized(data.index(b"\x45\xa3", start) + 2)
        value = sized(data.index(b"\x44\x87", name[1]) + 2)
        texts[data[slice(*name)].decode().lower()] = data[slice(*value)].decode()
        position = end
    return texts


def first_json(text):
    """Cut a text where the page does: it counts braces, also those inside strings."""
    depth = 0
    for i, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return json.loads(text[: i + 1])
    raise AssertionError("the braces do not close")


@pytest.mark.parametrize(("name", "texts"), [("mp4 (h264)", mp4_texts), ("webm (vp9)", webm_texts)])
def test_page_finds_long_workflow_with_odd_braces_in_file(segments, output, name, texts):
    ((folder, file),) = shown(run(segments, format=name))
    found = texts((output / folder / file).read_bytes())
    assert first_json(found["workflow"]) == WORKFLOW
    assert first_json(found["prompt"])["1"]["is_changed"] is None


def test_disabled_metadata_keeps_the_workflow_out(segments, output, monkeypatch):
    monkeypatch.setattr(args, "disable_metadata", True)
    for name in ("mp4 (h264)", "gif", "png sequence"):
        for folder, file in shown(run(segments, format=name)):
            assert b"workflow" not in (output / folder / file).read_bytes()


def test_file_and_outputs_are_the_same_frames_from_canvas_to_picture(segments, output):
    picture = torch.rand(1, 128, 160, 3, generator=torch.Generator().manual_seed(1))
    keyframes = torch.cat([picture, torch.ones(2, 128, 160, 3)])
    result = run(segments, [keyframes], format="webm (lossless)", fps=8.0, hold_last=0.5)
    (film,), (frames,) = result.args
    components = film.get_components()
    assert components.frame_rate == Fraction(8)
    assert components.images is frames
    assert frames.shape == (7 + 4, 64, 80, 3)
    assert frames[0].min() == 1
    assert torch.allclose(frames[-1], picture.reshape(64, 2, 80, 2, 3).mean((1, 3)), atol=1e-5)
    assert torch.allclose(frames[1], segments[1][2])
    ((folder, file),) = shown(result)
    assert np.array_equal(read_frames(output / folder / file), (frames * 255).round().byte().numpy())


def test_full_size_video_ends_with_the_picture_to_the_bit_in_a_lossless_file(segments, output):
    pixels = torch.randint(0, 256, (1, 193, 240, 3), generator=torch.Generator().manual_seed(1))
    finished = pixels.float() / 255
    result = run(segments, finished=[finished], format="webm (lossless)")
    ((folder, file),) = shown(result)
    assert np.array_equal(read_frames(output / folder / file)[-1], pixels[0].byte().numpy())
    small = run(segments, finished=[finished], size="as the segments").args[1][0]
    assert small.shape == (7, 64, 80, 3)
    assert run(segments, finished=[finished], longest_side=120).args[1][0].shape == (7, 96, 120, 3)


def test_numbers_go_on_and_one_number_is_one_video(segments, output):
    names = [
        shown(run(segments, format=name)) for name in ("mp4 (h264)", "gif", "png sequence", "mp4 (h264)")
    ]
    assert names[0] == [("PaintsUndo", "painting_00001_.mp4")]
    assert names[1] == [("PaintsUndo", "painting_00002_.gif"), ("PaintsUndo", "painting_00002_.png")]
    assert len(names[2]) == 7
    assert names[3] == [("PaintsUndo", "painting_00004_.mp4")]
    assert all((output / folder / file).is_file() for shown_files in names for folder, file in shown_files)


@pytest.mark.parametrize(
    ("prefix", "place"),
    [
        ("", "PaintsUndo/painting_"),
        (" / ", "PaintsUndo/painting_"),
        ("..", "PaintsUndo/painting_"),
        ("foo/", "foo_"),
        (" foo\\/ ", "foo_"),
        ("a/b ", "a/b_"),
        ("%width%x%height%", "80x64_"),
    ],
)
def test_any_prefix_names_a_file_that_is_seen_and_new_each_time(segments, output, prefix, place):
    names = [shown(run(segments, filename_prefix=prefix, format="gif"))[0] for _ in range(2)]
    files = [(output / folder / file).relative_to(output).as_posix() for folder, file in names]
    assert files == [f"{place}00001_.gif", f"{place}00002_.gif"]


def test_number_that_the_host_overlooks_is_not_taken(segments, output, monkeypatch):
    monkeypatch.setattr(
        folder_paths, "get_save_image_path", lambda prefix, *_: (str(output), prefix, 1, "", prefix)
    )
    (output / "a_00001_.webm").touch()
    (output / "a_00002_").mkdir()
    assert shown(run(segments, filename_prefix="a")) == [("", "a_00003_.mp4")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, None),
        ({"format": "gif", "fps": 50.0}, None),
        ({"format": "gif", "fps": 60.0}, "GIF plays at most 50.*got 60"),
        ({"fps": 0.0}, "frame rate must be"),
        ({"format": "avi"}, 'Unknown format "avi".*png sequence'),
        ({"filename_prefix": "../../x"}, "leads out of ComfyUI's output folder"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_the_frames_are_made_and_when_they_are(
    segments, output, given, said
):
    widgets = {"fps": 4.0, "format": "mp4 (h264)", "filename_prefix": "a", **given}
    lists = {name: [value] for name, value in widgets.items()}
    hidden = io.HiddenHolder("1", {}, {}, None, None, None)
    node = type("Video", (AssembleVideo,), {"hidden": hidden})

    def check():
        return node.check_lazy_status(**lists, hold_first=[0.0], hold_last=[0.0], frames=(None,))

    if said is None:
        assert check() == ["frames"]
        return
    with pytest.raises(ValueError, match=said):
        check()
    with pytest.raises(ValueError, match=said):
        run(segments, **widgets)


def test_gif_is_shown_as_a_picture_and_its_companion_holds_workflow_and_picture(segments, output):
    result = run(segments, format="gif")
    assert result.ui.as_dict()["animated"] == (True,), "with a PNG in the list, the page shows pictures"
    with Image.open(output / "PaintsUndo" / "painting_00001_.png") as companion:
        assert json.loads(companion.text["workflow"]) == WORKFLOW
        assert np.asarray(companion).max() == 51, "the finished picture, grey 0.2"


@pytest.mark.parametrize("failing", ["save_png", "encode_video"])
def test_gif_and_its_companion_appear_together_or_not_at_all(segments, output, monkeypatch, failing):
    """A disk that is full when the second of the two is written."""

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(video_files, failing, fail)
    with pytest.raises(VideoEncodingError, match="is full"):
        run(segments, format="gif")
    assert list((output / "PaintsUndo").iterdir()) == []


def test_companion_whose_name_is_taken_meanwhile_leaves_nothing_half(tmp_path):
    output = tmp_path / "output"
    (output / "b.png").mkdir(parents=True)
    for name in ("a.gif", "b.png"):
        (tmp_path / name).write_text("new")
    with pytest.raises(FileExistsError, match="Choose another name"):
        video_files.publish((tmp_path / "a.gif", output / "a.gif"), (tmp_path / "b.png", output / "b.png"))
    assert [path.name for path in output.iterdir()] == ["b.png"]


@pytest.mark.parametrize(("letters", "is_long"), [(1000, False), (3_000_000, True)])
@pytest.mark.parametrize("name", ["webm (vp9)", "mp4 (h264)"])
def test_workflow_that_the_page_cannot_read_from_a_webm_is_warned_of_and_the_video_kept(
    segments, output, caplog, monkeypatch, letters, is_long, name
):
    monkeypatch.setitem(WORKFLOW, "note", "x" * letters)
    ((_, file),) = shown(run(segments, format=name))
    assert (output / "PaintsUndo" / file).stat().st_size > letters
    warned = "the page reads the first 2.1 MB of a webm" in caplog.text
    assert warned == (is_long and name.startswith("webm"))


def test_cancel_in_comfyui_stops_the_encoding_and_leaves_nothing(segments, output):
    comfy.model_management.interrupt_current_processing(True)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        run(segments)
    assert list((output / "PaintsUndo").iterdir()) == []


@pytest.mark.parametrize("name", ["mp4 (h264)", "webm (vp9)", "webm (av1)"])
def test_colours_are_right_by_the_tags(tmp_path, name):
    colours = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.8, 0.6, 0.5], [1, 1, 1], [0, 0, 0.0]])
    path = tmp_path / f"v{video_files.VIDEO_FORMATS[name].extension}"
    video_files.encode_video(
        colours.view(6, 1, 1, 3).expand(-1, 64, 64, -1), path, Fraction(4), name, quality=100
    )
    found = read_frames(path)[:, 32, 32].astype(int)
    assert (
        np.abs(found - (colours * 255).numpy()).max() <= 4
    )  # 8-bit YUV; BT.601 for 709 would be off by 20 and more


@pytest.mark.parametrize("path", ["", "/no/such/ffmpeg"])
def test_missing_ffmpeg_says_what_to_install(segments, output, monkeypatch, path):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", path)
    monkeypatch.setattr(imageio_ffmpeg._utils, "_get_ffmpeg_exe", lambda: None)
    formats = next(
        field for field in AssembleVideo.define_schema().inputs if field.id == "format"
    ).get_io_type()
    assert "webm (av1)" not in formats
    assert "pip install imageio-ffmpeg" in str(formats)
    assert "png sequence" in formats
    with pytest.raises(VideoEncodingError, match="pip install imageio-ffmpeg"):
        run(segments)
    assert len(shown(run(segments, format="png sequence"))) == 7, "needs no ffmpeg"


def arranged(include_finished):
    """A graph in which the keyframes come from Arrange Keyframes."""
    arrange = {"class_type": "PaintsUndoArrangeKeyframes", "inputs": {"include_finished": include_finished}}
    return {"2": arrange, "1": {"class_type": "PaintsUndoAssembleVideo", "inputs": {"keyframes": ["2", 0]}}}


@pytest.mark.parametrize("is_disabled", [False, True], ids=["metadata", "disable-metadata"])
@pytest.mark.parametrize(
    ("widgets", "has_keyframes", "prompt", "source_type"),
    [
        ({}, True, arranged(True), "compositeWithTrainedAlgorithmicMedia"),
        ({}, True, arranged(["7", 0]), "compositeWithTrainedAlgorithmicMedia"),
        ({}, True, PROMPT, "compositeWithTrainedAlgorithmicMedia"),
        ({}, True, arranged(False), "trainedAlgorithmicMedia"),
        ({}, False, PROMPT, "trainedAlgorithmicMedia"),
        ({"exact_ends": False}, True, arranged(True), "trainedAlgorithmicMedia"),
        ({"trim": "as reference"}, True, arranged(True), "trainedAlgorithmicMedia"),
    ],
)
@pytest.mark.parametrize("format", ["mp4 (h264)", "gif", "png sequence"])
def test_every_file_says_what_it_is(
    output, segments, monkeypatch, format, widgets, has_keyframes, prompt, source_type, is_disabled
):
    monkeypatch.setattr(args, "disable_metadata", is_disabled)
    keyframes = [torch.rand(2, 64, 80, 3)] if has_keyframes else None
    result = run(segments, keyframes, prompt=prompt, format=format, **widgets)
    is_own = source_type.startswith("composite")
    for subfolder, name in shown(result):
        contents = read_contents(output / subfolder / name)
        found = find_statements(contents)
        if format == "gif" and name.endswith(".png") and is_own:
            assert not found.places, "the picture that was given is not called AI-made"
            continue
        assert found.source_types == [source_type]
        assert found.sentences == ["AI-simulated painting process made with PaintsUndo, not a recording"]
        assert {"XMP", "comment"} <= set(found.places)
