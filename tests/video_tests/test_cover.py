"""The cover of real files: what ffprobe, PyAV and a browser find in them, and what stays as it is without one."""

import base64
import json
import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from paintsundo_pack.paintsundo_models.video import assembly
from paintsundo_pack.paintsundo_models.video import files as video_files

from tools.pictures import read_frames

COVERED = [name for name, spec in video_files.VIDEO_FORMATS.items() if spec.can_have_cover]
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WHITE, GREY, PICTURE = 255, 128, 40
# What a browser shows before it plays, and every frame that it shows while it plays: [time, shade].
SHOWN = """async ([data, type]) => {
    const video = document.createElement("video");
    const context = document.createElement("canvas").getContext("2d");
    const shown = [];
    const look = (_, frame) => {
        context.drawImage(video, 32, 32, 1, 1, 0, 0, 1, 1);
        shown.push([frame.mediaTime, context.getImageData(0, 0, 1, 1).data[0]]);
        video.requestVideoFrameCallback(look);
        if (shown.length === 1)
            video.play();
    };
    video.requestVideoFrameCallback(look);
    video.muted = true;
    const ended = new Promise(done => video.onended = done);
    video.src = `data:${type};base64,${data}`;
    document.body.replaceChildren(video);
    await ended;
    return [shown, video.duration];
}"""


def segment():
    """Four frames in undo order: the picture, two grey ones, the canvas."""
    shades = torch.tensor([PICTURE, GREY, GREY, WHITE]) / 255
    return shades[:, None, None, None].expand(-1, 64, 64, 3)


def written(folder, name, fps=Fraction(4), has_cover=True, **settings):
    """A video file in painting order, as the node writes it."""
    video = assembly.assemble([segment()], assembly.AssemblySettings(fps, has_cover=has_cover, **settings))
    path = folder / f"video{video_files.VIDEO_FORMATS[name].extension}"
    cover = None if video.cover is None else video.cover[0]
    video_files.encode_video(video.played, path, fps, name, metadata={"workflow": "{}"}, cover=cover)
    return path


def decoded(path):
    """(time in seconds, shade) of every frame."""
    with av.open(str(path)) as container:
        return [
            (frame.time, frame.to_ndarray(format="rgb24")[32, 32, 0]) for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize("fps", [Fraction(1, 10), Fraction(4), Fraction(2997, 50)], ids=float)
@pytest.mark.parametrize("name", COVERED)
def test_first_millisecond_shows_the_picture_and_then_the_video_begins(tmp_path, ffprobe, name, fps):
    path = written(tmp_path, name, fps)
    times, shades = zip(*decoded(path), strict=True)
    assert np.abs(np.array(shades, int) - [PICTURE, WHITE, GREY, GREY, PICTURE]).max() <= 3
    expected = [0, *(0.001 + float(number / fps) for number in range(4))]
    assert times == pytest.approx(expected, abs=0.0006 if path.suffix == ".webm" else 1e-9)
    command = [
        ffprobe,
        "-v",
        "error",
        "-count_frames",
        "-show_streams",
        "-show_format",
        "-of",
        "json",
        str(path),
    ]
    facts = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert int(facts["streams"][0]["nb_read_frames"]) == 5
    assert float(facts["format"]["duration"]) == pytest.approx(0.001 + 4 / float(fps), abs=0.002)
    assert "workflow" in {key.lower() for key in facts["format"]["tags"]}


def test_frames_are_the_same_with_a_cover_and_without(tmp_path):
    with_cover, without = tmp_path / "with", tmp_path / "without"
    with_cover.mkdir()
    without.mkdir()
    files = [
        written(folder, "webm (lossless)", has_cover=folder == with_cover) for folder in (with_cover, without)
    ]
    covered, plain = (decoded(file) for file in files)
    assert [shade for _, shade in covered[1:]] == [shade for _, shade in plain]
    assert [np.asarray(frame).mean() for _, frame in read_frames([files[0]])] == [
        np.asarray(frame).mean() for _, frame in read_frames([files[1]])
    ], "the contact sheet leaves the cover out"


@pytest.mark.parametrize(
    ("name", "settings"),
    [("mp4 (h264)", {"order": "undo"}), ("gif", {}), ("mp4 (h264)", {"has_cover": False})],
    ids=["undo order begins with the picture", "gif", "switched off"],
)
def test_file_has_no_cover(tmp_path, name, settings):
    assert len(decoded(written(tmp_path, name, **settings))) == 4


def test_cover_carries_the_corner_note(tmp_path):
    settings = assembly.AssemblySettings(Fraction(4), has_cover=True, notice="corner note")
    video = assembly.assemble([segment().repeat_interleave(2, 1).repeat_interleave(4, 2)], settings)
    assert torch.equal(video.cover[0], video.played[len(video.played) - 1])
    assert not torch.equal(video.cover[0], video.picture)


@pytest.mark.parametrize("name", ["mp4 (h264)", "webm (vp9)"])
def test_browser_shows_the_picture_and_plays_all_of_the_video(tmp_path, chromium, name):
    from playwright.sync_api import sync_playwright

    path = written(tmp_path, name)
    data, kind = base64.b64encode(path.read_bytes()).decode(), f"video/{path.suffix[1:]}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=CHROMIUM_ARGUMENTS)
        tab = browser.new_page()
        shown, duration = tab.evaluate(SHOWN, [data, kind])
        browser.close()
    times, shades = zip(*shown, strict=True)
    assert shades == pytest.approx([PICTURE, WHITE, GREY, GREY, PICTURE], abs=4)
    assert times == pytest.approx([0, 0.001, 0.251, 0.501, 0.751], abs=1e-4)
    assert duration == pytest.approx(1.001, abs=0.01)
