"""A server that is killed in the middle of a chain: the next one samples only the segments that are missing."""

import io
import time

import numpy as np
import pytest
from PIL import Image

PICTURES = ((220, 60, 40), (40, 160, 60), (60, 60, 200), (240, 240, 240))


def graph(names, reuse, steps=3):
    """Pictures in undo order as a batch, pairs, the list of segments, to Save Image."""
    return {
        **{
            f"load{i}": {"class_type": "LoadImage", "inputs": {"image": name}} for i, name in enumerate(names)
        },
        "two": {"class_type": "ImageBatch", "inputs": {"image1": ["load0", 0], "image2": ["load1", 0]}},
        "three": {"class_type": "ImageBatch", "inputs": {"image1": ["two", 0], "image2": ["load2", 0]}},
        "all": {"class_type": "ImageBatch", "inputs": {"image1": ["three", 0], "image2": ["load3", 0]}},
        "models": {
            "class_type": "PaintsUndoMultiFrameLoader",
            "inputs": {"checkpoint": "seeded_multi_frame", "weight_dtype": "fp32"},
        },
        "pairs": {"class_type": "PaintsUndoKeyframePairs", "inputs": {"keyframes": ["all", 0], "seed": 9}},
        "segments": {
            "class_type": "PaintsUndoInterpolate",
            "inputs": {
                **{name: ["models", i] for i, name in enumerate(("model", "clip", "vae", "clip_vision"))},
                "start_image": ["pairs", 0],
                "end_image": ["pairs", 1],
                "prompt": "1girl",
                "negative_prompt": "",
                "seed": ["pairs", 2],
                "steps": steps,
                "cfg": 1.0,
                "sampler_name": "euler",
                "scheduler": "trailing",
                "fs": 3,
                "resolution": "size of the pictures",
                "reuse": reuse,
            },
        },
        "save": {
            "class_type": "SaveImage",
            "inputs": {"images": ["segments", 0], "filename_prefix": "survive"},
        },
    }


@pytest.fixture(scope="module")
def own_base(base_directory, tmp_path_factory):
    """A folder for this test alone, with the shared checkpoints: the shared server keeps segments too."""
    folder = tmp_path_factory.mktemp("survive")
    (folder / "models").symlink_to(base_directory / "models", target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def pictures(own_base):
    names = []
    for number, colour in enumerate(PICTURES):
        folder = own_base / "input"
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (64, 64), colour).save(folder / f"survive{number}.png")
        names.append(f"survive{number}.png")
    return names


def frames_of(server, outputs):
    return [
        np.asarray(Image.open(io.BytesIO(server.client.view(entry)))) for entry in outputs["save"]["images"]
    ]


def stored(folder):
    return set((folder / "user" / "__paintsundo" / "segments").glob("*.safetensors"))


def test_only_the_missing_segments_are_sampled_after_a_kill(start_server, own_base, pictures):
    with start_server(base_directory=own_base) as server:
        prompt_id = server.client.queue(graph(pictures, reuse=True, steps=8))
        assert prompt_id
        deadline = time.monotonic() + 120
        while not stored(own_base) and time.monotonic() < deadline:
            time.sleep(0.05)
        server._process.kill()
    finished = len(stored(own_base))
    assert 1 <= finished < 3, "killed in the middle"

    with start_server(base_directory=own_base) as server:
        outputs = server.client.run(graph(pictures, reuse=True, steps=8), {})
        text = list(outputs["segments"]["text"])
        assert text == ["segment from an earlier run"] * finished + ["segment made now"] * (3 - finished)
        with_store = frames_of(server, outputs)
        without = frames_of(server, server.client.run(graph(pictures, reuse=False, steps=8), {}))
        assert len(with_store) == len(without) == 48
        assert all((one == other).all() for one, other in zip(with_store, without, strict=True))
        # Another keyframe in the middle: only its two neighbours are sampled.
        outputs = server.client.run(graph([*pictures[:2], pictures[0], pictures[3]], reuse=True, steps=8), {})
        assert list(outputs["segments"]["text"]) == ["segment from an earlier run", *["segment made now"] * 2]
