"""Names of results, whatever the picture is called, and a destination that is tried before the run."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools import destination, painter, painting
from tools.command import CommandError
from tools.workflow import WorkflowError

KANJI = "漢" * 83  # 249 bytes


def options(**given):
    names = ("output", "format", "operation_steps", "steps", "seed", "variants", "duration", "pace", "hold")
    return argparse.Namespace(**{"picture": Path("a.png"), **dict.fromkeys(names), **given})


@pytest.mark.parametrize("stem", ["portrait v1.5", KANJI, "a" * 251, "é" * 120, "x.mp4"])
@pytest.mark.parametrize("video_format", ["mp4 (h264)", "png sequence", "gif"])
def test_every_name_of_a_picture_gives_names_that_can_be_stored(tmp_path, stem, video_format):
    path = destination.result_path(options(picture=Path(f"{stem}.png")), tmp_path, video_format)
    names = [path]
    for tail in ("_frames.png", "_variants.png", f"_seed{2**64 - 1}{destination.ending_of(path)}"):
        names.append(destination.beside(path, tail))
    path.parent.mkdir()
    for name in names:
        name.touch()
        destination.unused_path(name).touch()
    assert len(list(path.parent.iterdir())) == 8


def test_sequence_of_a_picture_with_a_dot_in_its_name_is_a_folder_of_all_frames(tmp_path):
    target = destination.result_path(options(picture=Path("portrait v1.5.png")), tmp_path, "png sequence")
    assert target.name == "portrait v1.5_painting"
    server = SimpleNamespace(client=SimpleNamespace(download=lambda result, target: target))
    pictures = [{"filename": f"{i}.png"} for i in range(3)]
    assert painter._download(server, pictures, target, tmp_path) == [target / f"{i}.png" for i in range(3)]


def test_dot_in_the_output_is_kept(tmp_path):
    path = destination.result_path(options(output=tmp_path / "take 1.5"), tmp_path, "mp4 (h264)")
    assert path.name == "take 1.5.mp4"


def test_impossible_output_is_found_first(tmp_path):
    (tmp_path / "file").touch()
    for output in (tmp_path / "file" / "x.mp4", tmp_path / "file" / "deep" / "x.mp4"):
        with pytest.raises(CommandError, match="Nothing can be written in .*--output"):
            destination.try_destination(options(output=output), tmp_path)
    with pytest.raises(CommandError, match="a name of 304 bytes, and 250 is the most"):
        destination.try_destination(options(output=tmp_path / ("a" * 300 + ".mp4")), tmp_path)
    destination.try_destination(options(output=tmp_path / "new" / "folder" / "x.mp4"), tmp_path)
    destination.try_destination(options(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "trying leaves nothing"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"format": "avi"}, "no video format 'avi'; there are: mp4"),
        ({"operation_steps": "400, x"}, "no operation step"),
        ({"steps": 0}, "--steps is 0. It can be 1 to 1000"),
        ({"seed": -1}, "--seed is -1. It can be 0 to"),
        ({"seed": 2**64 - 1, "variants": 2}, "--variants 2 counts up from --seed"),
        (
            {"duration": 3.0, "hold": 3.0},
            "--duration and --hold do not fit: duration is 3 seconds, which .* fill up",
        ),
        ({"pace": "equal", "hold": 40.0}, "--duration and --hold do not fit"),
    ],
)
def test_bad_option_is_reported_before_comfyui_starts(given, said):
    with pytest.raises(WorkflowError, match=said):
        painting.check_options(options(**given))


def test_video_that_cannot_be_written_survives_in_comfyui_s_output_folder(tmp_path):
    def download(result, target):
        raise OSError(28, "No space left on device")

    server = SimpleNamespace(client=SimpleNamespace(download=download))
    results = [{"filename": "painting_00001_.mp4", "subfolder": "PaintsUndo"}]
    with pytest.raises(CommandError) as caught:
        painter._download(server, results, tmp_path / "a.mp4", Path("/comfy/output"))
    survivor = Path("/comfy/output/PaintsUndo/painting_00001_.mp4")
    assert str(caught.value).endswith(f"No space left on device. ComfyUI has kept what it made: {survivor}")
