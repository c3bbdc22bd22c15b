"""Read and convert workflows as ComfyUI's page saves them, without a page.

The server runs prompts (nodes by id, each with all its inputs); the page saves graphs (nodes with a list of widget
values and links between slots). `to_prompt` does what the page does when its Run button is pressed.
"""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

MODE_ACTIVE, MODE_MUTED, MODE_BYPASSED = 0, 2, 4
WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
NOTE_TYPES = {"Note", "MarkdownNote"}
# The bundled workflows: what the commands call them, and the file names, which ComfyUI's page shows as their titles.
TEMPLATES = {
    "demo": "1 Start here, painting timelapse",
    "app": "2 Painting timelapse as a form",
    "paced": "3 Speedpaint video of 30 seconds",
    "default": "4 With the released models",
    "fast": "5 Faster and a little rougher",
    "segments": "6 Stage by stage, own drawings",
    "redo": "7 Undo to a sketch, finish anew",
    "touch_up": "8 Repaint only the last stage",
    "native": "9 With KSampler and LoRAs",
}
UPLOAD_OPTIONS = ("image_upload", "animated_image_upload", "video_upload")


class WorkflowError(ValueError):
    """A workflow does not fit the server's nodes; the text names the node."""


@dataclass(frozen=True)
class Widget:
    """A widget that the page makes; `is_sent` is False if its value is not sent to the server."""

    name: str
    default: Any = None
    options: Json = field(default_factory=dict)
    is_sent: bool = True


def template(name: str) -> Path:
    """Return the file of a bundled workflow (a key of TEMPLATES), relative to the clone."""
    return Path("example_workflows", f"{TEMPLATES[name]}.json")


def widgets_of(info: Json) -> list[Widget]:
    """Return the widgets of a node in the order of its saved values; `info` is its entry in /object_info."""
    widgets: list[Widget] = []
    for section in ("required", "optional"):
        needs_upload = False
        for name, spec in info["input"].get(section, {}).items():
            kind = spec[0]
            options = spec[1] if len(spec) > 1 else {}
            is_list = isinstance(kind, list)
            if is_list:
                options = {**options, "options": kind}
            if options.get("forceInput") or not (is_list or options.get("widgetType", kind) in WIDGET_TYPES):
                continue
            widgets.append(Widget(name, _default(kind, options), options))
            if options.get("control_after_generate", kind == "INT" and name in ("seed", "noise_seed")):
                widgets.append(Widget("control_after_generate", "randomize", is_sent=False))
                if is_list or kind == "COMBO":
                    widgets.append(Widget("control_filter_list", "", is_sent=False))
            needs_upload = needs_upload or any(options.get(key) for key in UPLOAD_OPTIONS)
        if needs_upload:  # the page adds the upload button after the widgets of the section
            widgets.append(Widget("upload", "image", is_sent=False))
    return widgets


def _default(kind: str | list, options: Json) -> Any:
    if "default" in options:
        return options["default"]
    if options.get("options"):
        return options["options"][0]
    return {"INT": 0, "FLOAT": 0.0, "STRING": "", "BOOLEAN": False}.get(kind if isinstance(kind, str) else "")


def combo_options(object_info: Json, node_type: str, name: str) -> list[str]:
    """Return the options of a combo widget of a node type."""
    for widget in widgets_of(object_info[node_type]):
        if widget.name == name:
            return widget.options["options"]
    raise WorkflowError(f"{node_type} has no widget {name!r}.")


