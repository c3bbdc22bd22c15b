"""The bundled workflows through the real web page and the real server, to a video that is read back from its file."""

import io
import itertools
import json
import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from paintsundo_pack.paintsundo_models.video import files as video_files
from paintsundo_pack.paintsundo_models.video.metadata import metadata_texts
from PIL import Image

from tools import make_blueprint, painting
from tools.what_is import describe
from tools.workflow import MODE_ACTIVE, TEMPLATES, Workflow, combo_options, template

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / "example_workflows").glob("*.json"))
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WITH_TAGGER = ("default", "native")
SIZE = 64
HOLD = 8  # frames: the workflows show the finished picture 2 s longer than the others
IS_READY = "() => !!window.app?.graph && !!window.LiteGraph?.registered_node_types['PaintsUndoAssembleVideo']"
LOAD = "async graph => { await window.app.loadGraphData(graph); }"
CONVERT = "async () => JSON.parse(JSON.stringify(await window.app.graphToPrompt()))"


def quarters():
    """A small picture with a plain colour in each quarter, as an array."""
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[: SIZE // 2, : SIZE // 2] = (200, 40, 40)
    pixels[: SIZE // 2, SIZE // 2 :] = (40, 160, 60)
    pixels[SIZE // 2 :, : SIZE // 2] = (50, 60, 190)
    pixels[SIZE // 2 :, SIZE // 2 :] = (230, 190, 60)
    return pixels


def upload(server, pixels, name):
    """Put a picture into the server's input folder; its name there."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return server.client.upload_image(data.getvalue(), name)


@pytest.fixture(scope="session")
def picture(server):
    """The quarters in the server's input folder, under the name that the workflows hold; as an array."""
    assert upload(server, quarters(), "example.png") == "example.png"
    return quarters()


@pytest.fixture(scope="module")  # while Playwright is open, asyncio.run() of other tests fails
def page(server, chromium, installed_tagger, picture):
    """ComfyUI's own page in a headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=CHROMIUM_ARGUMENTS)
        tab = browser.new_page(viewport={"width": 1600, "height": 1000})
        tab.goto(server.url)
        tab.wait_for_function(IS_READY, timeout=60_000)
        tab.wait_for_timeout(1000)
        tab.evaluate(
            "() => window.app.canvas.stopRendering()"
        )  # drawing takes half a core, and the tests need none
        yield tab
        browser.close()


def open_workflow(page, file, *, with_tagger=False):
    """Open a workflow as the page's menu does; return what the page would send to the server."""
    graph = json.loads(file.read_text(encoding="utf-8"))
    for node in graph["nodes"]:
        if with_tagger and node["type"] == painting.TAGGER:
            node["mode"] = MODE_ACTIVE  # as Ctrl-B does
    page.evaluate(LOAD, graph)
    page.wait_for_timeout(500)
    return page.evaluate(CONVERT)


def shrink(prompt, steps=2):
    """The same prompt with small pictures and few steps, which is all that a CPU can do in a test."""
    for node in prompt.values():
        inputs = node["inputs"]
        if isinstance(inputs.get("steps"), int):
            inputs["steps"] = steps
        if "resolution" in inputs:
            inputs["resolution"] = "size of the pictures"
        if "width" in inputs:
            inputs["width"] = inputs["height"] = SIZE
    return prompt


def node_id(prompt, class_type):
    (found,) = [key for key, node in prompt.items() if node["class_type"] == class_type]
    return found


def probe(ffprobe, file):
    """The video stream's facts, with its frames counted by decoding."""
    command = [
        ffprobe,
        "-v",
        "error",
        "-count_frames",
        "-select_streams",
        "v",
        "-show_streams",
        "-of",
        "json",
        str(file),
    ]
    (stream,) = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["streams"]
    return stream


def decode(file):
    """All frames, (T, H, W, 3) uint8."""
    reader = imageio_ffmpeg.read_frames(str(file), pix_fmt="rgb24")
    width, height = next(reader)["size"]
    return np.stack([np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader])


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_opens_in_the_page_with_every_node(page, file):
    prompt = open_workflow(page, file)["output"]
    graph = json.loads(file.read_text(encoding="utf-8"))
    running = {
        str(node["id"])
        for node in graph["nodes"]
        if node["type"] != "MarkdownNote" and node["mode"] == MODE_ACTIVE
    }
    assert running == set(prompt)
    assert page.locator("text=/missing node|invalid workflow|workflow validation/i").count() == 0
    assert file.with_suffix(".jpg").exists(), "each workflow needs its thumbnail"


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_converted_without_the_page_is_what_the_page_sends(page, server, file):
    by_page = open_workflow(page, file)["output"]
    by_us = Workflow.load(file, server.client.object_info()).to_prompt()
    assert {key: (node["class_type"], node["inputs"]) for key, node in by_us.items()} == {
        key: (node["class_type"], node["inputs"]) for key, node in by_page.items()
    }


def picture_as_seen(server, file, name):
    """The picture as the node that predicts the keyframes of a workflow gets it, laid on white; as an array."""
    prompt = Workflow.load(file, server.client.object_info()).to_prompt()
    prompt[node_id(prompt, "LoadImage")]["inputs"]["image"] = name
    source = next(
        node["inputs"]["image"]
        for node in prompt.values()
        if node["class_type"].startswith(("PaintsUndoPredict", "PaintsUndoKeyframeConditioning"))
    )
    kinds = ("LoadImage", "JoinImageWithAlpha")
    seen = {key: node for key, node in prompt.items() if node["class_type"] in kinds}
    for key, kind, inputs in (
        ("blank", "EmptyImage", {"width": SIZE, "height": SIZE, "batch_size": 1, "color": 0}),
        (
            "arrange",
            "PaintsUndoArrangeKeyframes",
            {
                "finished": source,
                "keyframes": ["blank", 0],
                "include_finished": True,
                "include_canvas": False,
            },
        ),
        ("first", "ImageFromBatch", {"image": ["arrange", 0], "batch_index": 0, "length": 1}),
        ("save", "SaveImage", {"images": ["first", 0], "filename_prefix": "seen"}),
    ):
        seen[key] = {"class_type": kind, "inputs": inputs}
    (result,) = server.client.run(seen)["save"]["images"]
    return np.asarray(Image.open(io.BytesIO(server.client.view(result))))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_opaque_picture_reaches_the_nodes_as_it_is(server, file):
    name = upload(server, quarters(), "opaque.png")
    assert (picture_as_seen(server, file, name) == quarters()).all()


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_transparent_parts_of_a_picture_become_white(server, file):
    alpha = np.full((SIZE, SIZE, 1), 255, np.uint8)
    alpha[: SIZE // 2, : SIZE // 2] = 0
    name = upload(server, np.concatenate([quarters(), alpha], axis=2), "transparent.png")
    assert (picture_as_seen(server, file, name) == np.where(alpha > 0, quarters(), 255)).all()


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_nothing_takes_the_picture_without_its_transparency(server, file):
    prompt = Workflow.load(file, server.client.object_info()).to_prompt()
    picture = [node_id(prompt, "LoadImage"), 0]
    takers = {node["class_type"] for node in prompt.values() if picture in node["inputs"].values()}
    assert takers == {"JoinImageWithAlpha"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_asks_for_no_file_but_those_of_the_pack(server, file):
    workflow = Workflow.load(file, server.client.object_info())
    loaders = [
        name for name in (painting.SINGLE_LOADER, painting.MULTI_LOADER) if workflow.nodes_of_type(name)
    ]
    assert loaders
    for loader in loaders:
        assert workflow.widget(loader, "checkpoint") == painting.DEMO_NAME
        assert painting.DEMO_NAME in combo_options(workflow.object_info, loader, "checkpoint")
    prompt = workflow.to_prompt()
    assert painting.TAGGER not in {node["class_type"] for node in prompt.values()}
    for node in prompt.values():
        required = workflow.object_info[node["class_type"]]["input"].get("required", {})
        assert set(required) <= set(node["inputs"])


@pytest.fixture(scope="module")
def painted(page, server):
    """Run a workflow through the page's conversion; the prompt, the outputs and the saved file, once for each workflow.

    The tagger is switched on in two of them; the others run as they are.
    """
    done = {}

    def run(file):
        if file not in done:
            converted = open_workflow(
                page, file, with_tagger=file.stem in [TEMPLATES[name] for name in WITH_TAGGER]
            )
            prompt = shrink(converted["output"])
            outputs = server.client.run(prompt, converted["workflow"])
            (result,) = outputs[node_id(prompt, "PaintsUndoAssembleVideo")]["images"]
            done[file] = (
                prompt,
                outputs,
                server.base_directory / "output" / result["subfolder"] / result["filename"],
            )
        return done[file]

    return run


@pytest.mark.parametrize(
    ("name", "frames", "fps"),
    [
        ("demo", 114, 4),
        ("default", 114, 4),
        ("fast", 114, 4),
        ("native", 114, 4),
        ("segments", 69, 4),
        ("app", 720, 24),
        ("paced", 720, 24),
    ],
)
def test_workflow_paints_a_video(painted, ffprobe, picture, name, frames, fps):
    prompt, _, file = painted(ROOT / template(name))
    assert (name in WITH_TAGGER) == (painting.TAGGER in {node["class_type"] for node in prompt.values()})
    stream = probe(ffprobe, file)
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert (stream["width"], stream["height"]) == (SIZE, SIZE)
    assert int(stream["nb_read_frames"]) == 1 + frames
    assert Fraction(stream["r_frame_rate"]) == fps
    cover, *decoded = decode(file).astype(int)
    assert np.abs(cover - picture).mean() < 6
    assert decoded[0].min() >= 250, "the video begins with the white canvas"
    for shown in decoded[-1 - HOLD :]:
        assert np.abs(shown - picture).mean() < 6, "and ends with the finished picture, for a while"


@pytest.fixture
def segments_prompt(server):
    """The workflow with one node for every keyframe and segment, in API format."""
    file = ROOT / template("segments")
    return Workflow.load(file, server.client.object_info()).to_prompt()


def test_each_segment_starts_where_the_one_before_it_ends(segments_prompt):
    nodes = segments_prompt
    segments = [node["inputs"] for node in nodes.values() if node["class_type"] == painting.INTERPOLATE]
    assert len(segments) == 4
    assert all(one["end_image"] == next_["start_image"] for one, next_ in itertools.pairwise(segments))
    finished, canvas = (nodes[segments[i][end][0]] for i, end in ((0, "start_image"), (-1, "end_image")))
    assert [finished["inputs"]["batch_index"], canvas["inputs"]["batch_index"]] == [0, 2]
    arranged = nodes[node_id(nodes, painting.VIDEO)]["inputs"]["keyframes"]
    assert finished["inputs"]["image"] == canvas["inputs"]["image"] == arranged
    assert nodes[arranged[0]]["class_type"] == "PaintsUndoArrangeKeyframes"
    assert len(nodes[arranged[0]]["inputs"]["keyframes"]) == 2, "one keyframe, between the two ends"


def needs(nodes, key):
    """Ids of all nodes whose results reach a node."""
    links = [value[0] for value in nodes[key]["inputs"].values() if isinstance(value, list)]
    return {key}.union(*(needs(nodes, link) for link in links))


def test_another_keyframe_leaves_the_segments_away_from_it_as_they_are(segments_prompt):
    """ComfyUI then takes those segments from its cache."""
    nodes = segments_prompt
    keyframes = {
        node["inputs"]["operation_step"]: key
        for key, node in nodes.items()
        if node["class_type"] == "PaintsUndoPredictKeyframe"
    }
    segments = [key for key, node in nodes.items() if node["class_type"] == painting.INTERPOLATE]
    reached = {
        step: [number for number, segment in enumerate(segments, start=1) if key in needs(nodes, segment)]
        for step, key in keyframes.items()
    }
    assert reached == {400: [1, 2, 4], 800: [2, 3], 999: [3, 4]}


def test_native_path_gives_the_same_video_as_the_convenience_nodes(painted):
    files = [painted(ROOT / template(name))[2] for name in ("default", "native")]
    one, other = (decode(file).astype(int) for file in files)
    assert np.abs(one - other).max() <= 2


def drop(page, path, mime):
    """Hand a file to the page as dropping it there does."""
    page.evaluate(
        """async ([bytes, name, type]) => {
            const blob = new Blob([new Uint8Array(bytes)], { type });
            await window.app.handleFile(new File([blob], name, { type }));
        }""",
        [list(path.read_bytes()), path.name, mime],
    )
    page.wait_for_timeout(1000)


def test_dropping_the_video_on_the_page_opens_its_graph(painted, page):
    file = ROOT / template("default")
    prompt, _, video = painted(file)
    page.evaluate("() => window.app.graph.clear()")
    drop(page, video, "video/mp4")
    assert set(page.evaluate(CONVERT)["output"]) == set(prompt)


@pytest.mark.parametrize(
    ("video_format", "mime"),
    [
        ("mp4 (h264)", "video/mp4"),
        ("webm (vp9)", "video/webm"),
        ("webm (av1)", "video/webm"),
        ("webm (lossless)", "video/webm"),
        ("png sequence", "image/png"),
    ],
)
def test_page_finds_the_graph_beside_what_the_file_says_of_itself(page, tmp_path, video_format, mime):
    converted = open_workflow(page, ROOT / template("default"))
    metadata = metadata_texts(converted["output"], {"workflow": converted["workflow"]})
    frames = torch.rand(2, 64, 80, 3)
    if video_format == video_files.PNG_SEQUENCE:
        names = video_files.save_png_sequence(frames, tmp_path / "frames", metadata)
        path = tmp_path / "frames" / names[1]
    else:
        path = tmp_path / f"video{video_files.VIDEO_FORMATS[video_format].extension}"
        video_files.encode_video(frames, path, Fraction(4), video_format, metadata=metadata)
    assert describe(path).count("AI-simulated painting process") == 1
    page.evaluate("() => window.app.graph.clear()")
    drop(page, path, mime)
    assert page.evaluate(CONVERT)["output"].keys() == converted["output"].keys()


def test_blueprint_is_listed_and_paints_a_video_as_one_node(page, server, picture):
    listed = json.loads(server.client.get("/global_subgraphs"))
    (entry,) = [entry for entry in listed.values() if entry["name"] == make_blueprint.TARGET.stem]
    assert entry["source"] == "custom_node"
    graph = json.loads(make_blueprint.TARGET.read_text(encoding="ascii"))
    graph["nodes"].append(
        {
            "id": 2,
            "type": "LoadImage",
            "pos": [-400, 0],
            "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}],
            "widgets_values": ["example.png", "image"],
        }
    )
    graph["nodes"][0]["inputs"][0]["link"] = 1
    graph |= {"links": [[1, 2, 0, 1, 0, "IMAGE"]], "last_node_id": 2, "last_link_id": 1}
    page.evaluate(LOAD, graph)
    page.wait_for_timeout(500)
    prompt = shrink(page.evaluate(CONVERT)["output"])
    outputs = server.client.run(prompt)
    (result,) = outputs[node_id(prompt, "PaintsUndoAssembleVideo")]["images"]
    decoded = decode(server.base_directory / "output" / result["subfolder"] / result["filename"]).astype(int)
    assert np.abs(decoded[-1] - picture).mean() < 6
