"""The bundled workflows as templates: named in their order, readable as a whole, with room for what nodes show."""

import json
import re
from pathlib import Path

import pytest

from tools.workflow import NOTE_TYPES, TEMPLATES, Workflow, template, widgets_of

ROOT = Path(__file__).resolve().parents[2]
SIZE = 64
IS_READY = "() => !!window.app?.graph && !!window.LiteGraph?.registered_node_types['PaintsUndoAssembleVideo']"
# As the page's template browser opens one; the view of a template is fitted by newer pages only.
OPEN = """async graph => {
    await window.app.loadGraphData(graph, true, true, 'template', { openSource: 'template' });
    await new Promise(done => setTimeout(done, 1000));
    await window.app.extensionManager.command.execute('Comfy.Canvas.FitView');
    await new Promise(done => setTimeout(done, 1000));
    return window.app.canvas.ds.scale;
}"""
# Small and quick, with the demo: what a node shows is as high as it would be.
SHRINK = """size => {
    for (const node of window.app.graph.nodes)
        for (const widget of node.widgets ?? []) {
            if (widget.name === 'steps' && typeof widget.value === 'number') widget.value = 2;
            if (['width', 'height'].includes(widget.name)) widget.value = size;
            if (widget.name === 'resolution') widget.value = 'size of the pictures';
        }
}"""
RUN = """async () => {
    const done = new Promise((resolve, reject) => {
        window.app.api.addEventListener('execution_success', resolve);
        window.app.api.addEventListener('execution_error', event => reject(JSON.stringify(event.detail)));
    });
    await window.app.queuePrompt(0);
    await done;
    await new Promise(done => setTimeout(done, 3000));
}"""
BOXES = """() => window.app.graph.nodes.map(node => {
    const [x, y, width, height] = node.getBounding();
    return [`${node.id} ${node.title}`, x, y, width, height];
})"""
# How high the text of each open note is, and how high the room for it. Notes are drawn near the middle of the page only.
NOTES = """async () => {
    const notes = window.app.graph.nodes.filter(node => node.type === 'MarkdownNote' && !node.flags.collapsed);
    const rows = [];
    window.app.canvas.ds.scale = 0.8;
    for (const node of notes) {
        window.app.canvas.centerOnNode(node);
        window.app.canvas.setDirty(true, true);
        await new Promise(done => setTimeout(done, 500));
        const element = node.widgets[0].element;
        const last = element.querySelector('.ProseMirror').lastElementChild;
        rows.push([node.title, last.offsetTop + last.offsetHeight, element.clientHeight]);
    }
    return rows;
}"""
# The same in Nodes 2.0, where a node grows with its text.
NOTES_AS_HTML = """() => window.app.graph.nodes
    .filter(node => node.type === 'MarkdownNote' && !node.flags.collapsed)
    .map(node => [node.title, document.querySelector(`[data-node-id="${node.id}"]`).offsetHeight, node.size[1] + 30])"""
NODES_2 = "Comfy.VueNodes.Enabled"
OUTSIDE = """() => {
    const rows = [];
    for (const group of window.app.graph.groups) {
        const [x, y, width, height] = group.boundingRect ?? group._bounding;
        for (const node of window.app.graph.nodes) {
            const [left, top, wide, high] = node.getBounding();
            if (left >= x && left < x + width && top >= y && top < y + height && top + high > y + height)
                rows.push([group.title, node.title, top + high - y - height]);
        }
    }
    return rows;
}"""
# Han characters or kana. The page does not translate the titles that a workflow gives its nodes and groups.
OTHER_SCRIPT = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
NAMES = {"Read me", "SD 1.5", "ControlNet: scribble, lineart"}
# At 57 % and less, the page draws no text on its canvas. One node for each of seven stages does not fit.
SMALLEST_SCALE = dict.fromkeys(TEMPLATES, 0.6) | {"segments": 0.43}


@pytest.fixture(scope="module")
def page(server, chromium):
    """ComfyUI's page at the size of a laptop's screen."""
    from playwright.sync_api import sync_playwright

    with (ROOT / "docs" / "pictures" / "house.png").open("rb") as picture:
        server.client.upload_image(picture.read(), "example.png")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": 1600, "height": 950})
        tab.goto(server.url)
        tab.wait_for_function(IS_READY, timeout=60_000)
        tab.wait_for_timeout(1000)
        yield tab
        browser.close()


