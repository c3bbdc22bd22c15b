"""Real files through the real ffmpeg, read back: pictures, sizes, times, metadata; and what happens when it fails."""

import json
import subprocess
from fractions import Fraction

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from paintsundo_pack.paintsundo_models.errors import VideoEncodingError
from paintsundo_pack.paintsundo_models.video import files as video_files
from paintsundo_pack.paintsundo_models.video.metadata import metadata_texts
from PIL import Image

FPS = Fraction(4)
FILES = [name for name in video_files.VIDEO_FORMATS if name != video_files.PNG_SEQUENCE]
PIXELS = {
    "mp4 (h264)": "yuv420p",
    "webm (vp9)": "yuv420p",
    "webm (av1)": "yuv420p",
    "webm (lossless)": "gbrp",
    "gif": "bgra",
}
# Characters and numbers of a workflow that are special in some format of metadata.
WORKFLOW = {"nodes": [{"title": 'a = b; # {"\\ é \n ] }'}], "number": float("nan")}


@pytest.fixture(scope="module")
def frames():
    """Twelve frames of 96x64: a square of colour that moves over white."""
    pictures = torch.ones(12, 64, 96, 3)
    for i, picture in enumerate(pictures):
        picture[16:48, 4 * i : 4 * i + 32] = torch.tensor([0.8, 0.2 + 0.04 * i, 0.1])
    return pictures


@pytest.fixture(scope="module")
def metadata():
    return metadata_texts({"1": {"class_type": "X"}}, {"workflow": WORKFLOW})


