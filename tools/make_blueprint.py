"""Write the blueprint, the whole chain as one node, from the paced workflow: `python tools/make_blueprint.py`.

ComfyUI's page lists the files of `subgraphs/` among the nodes. The format is the page's own for a subgraph: links are
objects, and two virtual nodes stand for the inputs and the outputs of the whole.
"""

import json
import sys
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if (
    __name__ == "__main__"
):  # only as a command: on the path of tests, the clone's nodes/ would hide ComfyUI's nodes.py
    sys.path.insert(0, str(ROOT))

from tools.workflow import Json, template  # noqa: E402

SOURCE = ROOT / template("paced")
TARGET = ROOT / "subgraphs" / "Painting Process Video (timelapse, speedpaint).json"
DESCRIPTION = (
    "From a finished picture to a video of how it could have been painted: canvas, sketch, lines, colours, shading. "
    "Choose the two checkpoints inside."
)
# A user's own copy is found by these words too in newer pages; the pack's file is found by its name alone (1.58.1).
SEARCH_WORDS = [
    *("time lapse", "speed paint", "drawing process", "making of", "how it was painted", "undo", "video"),
    *("延时", "绘画过程", "绘制过程", "タイムラプス", "メイキング", "制作過程"),
]
LEFT_OUT = ("MarkdownNote", "LoadImage", "JoinImageWithAlpha", "PaintsUndoTagger")
INPUT_NODE, OUTPUT_NODE = -10, -20
TEXT, SEED, LENGTH = "prompt", "seed", "duration"


def blueprint(workflow: Json) -> Json:
    """Return the blueprint of a workflow of the whole chain, as the page saves it.

    The picture, what it shows, the seed of the keyframes and the length of the video are inputs of the one node; the
    video, its frames and the keyframes are its outputs.
    """
    nodes = {
        node["id"]: json.loads(json.dumps(node)) for node in workflow["nodes"] if node["type"] not in LEFT_OUT
    }
    left_out = {node["id"] for node in workflow["nodes"] if node["type"] in LEFT_OUT}
    by_type = {node["type"]: node for node in nodes.values()}
    links = [_link(*link) for link in workflow["links"] if not {link[1], link[3]} & left_out]
    inputs = [
        (
            "image",
            "IMAGE",
            [(nodes[link[3]], link[4]) for link in workflow["links"] if _is_picture(link, workflow, nodes)],
        ),
        (
            TEXT,
            "STRING",
            [_widget(by_type[name], TEXT) for name in ("PaintsUndoPredictKeyframes", "PaintsUndoPlanSteps")],
        ),
        (SEED, "INT", [_widget(by_type["PaintsUndoPredictKeyframes"], SEED)]),
        (LENGTH, "FLOAT", [_widget(by_type["PaintsUndoAssembleVideo"], LENGTH)]),
    ]
    outputs = [
        ("video", "VIDEO", by_type["PaintsUndoAssembleVideo"], 0),
        ("frames", "IMAGE", by_type["PaintsUndoAssembleVideo"], 1),
        ("keyframes", "IMAGE", by_type["PaintsUndoArrangeKeyframes"], 0),
    ]
    number = max(link["id"] for link in links)
    slots: list[Json] = []
    for index, (name, kind, targets) in enumerate(inputs):
        ids = []
        for node, slot in targets:
            number += 1
            links.append(_link(number, INPUT_NODE, index, node["id"], slot, kind))
            ids.append(number)
        slots.append(_slot(name, kind, ids, index))
    results: list[Json] = []
    for index, (name, kind, node, slot) in enumerate(outputs):
        number += 1
        links.append(_link(number, node["id"], slot, OUTPUT_NODE, index, kind))
        results.append(_slot(name, kind, [number], index))
    _connect(nodes, links)
    return _document(list(nodes.values()), links, slots, results, _values(by_type))


def _is_picture(link: list, workflow: Json, nodes: dict[int, Json]) -> bool:
    """Tell whether a link brings the finished picture, with its alpha, to a node of the chain."""
    source = next(node for node in workflow["nodes"] if node["id"] == link[1])
    return source["type"] == "JoinImageWithAlpha" and link[3] in nodes


