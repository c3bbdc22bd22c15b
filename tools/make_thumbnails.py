"""Make the pictures of the bundled workflows anew: `python tools/make_thumbnails.py [NAME ...]`, seven minutes on two cores.

Every workflow paints docs/pictures/house.png with the built-in demo; the picture beside it shows eight moments of that
video above the graph as ComfyUI's own page draws it. Uses the ComfyUI that paint.py uses, its Python with the packages
of tests/requirements.txt, and Chromium.
"""

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
if (
    __name__ == "__main__"
):  # only as a command: on the path of tests, the clone's nodes/ would hide ComfyUI's nodes.py
    sys.path.insert(0, str(ROOT))

from tools.comfy_client import Json  # noqa: E402
from tools.command import CommandError  # noqa: E402
from tools.installation import Installation  # noqa: E402
from tools.painter import (  # noqa: E402
    DEMO_NAME,
    INTERPOLATE,
    MULTI_LOADER,
    SINGLE_LOADER,
    TAGGER,
    VIDEO,
    server_errors,
)
from tools.pictures import load_picture, png_bytes, read_frames, spread  # noqa: E402
from tools.pinned_comfyui import work_folder  # noqa: E402
from tools.programs import find_program  # noqa: E402
from tools.server import ComfyServer  # noqa: E402
from tools.under_comfyui import run_command_under_comfyui  # noqa: E402
from tools.workflow import Workflow  # noqa: E402

if TYPE_CHECKING:
    from PIL.Image import Image

WORKFLOWS = {file.stem: file for file in sorted((ROOT / "example_workflows").glob("*.json"))}
PICTURE = ROOT / "docs" / "pictures" / "house.png"  # 128 x 192 pixels, which the demo was trained on
CAPTION = (
    "Eight moments of the video that this workflow makes with the small demo model that comes with the pack"
)

MOMENTS = 8
WIDTH_PX, MARGIN_PX, CAPTION_PX, FONT_PX = 960, 8, 24, 15
PAPER, INK = (226, 226, 226), (60, 60, 60)
VIEW = {"width": 3840, "height": 2200}
LARGEST_GRAPH_PX = (3500, 1800)  # largest size of the graph in the view, between the page's buttons
CORNER_PX = (100, 130)
TITLE_PX, EDGE_PX = 110, 40  # what a node has above its position, and what is left free around the graph
IS_READY = f"() => !!window.app?.graph && !!window.LiteGraph?.registered_node_types['{VIDEO}']"
LOAD = "async graph => { await window.app.loadGraphData(graph); }"
LOOK_AT = """([scale, x, y]) => {
    const canvas = window.app.canvas; canvas.ds.scale = scale; canvas.ds.offset = [x, y]; canvas.setDirty(true, true);
}"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="make_thumbnails.py", description=(__doc__ or "").partition(":")[0] + "."
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(WORKFLOWS)} (default: all)")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(WORKFLOWS):
        parser.error(f"there is no workflow {', '.join(sorted(unknown))}")
    requirements, names = ROOT / "tests" / "requirements.txt", options.names or list(WORKFLOWS)
    return run_command_under_comfyui(__file__, requirements, lambda installation: make(installation, names))


def make(installation: Installation, names: list[str]) -> None:
    """Write example_workflows/NAME.jpg for each name.

    Raises:
        CommandError: there is no Chromium, or a workflow did not run.
    """
    chromium = find_program("chromium")
    if chromium is None:
        raise CommandError("Chromium, which shows the graphs, is not installed.")
    with tempfile.TemporaryDirectory() as base, server_errors():
        work = work_folder(ROOT) / "run"
        with ComfyServer(installation, ROOT, work, base_directory=Path(base), use_cpu=True) as server:
            picture = server.client.upload_image(png_bytes(load_picture(PICTURE)), PICTURE.name)
            graphs = draw_graphs(server, chromium, [WORKFLOWS[name] for name in names], picture)
            for name, graph in zip(names, graphs, strict=True):
                video = paint(server, WORKFLOWS[name], picture)
                target = WORKFLOWS[name].with_suffix(".jpg")
                compose(video, graph).save(target, quality=84, optimize=True)
                print(target, flush=True)


def paint(server: ComfyServer, file: Path, picture: str) -> Path:
    """Run a workflow with the demo and the workflow's seeds and steps; return the video's path."""
    workflow = Workflow.load(file, server.client.object_info())
    widgets = [
        ("LoadImage", "image", picture),
        (SINGLE_LOADER, "checkpoint", DEMO_NAME),
        (MULTI_LOADER, "checkpoint", DEMO_NAME),
        (INTERPOLATE, "resolution", "nearest trained size"),
        # The tagger would fill these prompts; they are empty, because the demo reads no prompt.
        ("PaintsUndoPredictKeyframe", "prompt", ""),
        ("PaintsUndoPredictKeyframes", "prompt", ""),
        ("CLIPTextEncode", "text", ""),
        ("EmptyImage", "width", 128),
        ("EmptyImage", "height", 192),
    ]
    for node_type, widget, value in widgets:
        if workflow.nodes_of_type(node_type):
            workflow.set_widget(node_type, widget, value)
    workflow.mute(TAGGER)
    (node,) = workflow.nodes_of_type(VIDEO)
    (result,) = server.client.run(workflow.to_prompt(), workflow.graph)[str(node["id"])]["images"]
    return Path(str(server.base_directory), "output", result["subfolder"], result["filename"])


def draw_graphs(server: ComfyServer, chromium: str, files: Iterable[Path], picture: str) -> list["Image"]:
    """Return a picture of each graph as the page shows it, with this picture in Load Image."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    drawn = []
    server.client.post(
        "/settings/Comfy.TutorialCompleted", b"true"
    )  # else a gallery of templates covers the graph
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=VIEW)  # pyright: ignore[reportArgumentType]
        page.goto(server.url)
        page.wait_for_function(IS_READY, timeout=60_000)
        page.wait_for_timeout(3000)  # until the animations at the start are over
        for file in files:
            graph = json.loads(file.read_text(encoding="utf-8"))
            for node in graph["nodes"]:
                if node["type"] == "LoadImage":
                    node["widgets_values"][0] = picture
            left, top, width, height = bounds(graph)
            scale = min(LARGEST_GRAPH_PX[0] / width, LARGEST_GRAPH_PX[1] / height)
            page.evaluate(LOAD, graph)
            page.wait_for_timeout(2500)
            page.evaluate(LOOK_AT, [scale, CORNER_PX[0] / scale - left, CORNER_PX[1] / scale - top])
            page.wait_for_timeout(1500)
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            size = round(width * scale), round(height * scale)
            drawn.append(shot.crop((*CORNER_PX, CORNER_PX[0] + size[0], CORNER_PX[1] + size[1])))
        browser.close()
    return drawn


