"""`paint.py --download`, under the Python of a ComfyUI, against the stand-in of the hub."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hub_stand_in import breaks_after, refuses, sends_a_wrong_byte, stalls_after
from paintsundo_pack.paintsundo_models.checkpoints.published import WHAT

from tools import downloader

ROOT = Path(__file__).resolve().parents[2]
UNET = "unet/diffusion_pytorch_model.safetensors"
SINGLE = "paints_undo_single_frame"


@pytest.fixture
def comfyui(tmp_path):
    """A folder that looks like a ComfyUI to the commands; nothing in it runs."""
    (tmp_path / "comfy").mkdir()
    (tmp_path / "main.py").touch()
    return tmp_path


@pytest.fixture
def models(comfyui):
    return comfyui / "models" / "paintsundo"


@pytest.fixture
def start(comfyui, hub):
    """Start the command; takes its arguments, and those of Popen."""

    def run(*arguments, environment=None, **options):
        own = {"COMFYUI_PATH": str(comfyui), "COMFYUI_PYTHON": sys.executable, "PYTHONUTF8": "1"}
        return subprocess.Popen(
            [sys.executable, ROOT / "paint.py", *arguments],
            env={**os.environ, **hub.environment, **own, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            **options,
        )

    return run


@pytest.fixture
def paint(start):
    """Run the command; return its exit code and what it said."""

    def run(*arguments, **options):
        process = start(*arguments, **options)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    return run


def test_download_then_check_then_a_damaged_file(paint, models):
    code, said = paint("--download", "single-frame")
    assert code == 0, said
    assert f"Into {models}" in said
    assert "7 files, 1.8 MB, were fetched; all are as published." in said
    code, said = paint("--download", "single-frame", "--check")
    assert code == 0, said
    assert "All 7 files are there and as published." in said
    file = models / SINGLE / UNET
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    (models / SINGLE / "vae" / "config.json").unlink()
    code, said = paint("--download", "single-frame", "--check")
    assert code == 1, said
    assert f"{SINGLE}/{UNET} has the right size and other content" in said
    assert f"{SINGLE}/vae/config.json is missing" in said
    assert "2 of 7 files are not as published" in said


@pytest.mark.parametrize("more", [[], ["--check"]], ids=["download", "check"])
def test_download_offline_says_so_and_asks_nobody(paint, hub, models, more):
    code, said = paint("--download", *more, environment={"HF_HUB_OFFLINE": "1"})
    assert code == 1, said
    assert "HF_HUB_OFFLINE is set, so the hub was not asked" in said
    assert hub.asked == []


@pytest.mark.parametrize(
    ("troubles", "message"),
    [
        ([refuses(404)], "(error 404): check HF_ENDPOINT"),
        ([refuses(429, Retry_After="300")], "(error 429): start again in 300 s"),
        ([sends_a_wrong_byte], "came with other content than the hub's list says"),
        ([breaks_after(0)] * 5, "broke off 5 times in a row"),
    ],
    ids=["404", "429", "wrong byte", "breaks"],
)
def test_download_that_fails_says_why_in_one_line(paint, hub, models, troubles, message):
    hub.troubles[UNET].extend(troubles)
    code, said = paint("--download", "single-frame")
    assert code == 1, said
    assert message in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not (models / SINGLE / UNET).exists()


def test_download_through_a_proxy(paint, hub, models):
    away = {
        "HF_ENDPOINT": "http://hub.invalid",
        "HTTP_PROXY": hub.url,
        "http_proxy": hub.url,
        "NO_PROXY": "x",
    }
    code, said = paint("--download", "tagger", environment={**away, "no_proxy": "x"})
    assert code == 0, said
    assert {address.split("/")[2] for address in hub.proxied} == {"hub.invalid", hub.cdn_url.split("/")[2]}
    assert {token for server, _, _, token in hub.asked if server == "cdn"} == {None}


@pytest.mark.skipif(os.name == "nt", reason="no limit of a file's size there")
def test_download_onto_a_disk_that_takes_no_more(paint, hub, models):
    import resource

    limit = 300_000  # bytes a file may have: writing more fails like writing to a full disk
    code, said = paint(
        "--download",
        "single-frame",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert code == 1, said
    assert f"{SINGLE}/{UNET} could not be written to" in said.splitlines()[-1]
    assert "make room there and start again" in said.splitlines()[-1]
    assert not (models / SINGLE / UNET).exists()
    code, said = paint("--download", "single-frame")
    assert code == 0, said
    assert hub.ranges_of(UNET)[-1] == f"bytes={limit}-"


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a whole console")
def test_ctrl_c_ends_a_stalled_download_and_the_next_goes_on(start, paint, hub, models):
    hub.troubles[UNET].extend([stalls_after(300_000)] * 5)
    process = start("--download", "single-frame", environment={"HF_HUB_DOWNLOAD_TIMEOUT": "300"})
    assert hub.stalling.wait(120)
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size for part in models.rglob("*.part")):  # sent is not yet received
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.endswith("\nCancelled.\n")
    assert not (models / SINGLE / UNET).exists()
    hub.forget()
    code, said = paint("--download", "single-frame")
    assert code == 0, said
    assert hub.ranges_of(UNET)[0].startswith("bytes=")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--check"], "--check goes with --download"),
        (["--download", "everything"], "invalid choice: 'everything'"),
        (["--download", "--serve"], "give one of PICTURE, --serve, --what-is FILE and --download"),
    ],
)
def test_arguments_that_do_not_fit(paint, hub, arguments, message):
    code, said = paint(*arguments)
    assert code == 2
    assert message in said
    assert hub.asked == []


def test_the_command_offers_what_the_node_offers():
    assert downloader.WHAT == WHAT
