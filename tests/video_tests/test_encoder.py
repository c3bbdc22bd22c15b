"""The ffmpeg process when something goes wrong: hung, dead, silent, on a full disk; and what a killed server leaves."""

import os
import subprocess
import sys
import textwrap
import threading
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from paintsundo_pack.paintsundo_models.errors import VideoEncodingError
from paintsundo_pack.paintsundo_models.video import encoder, unfinished
from paintsundo_pack.paintsundo_models.video import files as video_files

FPS = Fraction(4)
FRAMES = torch.zeros(8, 64, 64, 3)


class CancelledError(Exception):
    """Raised by a progress callback, as the host does."""


def program(folder, code):
    """A program that takes ffmpeg's place: Python code that a shell script runs."""
    script = folder / "stand_in.py"
    script.write_text(textwrap.dedent(code))
    return [sys.executable, str(script)]


@pytest.mark.parametrize("reads", ["", "sys.stdin.buffer.read();"])
def test_hung_program_is_cancelled(tmp_path, reads):
    """A program that reads nothing fills the pipe; one that reads everything hangs at the end."""
    command = program(tmp_path, f"import sys, time; {reads} time.sleep(600)")
    asked = []

    def cancel(done):
        asked.append(done)
        if len(asked) > 8:
            raise CancelledError

    failures = []

    def run():
        try:
            encoder.run_encoder(command, (bytes(1_000_000) for _ in range(6)), cancel)
        except CancelledError as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it hangs with the program"
    assert failures


def test_words_of_a_program_that_dies_early_are_kept(tmp_path):
    command = program(tmp_path, "import sys; sys.stderr.write('x' * 100_000 + 'the last words'); sys.exit(3)")
    code, words = encoder.run_encoder(command, (bytes(1_000_000) for _ in range(50)), lambda done: None)
    assert code == 3
    assert words.endswith("the last words")
    assert len(words) <= 4096


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Let this code run in place of ffmpeg."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def use(code):
        command = program(folder, f"import sys\nsys.stdin.buffer.read()\n{code}")
        script = folder / "ffmpeg"
        script.write_text(f'#!/bin/sh\nexec "{command[0]}" "{command[1]}" "$@"\n')
        script.chmod(0o755)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(script))

    return use


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "sys.stderr.write('av_interleaved_write_frame(): No space left on device'); sys.exit(1)",
            "is full .* MB are free",
        ),
        ("", "could not write video.mp4 .*exit code 0.*nothing"),
        ("sys.exit(5)", "exit code 5"),
    ],
)
def test_each_way_to_fail_has_its_message_and_leaves_nothing(stand_in, tmp_path, code, said):
    output = tmp_path / "output"
    output.mkdir()
    stand_in(code)
    with pytest.raises(VideoEncodingError, match=f"(?s){said}"):
        video_files.encode_video(FRAMES, output / "video.mp4", FPS, "mp4 (h264)")
    assert list(output.iterdir()) == []


def test_full_disk_is_said_for_pictures_too(tmp_path):
    def write():
        with unfinished.unfinished_folder(tmp_path), Path("/dev/full").open("w") as file:
            file.write("x")

    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(VideoEncodingError, match="is full"):
        write()
    assert list(tmp_path.iterdir()) == []


HOLD = """
import importlib, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from paintsundo_models.video.unfinished import unfinished_folder
with unfinished_folder(Path(sys.argv[2])) as folder:
    (folder / "half.mp4").write_bytes(b"half")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_server_left_is_cleared_and_a_live_one_keeps_its_own(tmp_path):
    root = Path(__file__).resolve().parents[2]
    owners = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(root), str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    killed, live = (Path(owner.stdout.readline().strip()) for owner in owners)
    try:
        owners[0].kill()
        owners[0].wait()
        for folder in (killed, live):
            os.utime(folder, (0, 0))  # young folders are left alone
        somebodys = tmp_path / ".paintsundo_not_a_folder"
        somebodys.write_text("a file")
        video_files.encode_video(FRAMES, tmp_path / "video.mp4", FPS, "mp4 (h264)")
        assert not killed.exists()
        assert (live / "half.mp4").is_file()
        assert sorted(tmp_path.iterdir()) == sorted([live, somebodys, tmp_path / "video.mp4"])
    finally:
        for owner in owners:
            owner.kill()
            owner.wait()
            owner.stdout.close()