def bounds(graph: Json) -> tuple[float, float, float, float]:
    """Return left, top, width and height of a graph's nodes, in the graph's units."""
    corners = [(*node["pos"], *node["size"]) for node in graph["nodes"]]
    left = min(x for x, *_ in corners) - EDGE_PX
    top = min(y for _, y, *_ in corners) - TITLE_PX
    right = max(x + width for x, _, width, _ in corners) + EDGE_PX
    bottom = max(y + height for _, y, _, height in corners) + EDGE_PX
    return left, top, right - left, bottom - top


def compose(video: Path, graph: "Image") -> "Image":
    """Compose a picture: moments of the video in a row, a caption, and the graph that made the video."""
    from PIL import Image, ImageDraw, ImageFont

    frames = [frame for _, frame in read_frames([video])]
    tile_px = (WIDTH_PX - (MOMENTS + 1) * MARGIN_PX) // MOMENTS
    row_px = round(frames[0].height * tile_px / frames[0].width)
    graph = graph.resize((WIDTH_PX, round(graph.height * WIDTH_PX / graph.width)), Image.Resampling.LANCZOS)
    head_px = row_px + 2 * MARGIN_PX + CAPTION_PX
    picture = Image.new("RGB", (WIDTH_PX, head_px + graph.height), PAPER)
    for column, index in enumerate(spread(len(frames), MOMENTS)):
        tile = frames[index].resize((tile_px, row_px), Image.Resampling.LANCZOS)
        picture.paste(tile, (MARGIN_PX + column * (tile_px + MARGIN_PX), MARGIN_PX))
    place = MARGIN_PX, row_px + 2 * MARGIN_PX - 2
    ImageDraw.Draw(picture).text(place, CAPTION, fill=INK, font=ImageFont.load_default(FONT_PX))
    picture.paste(graph, (0, head_px))
    return picture


if __name__ == "__main__":
    sys.exit(main())
