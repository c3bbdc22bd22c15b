"""The training command with tiny networks, a few steps and recordings; then the normal loaders read its checkpoints.

One whole run and one message are those of real processes, as a person starts them. The other runs call the command's
main in this process, because a process takes longer to start than such a training takes.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from paintsundo_pack.paintsundo_models import keyframes, loading, segments
from paintsundo_pack.paintsundo_models.host.objects import Prompts
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings
from paintsundo_pack.paintsundo_models.video.files import encode_video
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from training import encoders, networks
from training import train as command
from training.latents import LATENT_SCALE, encode_sequences, load_sequences
from training.sequences import CANVAS, ProceduralSequences, RecordedSequences, frame_of_step, nearest_size
from training.settings import load_settings
from training.stages.image_vae import ImageVAEStage
from training.stages.inputs import StageInputs

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "paintsundo_models" / "demo"
TRAINED = ("image_vae", "image_decoder", "video_vae", "single_frame", "multi_frame")


def settings(**changes):
    """Settings of the smallest networks there are, for a few steps."""
    data = json.loads((ROOT / "training" / "demo.json").read_text(encoding="utf-8"))
    data |= {"sizes": [[64, 64]], "sequences": 3, "segments_per_sequence": 1}
    data["networks"] |= {
        "vae_width": 32,
        "vae_multipliers": [1, 1, 1, 1],
        "unet_width": 96,
        "unet_multipliers": [1, 1, 1, 1],
        "video_unet_width": 32,
        "video_unet_multipliers": [1, 1, 1, 1],
    }
    for stage in data["stages"].values():
        stage |= {"steps": 2, "batch": 2, "sequences": 3}
    data["stages"]["image_vae"] |= {"crop": 32, "late_crop": 64, "late_from": 0.5}
    data["stages"]["image_decoder"] |= {"crop": 32, "late_crop": 0}
    data["stages"]["video_vae"] |= {"batch": 1, "crop": 32, "late_crop": 64, "late_from": 0.5}
    for stage, change in changes.items():
        data["stages"][stage] |= change
    return data


def narrow():
    """Settings of a single-frame network that is too narrow to pass its noise through the last norm."""
    data = settings()
    data["networks"]["unet_width"] = 64
    return data


def drawing(color, frames):
    """Pictures of a disc that is drawn in so many frames; the last one is finished."""
    pictures = []
    for number in range(frames):
        picture = Image.new("RGB", (96, 80), "white")
        end = 360 * number / (frames - 1)
        ImageDraw.Draw(picture).pieslice((10, 10, 70, 70), 0, end, fill=color)
        pictures.append(picture)
    return pictures


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A folder with two drawings as numbered pictures, one as a video, and entries that are not recordings."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, color in (("a", "red"), ("b", "blue")):
        (folder / name).mkdir()
        for number, picture in enumerate(drawing(color, 8)):
            picture.save(folder / name / f"{number:03}.png")
    frames = np.stack([np.asarray(picture) for picture in drawing("green", 10)])
    encode_video(torch.from_numpy(frames).float() / 255, folder / "c.mp4", Fraction(4), "mp4 (h264)")
    (folder / "notes.txt").write_text("about a")
    (folder / "empty").mkdir()
    return folder


def options(run, arguments, data):
    """The command's arguments, with a file of settings in the run's folder."""
    run.mkdir(exist_ok=True)
    file = run / "settings.json"
    file.write_text(json.dumps(data or settings()), encoding="utf-8")
    return [*map(str, arguments), "--settings", str(file), "--run", str(run), "--threads", "1"]


def start(run, *arguments, data=None):
    """Run the command in a new process; return the completed process."""
    return subprocess.run(
        [sys.executable, str(ROOT / "training" / "train.py"), *options(run, arguments, data)],
        env={**os.environ, "COMFYUI_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def train(run_in_process):
    """A function that runs the command in this process: (folder, *arguments, data) -> code, stdout, stderr."""
    return lambda run, *arguments, data=None: run_in_process(command.main, *options(run, arguments, data))


@pytest.fixture(scope="module")
def run(tmp_path_factory, recordings):
    """The folder of a whole run on the recordings."""
    folder = tmp_path_factory.mktemp("run")
    result = start(folder, "all", "--recordings", recordings)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


def rows(file):
    with file.open(encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.parametrize("stage", TRAINED)
def test_stage_leaves_weights_a_log_and_sample_sheets(run, stage):
    (row,) = rows(run / stage / "log.csv")
    assert int(row["step"]) == 2
    assert float(row["loss"]) > 0
    (figures,) = rows(run / stage / "samples.csv")
    assert all(np.isfinite(float(value)) for value in figures.values())
    with Image.open(run / stage / "samples" / "000002.png") as sheet:
        assert sheet.width > 200
    assert (run / stage / "weights.pt").stat().st_size > 100_000


def test_stage_done_by_itself_gives_what_all_gives(train, run, recordings, tmp_path):
    alone = tmp_path / "alone"
    for stages in (["image_vae"], ["latents"], ["single_frame"], ["export"]):
        result = train(alone, *stages, "--recordings", recordings)
        assert result.code == 0, result.stderr[-3000:]
    one, other = (
        torch.load(folder / "single_frame" / "weights.pt", weights_only=True) for folder in (run, alone)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [file.name for file in (alone / "export").glob("*.safetensors")] == ["single-frame.safetensors"]


def test_video_vae_learns_its_decoder_and_keeps_the_encoder(run):
    image, video = (
        torch.load(run / stage / "weights.pt", weights_only=True) for stage in ("image_decoder", "video_vae")
    )
    frozen = {name for name in image if name.startswith(("encoder.", "quant_conv."))}
    assert len(frozen) > 50
    assert all(torch.equal(image[name], video[name]) for name in frozen)
    for name in ("decoder.up.0.block.0.conv1.weight", "decoder.norm_out.weight"):
        assert not torch.equal(image[name], video[name])
    assert video["decoder.up.0.block.0.time_stack.out_layers.3.weight"].any(), "it begins as zeros"


@torch.inference_mode()
def test_normal_loaders_read_the_single_file(run):
    single_frame = loading.load_single_frame(run / "export" / "single-frame.safetensors")
    picture = torch.rand(1, 90, 80, 3)
    made = keyframes.predict_keyframes(
        single_frame, picture, [0, 999], Prompts("a", ""), SamplerSettings(1, 2, 3.0, "dpmpp_2m", "karras")
    )
    assert made.shape == (2, 64, 64, 3), "the size of the training"
    assert made.isfinite().all()


@torch.inference_mode()
def test_normal_loaders_read_the_released_layout(run):
    single = loading.load_single_frame(run / "export" / "single-frame")
    assert single[0].model.diffusion_model is not None
    multi_frame = loading.load_multi_frame(run / "export" / "multi-frame")
    frames = segments.interpolate(
        multi_frame,
        (torch.zeros(1, 90, 80, 3), torch.ones(1, 90, 80, 3)),
        Prompts("a", ""),
        SamplerSettings(1, 2, 7.5, "paintsundo_ddim", "trailing"),
    ).frames
    assert frames.shape == (16, 64, 64, 3)
    assert frames.isfinite().all()


@torch.inference_mode()
def test_both_vaes_see_the_same_latents_of_unit_variance(run, recordings):
    image_vae = loading.load_single_frame(run / "export" / "single-frame", "fp32")[2]
    video_vae = loading.load_multi_frame(run / "export" / "multi-frame", "fp32")[2]
    states = np.concatenate(
        [RecordedSequences(recordings, ((64, 64),)).states(i, [0, 400, 700]) for i in range(3)]
    )
    pictures = torch.from_numpy(states).float() / 255
    one = image_vae.encode(pictures)
    other = video_vae.encode(pictures)[0].transpose(0, 1)
    assert (one - other).abs().max() < 1e-3 * one.abs().max()
    assert 0.3 < float((one * LATENT_SCALE).std()) < 3


def test_training_begins_from_the_checkpoints_of_an_earlier_run(train, run, recordings, tmp_path):
    still = settings(
        **{stage: {"steps": 1, "learning_rate": 0.0} for stage in ("single_frame", "multi_frame")}
    )
    arguments = ["latents", "single_frame", "multi_frame", "export", "--recordings", recordings]
    result = train(tmp_path / "run", *arguments, "--start", run / "export", data=still)
    assert result.code == 0, result.stderr[-3000:]
    for name in ("single-frame.safetensors", "multi-frame.safetensors"):
        one, other = (load_file(folder / "export" / name) for folder in (run, tmp_path / "run"))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), (
            "no step was taken, so nothing may differ"
        )


def test_a_run_goes_on_though_the_command_names_a_start(train, run, recordings, tmp_path):
    data = settings(single_frame={"learning_rate": 0.1})
    arguments = ["latents", "single_frame", "--recordings", recordings, "--start", run / "export"]
    weights = []
    for _ in range(2):
        assert train(tmp_path / "run", *arguments, data=data).code == 0
        weights.append(torch.load(tmp_path / "run" / "single_frame" / "weights.pt", weights_only=True))
    started, again = weights
    assert all(torch.equal(started[name], again[name]) for name in started)
    assert len(rows(tmp_path / "run" / "single_frame" / "log.csv")) == 1


def test_broken_off_stage_goes_on_where_it_was(train, run, recordings):
    more = settings(image_vae={"steps": 3})
    result = train(run, "image_vae", "--recordings", recordings, data=more)
    assert result.code == 0, result.stderr[-3000:]
    assert [int(row["step"]) for row in rows(run / "image_vae" / "log.csv")] == [2, 3]


@pytest.mark.parametrize(
    ("arguments", "data", "text"),
    [
        (["single_frame"], None, "Run the stage image_vae first"),
        (["export"], None, "There is nothing to export"),
        (["image_vae", "--recordings", "{empty}"], None, "There are no recordings in"),
        (["image_vae"], {"seed": 1}, "is no settings file"),
        (["image_vae"], settings() | {"sizes": [[60, 64]]}, "multiples of 64"),
        (["image_vae"], settings() | {"epochs": 3}, "has no epochs"),
        (["image_vae"], narrow(), "96 channels wide at least"),
        (
            ["latents", "--start", "{empty}"],
            None,
            "There is neither single-frame.safetensors nor multi-frame",
        ),
        (
            ["latents", "--start", str(DEMO)],
            None,
            "Give the settings the widths that this file was trained with",
        ),
    ],
)
def test_what_cannot_work_ends_with_the_reason(train, tmp_path, arguments, data, text):
    (tmp_path / "empty").mkdir()
    arguments = [argument.format(empty=tmp_path / "empty") for argument in arguments]
    result = train(tmp_path / "run", *arguments, data=data)
    assert result.code == 1
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_process_ends_with_the_reason_and_its_code(tmp_path):
    result = start(tmp_path / "run", "image_vae", data={"seed": 1})
    assert result.returncode == 1
    assert "is no settings file" in result.stderr
    assert "Traceback" not in result.stderr


def test_start_keeps_the_image_vae(train, tmp_path):
    result = train(tmp_path / "run", "image_vae", "--start", DEMO)
    assert result.code == 2
    assert "--start keeps the image VAE" in result.stderr


@pytest.fixture
def paused(tmp_path):
    """A folder with a screen recording of 20 frames, each darker than the last, with a pause of three seconds in the middle."""
    path = tmp_path / "recordings" / "paused.mkv"
    path.parent.mkdir()
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(20):
            shade = np.full((64, 64, 3), 255 - 12 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(shade).reformat(format="yuv420p")
            frame.time_base, frame.pts = Fraction(1, 25), number + 75 * (number >= 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.parent


def test_recording_that_stands_still_is_read_to_its_end(paused):
    finished, half, first = RecordedSequences(paused, ((64, 64),)).states(0, [0, 500, 999])
    shades = [float(state.mean()) for state in (finished, half, first)]
    assert shades == pytest.approx([27, 255 - 12 * 9.5, 255], abs=8)


def test_recordings_that_are_added_later_are_encoded(recordings, tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps(settings()), encoding="utf-8")
    widths = load_settings(tmp_path / "settings.json").networks
    vae, vision = networks.image_vae(widths), encoders.vision_encoder(widths)
    (tmp_path / "latents").mkdir()
    (tmp_path / "latents" / "000000.pt").write_bytes(b"as earlier versions named it")
    written = []
    for names in ("a", "ab", "ab"):
        for name in names:
            shutil.copytree(recordings / name, tmp_path / "recordings" / name, dirs_exist_ok=True)
        source = RecordedSequences(tmp_path / "recordings", ((64, 64),))
        encode_sequences(source, 100, 1, vae, vision, tmp_path / "latents", 0)
        (group,) = load_sequences(tmp_path / "latents").values()
        assert len(group) == len(names)
        (file,) = (tmp_path / "latents").iterdir()
        written.append(file.stat().st_mtime_ns)
    assert written[1] == written[2], "what is there is not done again"


def test_pictures_may_have_any_number_of_sizes(tmp_path):
    data = settings(image_vae={"steps": 1, "crop": 0, "late_crop": 0})
    data["sizes"] = [[64, 64], [128, 64]]
    (tmp_path / "settings.json").write_text(json.dumps(data), encoding="utf-8")
    chosen = load_settings(tmp_path / "settings.json")
    held_out = ProceduralSequences(0, 100, chosen.sizes)
    inputs = StageInputs(held_out, held_out, chosen.stages["image_vae"], torch.device("cpu"))
    stage = ImageVAEStage(networks.image_vae(chosen.networks), inputs)
    assert stage.shown.shape[1:3] == (64, 64)
    sheet, figures = stage.sample(stage.network)
    assert sheet.width > 200
    assert np.isfinite(figures["psnr"])


def test_recordings_are_read_in_operation_steps(recordings):
    source = RecordedSequences(recordings, ((64, 64), (128, 64)))
    assert [entry.name for entry in source.recordings] == ["a", "b", "c.mp4"]
    for index, color in enumerate(((255, 0, 0), (0, 0, 255), (0, 128, 0))):
        finished, half, first, canvas = source.states(index, [0, 500, 999, CANVAS])
        assert finished.shape == (64, 64, 3)
        assert np.abs(finished[25, 25].astype(int) - color).max() < 12
        ink = [(state.min(axis=2) < 200).mean() for state in (finished, half, first)]
        assert ink[0] > ink[1] > ink[2]
        assert (canvas == 255).all()


def test_steps_are_spread_over_the_frames():
    assert [frame_of_step(step, 11) for step in (0, 100, 500, 999, CANVAS)] == [10, 9, 5, 0, 0]
    assert nearest_size(100, 50, ((64, 64), (128, 64), (64, 128))) == (128, 64)


def test_pictures_of_a_recording_may_be_transparent_or_have_16_bits(tmp_path):
    (tmp_path / "drawing").mkdir()
    Image.new("RGBA", (64, 128), (0, 0, 0, 0)).save(tmp_path / "drawing" / "1.png")
    Image.fromarray(np.full((128, 64), 0x8080, np.uint16)).save(tmp_path / "drawing" / "2.png")
    finished, first = RecordedSequences(tmp_path, ((64, 64), (128, 64), (64, 128))).states(0, [0, 999])
    assert finished.shape == (128, 64, 3), "the size whose shape is nearest"
    assert (finished == 128).all()
    assert (first == 255).all()
