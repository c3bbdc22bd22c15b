"""The built-in demo paints a drawing that it was not trained on, with the workflow that paint.py uses for the demo."""

import io
import os
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from tools import painting
from tools.workflow import Workflow
from training.scenes import Painting

ROOT = Path(__file__).resolve().parents[2]
HELD_OUT_SEED = 0
WIDTH, HEIGHT = 128, 192
HOLD = 8  # frames: the workflow shows the finished picture 2 s longer than the others


@pytest.fixture(scope="module")
def drawing():
    return Painting(HELD_OUT_SEED, WIDTH, HEIGHT).state(0)


@pytest.fixture(scope="module")
def video(server, drawing, tmp_path_factory):
    """All frames in painting order without the cover, (T, H, W, 3) uint8."""
    data = io.BytesIO()
    Image.fromarray(drawing).save(data, "PNG")
    workflow = Workflow.load(ROOT / painting.DEMO_WORKFLOW, server.client.object_info())
    workflow.set_widget("LoadImage", "image", server.client.upload_image(data.getvalue(), "drawing.png"))
    assert workflow.widget(painting.SINGLE_LOADER, "checkpoint") == painting.DEMO_NAME
    assert workflow.widget(painting.MULTI_LOADER, "checkpoint") == painting.DEMO_NAME
    prompt = workflow.to_prompt()
    (key,) = [key for key, node in prompt.items() if node["class_type"] == painting.VIDEO]
    (result,) = server.client.run(prompt, workflow.graph)[key]["images"]
    file = server.client.download(result, tmp_path_factory.mktemp("demo") / result["filename"])
    reader = imageio_ffmpeg.read_frames(str(file), pix_fmt="rgb24")
    width, height = next(reader)["size"]
    return np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader])[1:]


def first_frame_above(values, share):
    """Number of the first frame at which a share of the largest value is reached."""
    return int(np.argmax(values >= share * values.max()))


def test_video_has_the_size_of_the_training_and_all_frames(video):
    assert video.shape == (106 + HOLD, HEIGHT, WIDTH, 3)


def test_video_begins_with_the_canvas_and_ends_with_the_picture(video, drawing):
    assert video[0].min() >= 250
    assert video[:4].mean() >= 250
    assert np.abs(video[-1].astype(int) - drawing).mean() < 6
    redrawn = video[-2 - HOLD].astype(float)  # by the model, unlike the frames after it
    assert 10 * np.log10(255**2 / np.mean((redrawn - drawing) ** 2)) > 18


def test_lines_come_before_colours_and_colours_before_the_finish(video, drawing):
    dark = (video.max(axis=3) < 110).mean(axis=(1, 2))  # lines
    inked = (video.min(axis=3) < 225).mean(axis=(1, 2))  # anything painted
    error = np.abs(video.astype(float) - drawing).mean(axis=(1, 2, 3))
    lines, colours = first_frame_above(dark, 0.4), first_frame_above(inked, 0.5)
    finished = int(np.argmax(error < 0.15 * error[0]))
    assert 10 < lines < colours < finished
    sketch = video[lines]
    saturation = sketch.max(axis=2).astype(int) - sketch.min(axis=2)
    assert (saturation > 60).mean() < 0.1, "there are lines, and hardly a colour"


def test_ink_grows(video):
    ink = (video[:-HOLD].min(axis=3) < 240).mean(axis=(1, 2))[::5]
    assert (np.diff(ink) > -0.03).mean() >= 0.9


def test_paint_takes_the_demo_or_what_is_installed(tmp_path, drawing):
    """The command itself, with few steps: --fast, and fewer keyframes."""
    Image.fromarray(drawing).save(tmp_path / "drawing.png")
    result = subprocess.run(
        [
            sys.executable,
            str(ROOT / "paint.py"),
            str(tmp_path / "drawing.png"),
            *("--fast", "--steps", "2", "--operation-steps", "600", "--cpu", "--prompt", ""),
            *("--output", str(tmp_path / "video.mp4")),
        ],
        env={**os.environ, "COMFYUI_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Checkpoints: " in result.stdout
    assert (tmp_path / "video.mp4").stat().st_size > 1000