def graph_of(name):
    return json.loads((ROOT / template(name)).read_text(encoding="utf-8"))


def overlaps(boxes):
    """Pairs of nodes that lie on each other, by name."""
    return [
        (one[0], other[0])
        for number, one in enumerate(boxes)
        for other in boxes[number + 1 :]
        if min(one[1] + one[3], other[1] + other[3]) > max(one[1], other[1])
        and min(one[2] + one[4], other[2] + other[4]) > max(one[2], other[2])
    ]


def test_names_are_those_of_the_files():
    files = {file.stem for file in (ROOT / "example_workflows").glob("*.json")}
    assert files == set(TEMPLATES.values())
    assert sorted(files) == list(TEMPLATES.values()), "numbered in their order"


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_node_is_deprecated(server, name):
    info = server.client.object_info()
    kinds = {node["type"] for node in graph_of(name)["nodes"]} - NOTE_TYPES
    assert not {kind for kind in kinds if info[kind].get("deprecated")}


@pytest.mark.parametrize("name", TEMPLATES)
def test_whole_graph_fits_the_page_with_its_text(page, name):
    assert page.evaluate(OPEN, graph_of(name)) >= SMALLEST_SCALE[name]
    assert overlaps(page.evaluate(BOXES)) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_titles_can_be_read_in_every_language(name):
    graph = graph_of(name)
    titles = {node["title"] for node in graph["nodes"] if "title" in node} | {
        group["title"] for group in graph["groups"]
    }
    assert {title for title in titles - NAMES if not OTHER_SCRIPT.search(title)} == set()


@pytest.mark.parametrize("name", TEMPLATES)
def test_notes_show_their_whole_text(page, name):
    page.evaluate(OPEN, graph_of(name))
    notes = page.evaluate(NOTES)
    assert len(notes) == (0 if name == "redo" else 3)
    assert [note for note in notes if not 0 < note[1] <= note[2]] == []


def test_notes_have_room_in_nodes_2(page):
    setting = "window.app.extensionManager.setting"
    if page.evaluate(f"{setting}.get('{NODES_2}')") is None:
        pytest.skip("this page has no Nodes 2.0")
    page.evaluate(f"{setting}.set('{NODES_2}', true)")
    try:
        for name in TEMPLATES:
            page.evaluate(OPEN, graph_of(name))
            notes = page.evaluate(NOTES_AS_HTML)
            assert [(name, *note) for note in notes if note[1] > note[2] + 1] == []
    finally:
        page.evaluate(f"{setting}.set('{NODES_2}', false)")


def test_nodes_grow_into_their_room_while_they_run(page):
    page.evaluate(OPEN, graph_of("paced"))  # it has every node of the chain
    page.evaluate(SHRINK, SIZE)
    before = page.evaluate(BOXES)
    page.evaluate(RUN)
    after = page.evaluate(BOXES)
    assert overlaps(after) == []
    assert page.evaluate(OUTSIDE) == [], "out of the frame that belongs to them"
    assert [box[0] for box in after] == [box[0] for box in before]


def test_form_s_fields_and_result_are_there(server):
    graph = graph_of("app")
    assert "linearMode" not in graph["extra"], "older pages would open a bare screen"
    form = graph["extra"]["linearData"]
    info = server.client.object_info()
    nodes = {node["id"]: node for node in graph["nodes"]}
    for node_id, name in form["inputs"]:
        assert name in {widget.name for widget in widgets_of(info[nodes[node_id]["type"]])}
        slots = {slot["name"]: slot["link"] for slot in nodes[node_id]["inputs"]}
        assert slots[name] is None, "a field that something else fills cannot be changed"
    assert [nodes[node_id]["type"] for node_id in form["outputs"]] == ["PaintsUndoAssembleVideo"]
    workflow = Workflow.load(ROOT / template("app"), info)
    assert workflow.widget("PaintsUndoAssembleVideo", "duration") == 30
