"""Live previews, as the page gets them: all frames of a segment while it is sampled, and the results in the end."""

import asyncio
import io
import uuid

import aiohttp
import numpy as np
import pytest
from PIL import Image

SIZE = 64
PREVIEW, TEXT = 1, 3  # kinds of ComfyUI's binary messages
RUNNING = {"seed": 1, "steps": 2, "cfg": 1.0, "prompt": "", "negative_prompt": ""}


def received(server, graph):
    """Run a prompt; what the server sends to its page: pictures, lines of text and each node's outputs, in order."""
    prompt = {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in graph.items()}

    async def run():
        name = uuid.uuid4().hex
        pictures, texts, outputs = [], [], {}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{server.url}/ws?clientId={name}", max_msg_size=0) as socket,
        ):
            answer = await session.post(f"{server.url}/prompt", json={"prompt": prompt, "client_id": name})
            assert answer.status == 200, await answer.text()
            async for message in socket:
                if message.type == aiohttp.WSMsgType.BINARY:
                    kind = int.from_bytes(message.data[:4], "big")
                    if kind == PREVIEW:
                        pictures.append(Image.open(io.BytesIO(message.data[8:])).convert("RGB"))
                    elif kind == TEXT:
                        start = 8 + int.from_bytes(message.data[4:8], "big")
                        texts.append(message.data[start:].decode())
                    continue
                event = message.json()
                assert event["type"] != "execution_error", event
                if event["type"] == "executed":
                    outputs[event["data"]["node"]] = event["data"]["output"]
                if event["type"] == "execution_success":
                    break
        return pictures, texts, outputs

    return asyncio.run(run())


@pytest.fixture(scope="module")
def picture(server):
    data = io.BytesIO()
    Image.new("RGB", (SIZE, SIZE), (220, 60, 40)).save(data, "PNG")
    return server.client.upload_image(data.getvalue(), "red.png")


def predicting(picture):
    """Predict Keyframes alone: nothing takes its keyframes."""
    single = {"checkpoint": "seeded_single_frame", "weight_dtype": "fp32"}
    inputs = {name: ["load", i] for i, name in enumerate(("model", "clip", "vae"))}
    settings = {"sampler_name": "euler", "scheduler": "normal", "width": SIZE, "height": SIZE, **RUNNING}
    return {
        "load": ("PaintsUndoSingleFrameLoader", single),
        "image": ("LoadImage", {"image": picture}),
        "predict": (
            "PaintsUndoPredictKeyframes",
            {**inputs, "image": ["image", 0], "operation_steps": "300, 600, 900", **settings},
        ),
    }


def test_keyframes_run_alone_and_stay_on_the_node(server, picture):
    pictures, _, outputs = received(server, predicting(picture))
    keyframes = [
        np.asarray(Image.open(io.BytesIO(server.client.view(file))).convert("RGB"), int)
        for file in outputs["predict"]["images"]
    ]
    assert len(keyframes) == 3
    assert len(pictures) == 2 + 1, "one for each step, and the keyframes"
    sheet = np.asarray(pictures[-1], int)
    assert sheet.shape == (2 * SIZE, 2 * SIZE, 3)
    places = [sheet[y : y + SIZE, x : x + SIZE] for y in (0, SIZE) for x in (0, SIZE)]
    for shown, keyframe in zip(places, [*keyframes, np.full_like(keyframes[0], 255)], strict=True):
        assert abs(shown.mean() - keyframe.mean()) < 4, "JPEG"
    again = received(server, predicting(picture))
    assert again[2]["predict"] == outputs["predict"], "from the cache, for a page that was opened since"


def test_segment_shows_all_its_frames_while_it_is_sampled_and_itself_in_the_end(server, picture):
    multi = {"checkpoint": "seeded_multi_frame", "weight_dtype": "fp32"}
    inputs = {name: ["load", i] for i, name in enumerate(("model", "clip", "vae", "clip_vision"))}
    pairs = {"start_image": ["pairs", 0], "end_image": ["pairs", 1], "resolution": "size of the pictures"}
    settings = {
        "sampler_name": "paintsundo_ddim",
        "scheduler": "trailing",
        "fs": 3,
        "reuse": False,
        **RUNNING,
    }
    scaled = {"upscale_method": "area", "width": 2 * SIZE, "height": SIZE, "crop": "disabled"}
    graph = {
        "load": ("PaintsUndoMultiFrameLoader", multi),
        "image": ("LoadImage", {"image": picture}),
        "wide": ("ImageScale", {"image": ["image", 0], **scaled}),
        "three": ("RepeatImageBatch", {"image": ["wide", 0], "amount": 3}),
        "pairs": ("PaintsUndoKeyframePairs", {"keyframes": ["three", 0], "seed": 1}),
        "segment": ("PaintsUndoInterpolate", {**inputs, **pairs, **settings}),
        "look": ("PreviewImage", {"images": ["segment", 0]}),
    }
    pictures, texts, outputs = received(server, graph)
    # Three columns and six rows of frames that are twice as wide as high; ComfyUI enlarges the latents to 512 pixels.
    assert [shown.size for shown in pictures] == 2 * [*2 * [(512, 512)], (6 * SIZE, 6 * SIZE)]
    assert texts == ["segment 1 of 2", "segment 2 of 2"]
    last = Image.open(io.BytesIO(server.client.view(outputs["look"]["images"][-1]))).convert("RGB")
    shown = pictures[-1].crop((0, 5 * SIZE, 2 * SIZE, 6 * SIZE))
    assert abs(np.asarray(shown, int).mean() - np.asarray(last, int).mean()) < 4
