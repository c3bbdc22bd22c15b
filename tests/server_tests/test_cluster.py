"""Ten pictures over two workers of a real Ray cluster, with a worker, a ComfyUI and the command itself killed on the way."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from paintsundo_pack.paintsundo_models.constants import TRAINED_SIZES_KEY
from PIL import Image

from tools import manifest
from tools.seeded_checkpoint import write_seeded_checkpoints

ray = pytest.importorskip("ray")

ROOT = Path(__file__).resolve().parents[2]
COUNT = 10
SIDE = 64
# Little work: small checkpoints, one sampling step, one keyframe, two segments.
CHEAP = ("--steps", "1", "--operation-steps", "600", "--prompt", "", "--hold", "0", "--cpu")
OWN_FOLDERS = {"models", "input", "output", "user", "temp", "custom_nodes"}
SETTINGS = {
    "COMFYUI_PYTHON": sys.executable,
    "OMP_NUM_THREADS": "1",
    # A segment that an earlier run has kept would hide that a later one makes another.
    "PAINTSUNDO_SEGMENTS_MB": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # else Ray writes into the home folder; the cluster listens on this machine only
}


@pytest.fixture(scope="module")
def environment(installation, tmp_path_factory):
    """The environment of the commands: it names a ComfyUI with small checkpoints in a models folder of its own."""
    comfyui = tmp_path_factory.mktemp("comfyui") / "ComfyUI"
    (comfyui / "custom_nodes").mkdir(parents=True)
    for entry in installation.comfyui.iterdir():
        if entry.is_dir() and entry.name not in OWN_FOLDERS:
            (comfyui / entry.name).symlink_to(entry, target_is_directory=True)
        elif entry.suffix == ".py":  # copied, because ComfyUI finds its folders by the real place of these
            shutil.copy(entry, comfyui)
    for folder in write_seeded_checkpoints(comfyui / "models"):
        file = folder / "vae" / "config.json"
        config = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps({**config, TRAINED_SIZES_KEY: [[SIDE, SIDE]]}), encoding="utf-8")
    return {**os.environ, **SETTINGS, "COMFYUI_PATH": str(comfyui)}


@pytest.fixture(scope="module")
def address(environment):
    """A Ray cluster of this machine with room for two workers."""
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # short, because the names of sockets are
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = (
        f"start --head --block --node-ip-address=127.0.0.1 --port={port} --num-cpus=4 --num-gpus=0 "
        f"--include-dashboard=false --object-store-memory=100000000 --temp-dir={folder}"
    )
    running = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", *start.split()],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    yield f"127.0.0.1:{port}"
    processes = [running, *psutil.Process(running.pid).children(recursive=True)]
    running.terminate()
    running.wait(30)
    for process in psutil.wait_procs([one for one in processes if one is not running], timeout=10)[1]:
        process.kill()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Ten small drawings, in a folder and a sub-folder, and a file that is none."""
    folder = tmp_path_factory.mktemp("many") / "pictures"
    (folder / "sub").mkdir(parents=True)
    for number in range(COUNT):
        picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
        picture[8 + 3 * number : 40, 10:50] = (20 * number, 200 - 15 * number, 60)
        Image.fromarray(picture).save(folder / ("sub" if number % 2 else "") / f"{number}.png")
    (folder / "broken.png").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def start(environment):
    """A function that starts paint.py with these arguments."""

    def begin(*arguments):
        command = [sys.executable, str(ROOT / "paint.py"), *map(str, arguments), *CHEAP]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    return begin


@pytest.fixture(scope="module")
def run(start):
    """A function that runs paint.py with these arguments; it returns the exit code and what was said."""

    def to_the_end(*arguments):
        with start(*arguments) as process:
            out, _ = process.communicate(timeout=900)
        return process.returncode, out

    return to_the_end


@pytest.fixture(scope="module")
def one_by_one(run, pictures):
    """The folder with the results of one ComfyUI, and what the command said."""
    target = pictures.with_name("one_by_one")
    code, out = run(pictures, "--output", target)
    return target, code, out


def entries(folder):
    """The manifest's lines about results."""
    book = folder / manifest.MANIFEST
    lines = book.read_text(encoding="utf-8").splitlines() if book.is_file() else []
    return [entry for entry in map(json.loads, lines) if "results" in entry]


def frames(video):
    with av.open(str(video)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def videos(folder):
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.mp4")}


def comfyuis(comfyui):
    """The ComfyUIs of the workers: their parents are the workers."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if "launch_comfyui.py" in line and "working_dir_files" in line and comfyui in line:
            found.append(process)
    return found


def wait_for(condition, process):
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)


def test_one_unreadable_picture_fails_alone(one_by_one):
    target, code, out = one_by_one
    assert code == 1, out
    assert "broken.png: FAILED." in out
    assert len(videos(target)) == len(entries(target)) == COUNT
    assert "Painted:        10\n" in out
    assert "Failed:         1\n" in out


def test_killed_processes_cost_nothing_and_every_picture_is_there_once(
    environment, start, run, address, pictures, one_by_one
):
    target = pictures.with_name("cluster")
    own = environment["COMFYUI_PATH"]
    with start(pictures, "--output", target, "--cluster", address) as process:
        wait_for(lambda: len(entries(target)) >= 1 and len(comfyuis(own)) == 2, process)
        worker = comfyuis(own)[0].parent()
        worker.kill()
        done = len(entries(target))
        wait_for(lambda: len(entries(target)) >= done + 2 and comfyuis(own), process)
        comfyuis(own)[0].kill()
        done = len(entries(target))
        wait_for(lambda: len(entries(target)) >= done + 2, process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    kept = entries(target)
    assert 5 <= len(kept) < COUNT, "killed in the middle"
    for entry in kept:
        for name, size in entry["results"].items():
            assert (target / name).stat().st_size == size, "whole"

    code, out = run(pictures, "--output", target, "--cluster", address)
    assert code == 1, out
    assert f"There already:  {len(kept)}\n" in out
    expected, made = videos(one_by_one[0]), videos(target)
    assert made.keys() == expected.keys(), "every picture once, in the same place"
    assert len({entry["key"] for entry in entries(target)}) == len(entries(target)) == COUNT
    for name, video in made.items():
        assert np.array_equal(frames(video), frames(expected[name])), name


def test_segments_of_one_video_by_several_workers_are_those_of_one_machine(
    run, address, pictures, one_by_one
):
    target = pictures.with_name("by_segment")
    code, out = run(pictures / "0.png", "--output", target, "--cluster", address, "--by", "segment")
    assert code == 0, out
    (video,) = videos(target).values()
    assert np.array_equal(frames(video), frames(one_by_one[0] / "0_painting.mp4"))


def test_cluster_that_is_not_there_is_told(run, pictures, tmp_path):
    code, out = run(pictures / "0.png", "--output", tmp_path / "out", "--cluster", "127.0.0.1:1")
    assert code == 1
    assert "There is no Ray cluster at 127.0.0.1:1" in out
    assert "Traceback" not in out
