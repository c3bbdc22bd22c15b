"""PaintsUndoDownload in a real ComfyUI, against the stand-in of the hub."""

import shutil

import pytest
from hub_stand_in import breaks_after, refuses, sends_a_wrong_byte, stalls_after

from tools.comfy_client import CancelledRunError, ExecutionError, PromptError

UNET = "unet/diffusion_pytorch_model.safetensors"
SINGLE = "paints_undo_single_frame"
TAGGER = "wd-v1-4-moat-tagger-v2.onnx"


@pytest.fixture
def models(server, hub):
    """The server's models/paintsundo, which afterwards is as it was."""
    folder = server.base_directory / "models" / "paintsundo"
    before = set(folder.iterdir())
    files = {path: path.read_bytes() for path in before if path.is_file()}
    yield folder
    for path in set(folder.iterdir()) - before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path, content in files.items():  # such as the tagger of other tests, under the published name
        path.write_bytes(content)


def prompt(what="single-frame", revision=""):
    inputs = {"what": what, "revision": revision}
    return {"1": {"class_type": "PaintsUndoDownload", "inputs": inputs}}


def listed(server, node_id, name):
    required = server.client.object_info(node_id)[node_id]["input"]["required"]
    return required[name][1]["options"]


def test_download_lists_the_models_without_a_restart(server, models):
    seen = []
    outputs = server.client.run(prompt("all"), on_event=lambda kind, data: seen.append((kind, data)))
    assert "20 files, " in outputs["1"]["text"][0]
    assert "press R" in outputs["1"]["text"][0]
    assert SINGLE in listed(server, "PaintsUndoSingleFrameLoader", "checkpoint")
    assert SINGLE not in listed(server, "PaintsUndoMultiFrameLoader", "checkpoint")
    assert "paints_undo_multi_frame" in listed(server, "PaintsUndoMultiFrameLoader", "checkpoint")
    assert TAGGER in listed(server, "PaintsUndoTagger", "tagger")
    total = sum(file.stat().st_size for file in models.glob("*undo*/**/*") if file.is_file())
    total += sum(file.stat().st_size for file in models.glob("wd-v1-4*"))
    bars = [data for kind, data in seen if kind == "progress"]
    assert (bars[-1]["value"], bars[-1]["max"]) == (total, total)


def test_download_that_is_done_runs_again_and_repairs(server, hub, models):
    server.client.run(prompt())
    assert "were there already" in server.client.run(prompt())["1"]["text"][0]
    (models / SINGLE / UNET).unlink()
    hub.forget()
    server.client.run(prompt())
    assert hub.ranges_of(UNET) == [None]
    assert (models / SINGLE / UNET).is_file()


def test_download_is_never_started_by_itself(server, hub):
    server.client.object_info()
    with pytest.raises(
        PromptError,
        match="what: 'everything' not in the list. Choose one of these: single-frame, multi-frame, tagger, all",
    ):
        server.client.run(prompt("everything"))
    assert hub.asked == []


@pytest.mark.parametrize(
    ("troubles", "message"),
    [
        ([refuses(404)], r"There is nothing at http.*error 404.*check HF_ENDPOINT"),
        ([refuses(429, Retry_After="300")], r"takes no more requests for now .*start again in 300 s"),
        ([sends_a_wrong_byte], r"came with other content than the hub's list says"),
        ([breaks_after(0)] * 5, r"broke off 5 times in a row .*start again later"),
        ([stalls_after(0)] * 5, r"broke off 5 times in a row \(nothing came any more\): start again later"),
    ],
    ids=["404", "429", "wrong byte", "breaks", "stalls"],
)
def test_download_that_fails_says_why_and_leaves_nothing_half_done(server, hub, models, troubles, message):
    hub.troubles[UNET].extend(troubles)
    with pytest.raises(ExecutionError, match=message):
        server.client.run(prompt())
    assert not (models / SINGLE / UNET).exists()


def test_download_asks_for_room_first(server, hub, models):
    hub.claimed_sizes[UNET] = 10**15
    with pytest.raises(ExecutionError, match=r"needs room for .* more and its disk has .* make room"):
        server.client.run(prompt())
    assert hub.ranges_of(UNET) == []


def test_download_through_breaks_and_stalls_comes_whole(server, hub, models):
    hub.troubles[UNET].extend([breaks_after(1000), stalls_after(1000)])
    server.client.run(prompt())
    assert (models / SINGLE / UNET).read_bytes() == hub.files[f"lllyasviel/{SINGLE}"][UNET]


def test_download_is_cancelled_while_nothing_comes(server, hub, models):
    hub.troubles[UNET].extend([stalls_after(300_000)] * 5)

    def cancel(kind, data):
        if kind == "progress" and hub.stalling.is_set():
            server.client.interrupt()

    with pytest.raises(CancelledRunError):
        server.client.run(prompt(), on_event=cancel)
    assert not (models / SINGLE / UNET).exists()
    (part,) = (models / ".downloads").glob("*.part")
    kept = part.stat().st_size
    assert kept > 0
    hub.forget()
    server.client.run(prompt())
    assert hub.ranges_of(UNET) == [f"bytes={kept}-"]
