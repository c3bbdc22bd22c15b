"""Assemble Painting Video in a real server: outputs that nobody takes, and those that somebody takes later."""

import io

import numpy as np
import pytest
from PIL import Image

VIDEO, FRAMES = 0, 1
ASSEMBLE = {
    "fps": 4.0,
    "order": "painting",
    "trim": "shared ends once",
    "hold_first": 0.0,
    "hold_last": 0.0,
    "format": "webm (lossless)",
    "quality": 75,
    "exact_ends": True,
}


def assembling(prefix, **others):
    """Five grey frames into a video; other nodes by name: class and inputs."""
    graph = {
        "grey": ("EmptyImage", {"width": 64, "height": 48, "batch_size": 5, "color": 0x808080}),
        "video": (
            "PaintsUndoAssembleVideo",
            {"frames": ["grey", 0], "filename_prefix": prefix, **ASSEMBLE},
        ),
        **others,
    }
    return {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in graph.items()}


def picture(server, file):
    return np.asarray(Image.open(io.BytesIO(server.client.view(file))))


def test_outputs_that_are_connected_later_are_made_then(server):
    alone = server.client.run(assembling("later"))
    assert len(alone["video"]["images"]) == 1
    seen = server.client.run(assembling("later", look=("PreviewImage", {"images": ["video", FRAMES]})))
    assert [picture(server, file).mean() for file in seen["look"]["images"]] == [128.0] * 5
    saved = server.client.run(
        assembling(
            "later",
            save=(
                "SaveVideo",
                {"video": ["video", VIDEO], "filename_prefix": "s", "format": "auto", "codec": "auto"},
            ),
        )
    )
    assert saved["save"]["images"]


def test_outputs_go_to_nodes_that_run_in_the_same_graph_again(server):
    """Second run of the same graph: everything from the cache, nothing written."""
    graph = assembling("again", look=("PreviewImage", {"images": ["video", FRAMES]}))
    server.client.run(graph)
    folder = server.base_directory / "output"
    before = sorted(folder.glob("again*"))
    server.client.run(graph)
    assert sorted(folder.glob("again*")) == before


@pytest.mark.parametrize(
    ("size", "mode"),
    [((300, 400), "RGB"), ((400, 300), "RGB"), ((320, 320), "RGB"), ((48, 60), "RGB"), ((240, 320), "RGBA")],
    ids=["portrait", "landscape", "square", "smaller than the frames", "transparent"],
)
def test_full_size_video_ends_with_the_picture_to_the_bit(server, size, mode):
    rng = np.random.RandomState(1)
    pixels = rng.randint(0, 256, (size[1] // 20, size[0] // 20, len(mode)), np.uint8)
    finished = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    data = io.BytesIO()
    finished.save(data, "PNG")
    name = server.client.upload_image(data.getvalue(), f"finished_{size[0]}x{size[1]}_{mode}.png")
    # Frames of the picture's shape, at least as large as 96 pixels a side.
    scale = 96 / min(size)
    width, height = (round(side * scale) for side in size)
    widgets = {**ASSEMBLE, "format": "png sequence", "filename_prefix": "full/%width%x%height%"}
    picture_of = {
        "image": ["joined", 0],
        "upscale_method": "area",
        "width": width,
        "height": height,
        "crop": "disabled",
    }
    graph = {
        "load": ("LoadImage", {"image": name}),
        "joined": ("JoinImageWithAlpha", {"image": ["load", 0], "alpha": ["load", 1]}),
        "small": ("ImageScale", picture_of),
        "frames": ("RepeatImageBatch", {"image": ["small", 0], "amount": 3}),
        "video": (
            "PaintsUndoAssembleVideo",
            {"frames": ["frames", 0], "finished": ["joined", 0], **widgets},
        ),
        "stills": (
            "PaintsUndoFullSize",
            {"frames": ["frames", 0], "finished": ["joined", 0], "longest_side": 2048, "order": "undo"},
        ),
        "look": ("PreviewImage", {"images": ["stills", 0]}),
    }
    prompt = {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in graph.items()}
    outputs = server.client.run(prompt)
    video = [picture(server, file) for file in outputs["video"]["images"]]
    stills = [picture(server, file) for file in outputs["look"]["images"]]
    assert len(video) == len(stills) == 3
    white = Image.new("RGBA", size, "white")
    white.alpha_composite(finished.convert("RGBA"))
    expected = np.asarray(white.convert("RGB"))
    if min(size) < 96:
        assert video[-1].shape == (height, width, 3), "never smaller than the frames"
        return
    assert video[-1].shape == (size[1], size[0], 3)
    assert np.abs(video[-1].astype(int) - expected).max() <= (mode == "RGBA"), "alpha is rounded once"
    assert np.abs(stills[0].astype(int) - video[-1]).max() <= (mode == "RGBA")