def _link(number: int, origin: int, origin_slot: int, target: int, target_slot: int, kind: str) -> Json:
    return {
        "id": number,
        "origin_id": origin,
        "origin_slot": origin_slot,
        "target_id": target,
        "target_slot": target_slot,
        "type": kind,
    }


def _slot(name: str, kind: str, links: list[int], index: int) -> Json:
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"paintsundo:{name}:{kind}:{index}"))
    return {
        "id": identity,
        "name": name,
        "type": kind,
        "linkIds": links,
        "localized_name": name,
        "pos": [0, 20 * index],
    }


def _widget(node: Json, name: str) -> tuple[Json, int]:
    """Return a node and the slot of one of its widgets."""
    return node, next(index for index, slot in enumerate(node["inputs"]) if slot["name"] == name)


def _connect(nodes: dict[int, Json], links: list[Json]) -> None:
    """Write every link into the slots at its two ends, and no other."""
    for node in nodes.values():
        for slot in node.get("inputs", []):
            slot["link"] = None
        for slot in node.get("outputs", []):
            slot["links"] = []
    for link in links:
        if link["target_id"] in nodes:
            nodes[link["target_id"]]["inputs"][link["target_slot"]]["link"] = link["id"]
        if link["origin_id"] in nodes:
            nodes[link["origin_id"]]["outputs"][link["origin_slot"]]["links"].append(link["id"])


def _values(by_type: dict[str, Json]) -> list[Any]:
    """Return what the widgets of the one node begin with: text, seed and length of the workflow."""
    predict, assemble = by_type["PaintsUndoPredictKeyframes"], by_type["PaintsUndoAssembleVideo"]
    return ["", _value(predict, SEED), _value(assemble, LENGTH)]


def _value(node: Json, name: str) -> Any:
    values = iter(node["widgets_values"])
    for slot in node["inputs"]:
        if "widget" not in slot:
            continue
        value = next(values)
        if slot["name"] == name:
            return value
        if slot["name"] == SEED:
            next(values)  # the page keeps "fixed" or "randomize" behind every seed
    raise KeyError(name)


def _document(
    nodes: list[Json], links: list[Json], inputs: list[Json], outputs: list[Json], values: list[Any]
) -> Json:
    name = TARGET.stem
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"paintsundo:{name}"))
    host = {
        "id": 1,
        "type": identity,
        "pos": [0, 0],
        "size": [400, 240],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [
            {"name": slot["name"], "type": slot["type"], "link": None}
            | ({} if slot["type"] == "IMAGE" else {"widget": {"name": slot["name"]}})
            for slot in inputs
        ],
        "outputs": [{"name": slot["name"], "type": slot["type"], "links": None} for slot in outputs],
        "properties": {},
        "widgets_values": values,
    }
    subgraph = {
        "id": identity,
        "version": 1,
        "state": {
            "lastGroupId": 0,
            "lastNodeId": max(node["id"] for node in nodes),
            "lastLinkId": max(link["id"] for link in links),
            "lastRerouteId": 0,
        },
        "revision": 0,
        "config": {},
        "name": name,
        "inputNode": {"id": INPUT_NODE, "bounding": [140, 60, 120, 120]},
        "outputNode": {"id": OUTPUT_NODE, "bounding": [1820, 60, 120, 100]},
        "inputs": inputs,
        "outputs": outputs,
        "widgets": [],
        "nodes": nodes,
        "groups": [],
        "links": links,
        "extra": {},
    }
    return {
        "revision": 0,
        "last_node_id": 1,
        "last_link_id": 0,
        "nodes": [host],
        "links": [],
        "version": 0.4,
        "definitions": {"subgraphs": [subgraph]},
        "extra": {"BlueprintDescription": DESCRIPTION, "BlueprintSearchAliases": SEARCH_WORDS},
    }


def text(workflow: Json) -> str:
    """Return the file's text, in ASCII, which the host reads under any encoding of the system."""
    return json.dumps(blueprint(workflow), indent=1, ensure_ascii=True) + "\n"


def main() -> int:
    """Write the blueprint; return the exit code."""
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text(json.loads(SOURCE.read_text(encoding="utf-8"))), encoding="ascii", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
