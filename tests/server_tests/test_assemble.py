"""Assemble Painting Video in a real server: outputs that nobody takes, and those that somebody takes later."""

import io

import numpy as np
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