class Workflow:
    """A graph in the format in which the page saves it, with the server's description of its nodes.

    Args:
        graph: content of a workflow file; copied.
        object_info: the server's /object_info.
    """

    def __init__(self, graph: Json, object_info: Json) -> None:
        if not isinstance(graph.get("nodes"), list):
            raise WorkflowError("This is not a workflow saved by ComfyUI's page: it has no list of nodes.")
        self.graph = copy.deepcopy(graph)
        self.object_info = object_info
        self._nodes: dict[int, Json] = {node["id"]: node for node in self.graph["nodes"]}
        # [id, source node, source slot, target node, target slot, type]
        self._links: dict[int, list] = {link[0]: link for link in self.graph.get("links", [])}

    @classmethod
    def load(cls, path: Path, object_info: Json) -> "Workflow":
        """Read a workflow file."""
        return cls(json.loads(path.read_text(encoding="utf-8")), object_info)

    def nodes_of_type(self, node_type: str) -> list[Json]:
        """Return the nodes of one type, in the file's order."""
        return [node for node in self.graph["nodes"] if node["type"] == node_type]

    def set_widget(self, node_type: str, name: str, value: Any) -> None:
        """Set a widget of every node of a type, and remove links to it.

        Raises:
            WorkflowError: no such node in the workflow, no such widget on it, or a list without that entry.
        """
        nodes = self.nodes_of_type(node_type)
        if not nodes:
            raise WorkflowError(f"The workflow has no {node_type} node.")
        widgets = widgets_of(self._info(node_type))
        target = next((widget for widget in widgets if widget.name == name), None)
        if target is None:
            names = ", ".join(widget.name for widget in widgets)
            raise WorkflowError(f"{node_type} has no widget {name!r}; it has {names}.")
        offered = target.options.get("options")
        # A file that was uploaded just now is not yet among the options.
        is_file = any(target.options.get(key) for key in UPLOAD_OPTIONS)
        if offered and value not in offered and not is_file:
            raise WorkflowError(f"{node_type} offers no {name} {value!r}; it offers {', '.join(offered)}.")
        for node in nodes:
            values = self._values(node, widgets)
            node["widgets_values"] = [
                value if widget.name == name else values[widget.name] for widget in widgets
            ]
            for slot in node.get("inputs", []):
                if slot["name"] == name:
                    self._cut(slot)

    def widget(self, node_type: str, name: str) -> Any:
        """Return the value of a widget of the first node of a type."""
        node = self.nodes_of_type(node_type)[0]
        return self._values(node, widgets_of(self._info(node_type)))[name]

    def add_node(self, node_type: str, values: Json) -> Json:
        """Add a node above the graph, with these values of widgets and the defaults of the others; return it."""
        info, key = self._info(node_type), max(self._nodes, default=0) + 1
        places = [node["pos"] for node in self.graph["nodes"]]
        left, top = (min(place[axis] for place in places) for axis in (0, 1))
        widgets = widgets_of(info)
        node = {
            "id": key,
            "type": node_type,
            "pos": [left, top - 260],
            "size": [320, 160],
            "flags": {},
            "order": 0,
            "mode": MODE_ACTIVE,
            "inputs": [],
            "outputs": [
                {"name": name, "type": kind, "links": []}
                for name, kind in zip(info["output_name"], info["output"], strict=True)
            ],
            "properties": {"Node name for S&R": node_type},
            "widgets_values": [values.get(widget.name, widget.default) for widget in widgets],
        }
        self.graph["nodes"].append(node)
        self.graph["last_node_id"] = key
        self._nodes[key] = node
        return node

    def link(self, source: Json, output: int, node_type: str, name: str) -> None:
        """Connect an output of a node to the widget `name` of every node of a type."""
        for node in self.nodes_of_type(node_type):
            slots = node.setdefault("inputs", [])
            slot = next((slot for slot in slots if slot["name"] == name), None)
            kind = source["outputs"][output]["type"]
            if slot is None:
                slot = {"name": name, "type": kind, "widget": {"name": name}, "link": None}
                slots.append(slot)
            self._cut(slot)
            key = max(self._links, default=0) + 1
            link = [key, source["id"], output, node["id"], slots.index(slot), kind]
            slot["link"] = key
            source["outputs"][output]["links"].append(key)
            self.graph.setdefault("links", []).append(link)
            self.graph["last_link_id"] = key
            self._links[key] = link

    def mute(self, node_type: str) -> None:
        """Mute every node of a type, as Ctrl-M does on the page."""
        for node in self.nodes_of_type(node_type):
            node["mode"] = MODE_MUTED

    def activate(self, node_type: str) -> None:
        """Activate every node of a type, so that it is neither muted nor bypassed."""
        for node in self.nodes_of_type(node_type):
            node["mode"] = MODE_ACTIVE

    def _cut(self, slot: Json) -> None:
        link_id, slot["link"] = slot.get("link"), None
        link = self._links.pop(link_id, None) if link_id is not None else None
        if link is None:
            return
        self.graph["links"].remove(link)
        output = self._nodes[link[1]]["outputs"][link[2]]
        output["links"] = [other for other in output.get("links") or [] if other != link_id]

    def to_prompt(self) -> dict[str, Json]:
        """Return the prompt that the page would queue: {node id: {"class_type", "inputs", "_meta"}}.

        Muted nodes and notes are left out, with the inputs that they feed; bypassed nodes and reroutes are replaced
        by what feeds them, and where nothing does, a widget keeps its own value; primitives are replaced by their
        value. Subgraphs are not handled.

        Raises:
            WorkflowError: the server does not know a node.
        """
        prompt: dict[str, Json] = {}
        for node in self.graph["nodes"]:
            is_running = node.get("mode", 0) not in (MODE_MUTED, MODE_BYPASSED)
            if not is_running or node["type"] in NOTE_TYPES | {"Reroute", "PrimitiveNode"}:
                continue
            info = self._info(node["type"])
            widgets = widgets_of(info)
            values = self._values(node, widgets)
            inputs = {widget.name: _wrap(values[widget.name]) for widget in widgets if widget.is_sent}
            for slot in node.get("inputs", []):
                if slot.get("link") is None:
                    continue
                source = self._source(slot["link"])
                if source is not None:
                    inputs[slot["name"]] = source
            title = node.get("title") or info.get("display_name") or node["type"]
            prompt[str(node["id"])] = {
                "inputs": inputs,
                "class_type": node["type"],
                "_meta": {"title": title},
            }
        for node in prompt.values():
            node["inputs"] = {name: value for name, value in node["inputs"].items() if _is_fed(value, prompt)}
        return prompt

    def _info(self, node_type: str) -> Json:
        if node_type not in self.object_info:
            raise WorkflowError(f"This ComfyUI has no node of the type {node_type!r}.")
        return self.object_info[node_type]

    def _values(self, node: Json, widgets: list[Widget]) -> Json:
        saved = node.get("widgets_values") or []
        if isinstance(saved, dict):
            return {widget.name: saved.get(widget.name, widget.default) for widget in widgets}
        return {
            widget.name: saved[index] if index < len(saved) else widget.default
            for index, widget in enumerate(widgets)
        }

    def _source(self, link_id: int) -> Any:
        """Return what feeds a link: [node id, slot], a primitive's value, or None where a bypass leads nowhere."""
        link = self._links[link_id]
        node = self._nodes[link[1]]
        mode = node.get("mode", 0)
        if mode == MODE_MUTED:
            return [str(link[1]), link[2]]
        if node["type"] == "PrimitiveNode":
            return _wrap(node["widgets_values"][0])
        if node["type"] == "Reroute" or mode == MODE_BYPASSED:
            slot = _bypass_input(node, link)
            return None if slot is None or slot.get("link") is None else self._source(slot["link"])
        return [str(link[1]), link[2]]


def _bypass_input(node: Json, link: list) -> Json | None:
    """Return the input whose value takes the place of an output: the same slot, else the first of its type."""
    inputs = node.get("inputs", [])
    same_slot = inputs[link[2] : link[2] + 1]
    for slot in same_slot + inputs:
        if node["type"] == "Reroute" or slot["type"] == link[5]:
            return slot
    return None


def _is_fed(value: Any, prompt: dict[str, Json]) -> bool:
    """Return whether an input is a value, or a link to a node that runs."""
    return not isinstance(value, list) or value[0] in prompt


def _wrap(value: Any) -> Any:
    """Mark a list as a value: a bare list in a prompt is a link."""
    return {"__value__": value} if isinstance(value, list) else value
