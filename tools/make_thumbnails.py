"""Make the pictures of the bundled workflows anew: `python tools/make_thumbnails.py [NAME ...]`, ten minutes on two cores.

Every workflow paints docs/pictures/house.png with the built-in demo; the picture beside it, which ComfyUI's page shows in
its list of templates, has six moments of that video, or of a workflow for SD 1.5 the pictures that need no such model.
docs/pictures/graph.jpg is the first workflow as the page draws it. Uses the ComfyUI that paint.py uses, its Python with
the packages of tests/requirements.txt, and Chromium.
"""

import argparse
import io
import json
import sys
import tempfile
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
from tools.painting import (  # noqa: E402
    DEMO_NAME,
    INTERPOLATE,
    MULTI_LOADER,
    SINGLE_LOADER,
    TAGGER,
    VIDEO,
)
from tools.pictures import load_picture, png_bytes, read_frames, spread  # noqa: E402
from tools.pinned_comfyui import work_folder  # noqa: E402
from tools.programs import find_program  # noqa: E402
from tools.server import ComfyServer  # noqa: E402
from tools.studio import server_errors  # noqa: E402
from tools.under_comfyui import run_command_under_comfyui  # noqa: E402
from tools.workflow import TEMPLATES, Workflow, template  # noqa: E402

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURE = ROOT / "docs" / "pictures" / "house.png"  # 128 x 192 pixels, which the demo was trained on
GRAPH, GRAPH_OF = ROOT / "docs" / "pictures" / "graph.jpg", "demo"

MOMENTS, COLUMNS = 6, 3
WIDTH_PX, MARGIN_PX, QUALITY = 480, 4, 80
PAPER = (226, 226, 226)
VIEW = {"width": 1600, "height": 950}
IS_READY = f"() => !!window.app?.graph && !!window.LiteGraph?.registered_node_types['{VIDEO}']"
OPEN = """async graph => {
    await window.app.loadGraphData(graph);
    await window.app.extensionManager.command.execute('Comfy.Canvas.FitView');
}"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="make_thumbnails.py", description=(__doc__ or "").partition(":")[0] + "."
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(TEMPLATES)} (default: all)")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(TEMPLATES):
        parser.error(f"there is no workflow {', '.join(sorted(unknown))}")
    requirements, names = ROOT / "tests" / "requirements.txt", options.names or list(TEMPLATES)
    return run_command_under_comfyui(__file__, requirements, lambda installation: make(installation, names))


def make(installation: Installation, names: list[str]) -> None:
    """Write the picture of each workflow, and that of the graph if its workflow is among them.

    Raises:
        CommandError: there is no Chromium, or a workflow did not run.
    """
    with tempfile.TemporaryDirectory() as base, server_errors():
        work = work_folder(ROOT) / "run"
        with ComfyServer(installation, ROOT, work, base_directory=Path(base), use_cpu=True) as server:
            picture = server.client.upload_image(png_bytes(load_picture(PICTURE)), PICTURE.name)
            if GRAPH_OF in names:
                draw_graph(server, ROOT / template(GRAPH_OF), picture).save(GRAPH, quality=QUALITY)
                print(GRAPH, flush=True)
            for name in names:
                target = (ROOT / template(name)).with_suffix(".jpg")
                compose(paint(server, ROOT / template(name), picture)).save(
                    target, quality=QUALITY, optimize=True
                )
                print(target, flush=True)


def paint(server: ComfyServer, file: Path, picture: str) -> list["Image"]:
    """Run a workflow with the demo and the workflow's seeds and steps.

    Returns:
        Moments of its video, in playing order. A workflow that needs an SD 1.5 checkpoint runs without what comes after
        that: the finished picture, the undone stage, and what PreviewImage shows.
    """
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
    prompt = workflow.to_prompt()
    if workflow.nodes_of_type("CheckpointLoaderSimple"):
        return stages(server, without(prompt, "CheckpointLoaderSimple"))
    (node,) = workflow.nodes_of_type(VIDEO)
    (result,) = server.client.run(prompt, workflow.graph)[str(node["id"])]["images"]
    video = Path(str(server.base_directory), "output", result["subfolder"], result["filename"])
    frames = [frame for _, frame in read_frames([video])]
    return [frames[index] for index in spread(len(frames), MOMENTS + 1)[1:]]  # without the white canvas


def without(prompt: Json, node_type: str) -> Json:
    """Return a prompt without the nodes of a type and all that needs them."""
    gone = {key for key, node in prompt.items() if node["class_type"] == node_type}
    while True:
        links = {
            key: {value[0] for value in node["inputs"].values() if isinstance(value, list)}
            for key, node in prompt.items()
        }
        more = {key for key, sources in links.items() if sources & gone} - gone
        if not more:
            return {key: node for key, node in prompt.items() if key not in gone}
        gone |= more


def stages(server: ComfyServer, prompt: Json) -> list["Image"]:
    """Run a prompt; return the finished picture and the first picture of each node that shows a stage."""
    from PIL import Image

    outputs = server.client.run(prompt)
    kinds = ("PaintsUndoPredictKeyframe", "PreviewImage")
    shown = [
        outputs[key]["images"][0] for kind in kinds for key in outputs if prompt[key]["class_type"] == kind
    ]
    pictures = [Image.open(io.BytesIO(server.client.view(result))).convert("RGB") for result in shown]
    return [load_picture(PICTURE), *pictures]


def draw_graph(server: ComfyServer, file: Path, picture: str) -> "Image":
    """Return what ComfyUI's page shows after a workflow was opened, with this picture in Load Image.

    Raises:
        CommandError: there is no Chromium.
    """
    from PIL import Image
    from playwright.sync_api import sync_playwright

    chromium = find_program("chromium")
    if chromium is None:
        raise CommandError("Chromium, which shows the graph, is not installed.")
    graph = json.loads(file.read_text(encoding="utf-8"))
    for node in graph["nodes"]:
        if node["type"] == "LoadImage":
            node["widgets_values"][0] = picture
    # Else a gallery of templates covers the graph.
    server.client.post("/settings/Comfy.TutorialCompleted", b"true")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=VIEW)  # pyright: ignore[reportArgumentType]
        # Without the page's advertisement of another kind of nodes.
        page.add_init_script("localStorage.setItem('vueNodesBannerDismissed', 'true')")
        page.goto(server.url)
        page.wait_for_function(IS_READY, timeout=60_000)
        page.wait_for_timeout(3000)  # until the animations at the start are over
        page.evaluate(OPEN, graph)
        page.wait_for_timeout(3000)
        shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        browser.close()
    return shot


def compose(pictures: list["Image"]) -> "Image":
    """Lay pictures of one size out in rows of three; fewer than four are one row."""
    from PIL import Image

    columns = min(len(pictures), COLUMNS)
    width_px = (WIDTH_PX - (columns + 1) * MARGIN_PX) // columns
    height_px = round(pictures[0].height * width_px / pictures[0].width)
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (WIDTH_PX, rows * (height_px + MARGIN_PX) + MARGIN_PX), PAPER)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        place = MARGIN_PX + column * (width_px + MARGIN_PX), MARGIN_PX + row * (height_px + MARGIN_PX)
        sheet.paste(picture.resize((width_px, height_px), Image.Resampling.LANCZOS), place)
    return sheet


if __name__ == "__main__":
    sys.exit(main())