def ffmpeg_facts(path):
    """What ffmpeg itself says of a file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False).stderr


def read_frames(path):
    reader = imageio_ffmpeg.read_frames(str(path), pix_fmt="rgb24")
    facts = next(reader)
    width, height = facts["size"]
    pictures = np.stack([np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader])
    return facts, pictures


@pytest.mark.parametrize("name", FILES)
def test_file_of_each_format_holds_the_frames(frames, metadata, tmp_path, name):
    path = tmp_path / f"video{video_files.VIDEO_FORMATS[name].extension}"
    video_files.encode_video(frames, path, FPS, name, metadata=metadata)
    facts, pictures = read_frames(path)
    expected = (frames * 255).round().byte().numpy()
    assert pictures.shape == expected.shape
    assert facts["fps"] == 4
    assert PIXELS[name] in facts["pix_fmt"]
    difference = np.abs(pictures.astype(int) - expected)
    assert difference.mean() < (1 if name == "webm (lossless)" else 3)
    assert pictures[0, 0, 0].min() >= 253, "white stays white"
    if name == "webm (lossless)":
        assert difference.max() == 0
    if name in ("mp4 (h264)", "webm (vp9)", "webm (av1)"):
        assert "bt709" in ffmpeg_facts(path)
    assert list(tmp_path.iterdir()) == [path], "nothing else is left behind"


@pytest.mark.parametrize("name", ["mp4 (h264)", "webm (vp9)", "webm (lossless)"])
def test_workflow_survives_in_the_file(frames, metadata, tmp_path, ffprobe, name):
    path = tmp_path / f"video{video_files.VIDEO_FORMATS[name].extension}"
    video_files.encode_video(frames, path, FPS, name, metadata=metadata)
    command = [ffprobe, "-v", "error", "-show_format", "-of", "json", str(path)]
    tags = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["format"]["tags"]
    tags = {key.lower(): value for key, value in tags.items()}
    assert json.loads(tags["workflow"]) == {**WORKFLOW, "number": None}
    assert json.loads(tags["prompt"]) == {"1": {"class_type": "X"}}


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (2, 3)])
def test_odd_sizes_are_padded_never_cut(tmp_path, size):
    frames = torch.rand(2, *size, 3, generator=torch.Generator().manual_seed(1))
    path = tmp_path / "odd.mp4"
    video_files.encode_video(frames, path, FPS, "mp4 (h264)", quality=100)
    _, pictures = read_frames(path)
    assert pictures.shape[1:3] == tuple(side + side % 2 for side in size)


def test_single_frame_makes_a_video(frames, tmp_path):
    video_files.encode_video(frames[:1], tmp_path / "one.mp4", FPS, "mp4 (h264)")
    assert len(read_frames(tmp_path / "one.mp4")[1]) == 1


def test_quality_trades_size_for_pictures(frames, tmp_path):
    sizes = []
    for quality in (0, 50, 100):
        path = tmp_path / f"{quality}.mp4"
        video_files.encode_video(frames, path, FPS, "mp4 (h264)", quality=quality)
        sizes.append(path.stat().st_size)
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_png_sequence_is_exact_and_carries_the_workflow(frames, metadata, tmp_path):
    names = video_files.save_png_sequence(frames, tmp_path / "painting_00001_", metadata)
    files = [tmp_path / "painting_00001_" / name for name in names]
    assert len(files) == 12
    assert files == sorted(files)
    opened = [Image.open(file) for file in files]
    assert np.array_equal(
        np.stack([np.asarray(image) for image in opened]), (frames * 255).round().byte().numpy()
    )
    assert json.loads(opened[0].text["workflow"])["nodes"] == WORKFLOW["nodes"]


def test_nothing_is_overwritten(frames, tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(b"somebody's")
    with pytest.raises(FileExistsError):
        video_files.encode_video(frames, path, FPS, "mp4 (h264)")
    assert path.read_bytes() == b"somebody's"
    assert list(tmp_path.iterdir()) == [path]


def test_cancelling_leaves_no_file(frames, tmp_path):
    class CancelledError(Exception):
        pass

    def cancel(done):
        if done == 5:
            raise CancelledError

    with pytest.raises(CancelledError):
        video_files.encode_video(frames, tmp_path / "video.mp4", FPS, "mp4 (h264)", on_progress=cancel)
    assert list(tmp_path.iterdir()) == []


def test_failing_ffmpeg_is_quoted_and_leaves_no_file(frames, tmp_path, monkeypatch):
    """An encoder that the real ffmpeg does not have."""
    broken = video_files.VideoFormat(
        ".mp4", output_options=lambda quality, ffmpeg: ["-c:v", "no_such_encoder"]
    )
    monkeypatch.setitem(video_files.VIDEO_FORMATS, "broken", broken)
    with pytest.raises(VideoEncodingError, match="no_such_encoder"):
        video_files.encode_video(frames, tmp_path / "video.mp4", FPS, "broken")
    assert list(tmp_path.iterdir()) == []


def test_what_a_format_cannot_hold_is_refused(frames, tmp_path):
    with pytest.raises(ValueError, match="GIF plays at most"):
        video_files.encode_video(frames, tmp_path / "v.gif", Fraction(60), "gif")
    with pytest.raises(ValueError, match="at least 64 pixels"):
        video_files.encode_video(frames[:, :32], tmp_path / "v.webm", FPS, "webm (av1)")
    assert list(tmp_path.iterdir()) == []


def test_gif_time_is_kept_at_speeds_that_do_not_divide_a_second(frames, tmp_path):
    video_files.encode_video(frames, tmp_path / "v.gif", Fraction(15), "gif")
    with Image.open(tmp_path / "v.gif") as gif:
        total = 0
        for index in range(gif.n_frames):
            gif.seek(index)
            total += gif.info["duration"]
    assert total == pytest.approx(12 / 15 * 1000, abs=20)


def test_gif_white_after_colours_is_white_again(tmp_path):
    noise = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    frames = torch.cat([torch.ones(1, 64, 64, 3), noise, torch.ones(1, 64, 64, 3)])
    video_files.encode_video(frames, tmp_path / "v.gif", FPS, "gif")
    assert read_frames(tmp_path / "v.gif")[1][2].min() == 255
