"""Saved graphs -> prompts, on small graphs. server_tests/test_workflows.py compares the converter with the page."""

import pytest

from tools.workflow import Workflow, WorkflowError, combo_options, widgets_of

OBJECT_INFO = {
    "Source": {"display_name": "A Source", "input": {"required": {}}},
    "Sampler": {
        "display_name": "Sampler",
        "input": {
            "required": {
                "model": ["MODEL", {}],
                "seed": ["INT", {"default": 0, "control_after_generate": True}],
                "steps": ["INT", {"default": 20, "min": 1}],
                "sampler": [["euler", "heun"], {}],
                "scheduler": ["COMBO", {"options": ["simple", "karras"], "default": "karras"}],
            },
            "optional": {
                "text": ["STRING", {"default": "", "multiline": True}],
                "note": ["STRING", {"forceInput": True}],
            },
            "hidden": {"prompt": ["PROMPT"]},
        },
    },
    "Loader": {
        "display_name": "Load Image",
        "input": {"required": {"image": [["a.png", "b.png"], {"image_upload": True}], "depth": ["INT", {}]}},
    },
    "Texts": {"display_name": "Texts", "input": {"required": {"items": ["STRING", {"default": ""}]}}},
    "Filter": {
        "display_name": "Filter",
        "input": {"required": {"mask": ["MASK", {}], "model": ["MODEL", {}]}},
    },
}


def node(number, kind, *, inputs=(), outputs=("MODEL",), values=None, mode=0, **more):
    """A saved node; inputs are (name, type, link id or None)."""
    slots = [{"name": name, "type": type_, "link": link} for name, type_, link in inputs]
    outs = [{"name": type_, "type": type_, "links": []} for type_ in outputs]
    saved = {"id": number, "type": kind, "mode": mode, "inputs": slots, "outputs": outs, **more}
    return saved if values is None else {**saved, "widgets_values": values}


def workflow(nodes, links=()):
    """Links are (id, from node, from slot, to node, to slot, type)."""
    for link in links:
        source = next(n for n in nodes if n["id"] == link[1])
        source["outputs"][link[2]]["links"].append(link[0])
    return Workflow({"nodes": nodes, "links": [list(link) for link in links]}, OBJECT_INFO)


SAMPLER_VALUES = [7, "randomize", 30, "heun", "simple", "hello"]


def sampler(number=2, link=1, **more):
    return node(number, "Sampler", inputs=[("model", "MODEL", link)], values=SAMPLER_VALUES, **more)


def test_widgets_of_seed_has_a_control_widget_that_is_not_sent():
    widgets = widgets_of(OBJECT_INFO["Sampler"])
    names = [(widget.name, widget.is_sent) for widget in widgets]
    assert names == [
        ("seed", True),
        ("control_after_generate", False),
        ("steps", True),
        ("sampler", True),
        ("scheduler", True),
        ("text", True),
    ]


def test_widgets_of_image_upload_puts_the_button_after_the_required_inputs():
    assert [widget.name for widget in widgets_of(OBJECT_INFO["Loader"])] == ["image", "depth", "upload"]


def test_to_prompt_linked_nodes_give_values_and_links():
    prompt = workflow([node(1, "Source"), sampler(title="Mine")], [(1, 1, 0, 2, 0, "MODEL")]).to_prompt()
    assert prompt == {
        "1": {"inputs": {}, "class_type": "Source", "_meta": {"title": "A Source"}},
        "2": {
            "inputs": {
                "seed": 7,
                "steps": 30,
                "sampler": "heun",
                "scheduler": "simple",
                "text": "hello",
                "model": ["1", 0],
            },
            "class_type": "Sampler",
            "_meta": {"title": "Mine"},
        },
    }


def test_to_prompt_values_missing_at_the_end_are_defaults():
    short = node(2, "Sampler", inputs=[("model", "MODEL", None)], values=[7, "fixed", 30])
    inputs = workflow([short]).to_prompt()["2"]["inputs"]
    assert (inputs["sampler"], inputs["scheduler"], inputs["text"]) == ("euler", "karras", "")
    assert "model" not in inputs


def test_to_prompt_values_by_name_are_read():
    named = node(2, "Sampler", values={"steps": 3, "text": "by name"})
    inputs = workflow([named]).to_prompt()["2"]["inputs"]
    assert (inputs["steps"], inputs["text"], inputs["seed"]) == (3, "by name", 0)


def test_to_prompt_link_to_a_widget_takes_the_place_of_its_value():
    target = node(
        2, "Sampler", inputs=[("model", "MODEL", None), ("text", "STRING", 4)], values=SAMPLER_VALUES
    )
    graph = workflow([node(1, "Source", outputs=("STRING",)), target], [(4, 1, 0, 2, 1, "STRING")])
    assert graph.to_prompt()["2"]["inputs"]["text"] == ["1", 0]


def test_to_prompt_list_value_is_marked_as_a_value():
    assert workflow([node(1, "Texts", values=[["a", "b"]])]).to_prompt()["1"]["inputs"] == {
        "items": {"__value__": ["a", "b"]}
    }


def test_to_prompt_reroutes_are_followed():
    nodes = [
        node(1, "Source"),
        node(5, "Reroute", inputs=[("", "*", 1)], outputs=("MODEL",)),
        node(6, "Reroute", inputs=[("", "*", 2)], outputs=("MODEL",)),
        sampler(link=3),
    ]
    links = [(1, 1, 0, 5, 0, "MODEL"), (2, 5, 0, 6, 0, "MODEL"), (3, 6, 0, 2, 0, "MODEL")]
    prompt = workflow(nodes, links).to_prompt()
    assert set(prompt) == {"1", "2"}
    assert prompt["2"]["inputs"]["model"] == ["1", 0]


def test_to_prompt_bypassed_node_passes_its_input_of_the_same_type():
    nodes = [
        node(1, "Source"),
        node(5, "Filter", inputs=[("mask", "MASK", None), ("model", "MODEL", 1)], mode=4),
        sampler(link=3),
    ]
    prompt = workflow(nodes, [(1, 1, 0, 5, 1, "MODEL"), (3, 5, 0, 2, 0, "MODEL")]).to_prompt()
    assert set(prompt) == {"1", "2"}
    assert prompt["2"]["inputs"]["model"] == ["1", 0]


@pytest.mark.parametrize(("mode", "text"), [(0, ["1", 0]), (4, "hello"), (2, None)])
def test_to_prompt_widget_is_fed_keeps_its_value_or_is_left_out_by_the_mode_of_its_source(mode, text):
    target = node(
        2, "Sampler", inputs=[("model", "MODEL", None), ("text", "STRING", 4)], values=SAMPLER_VALUES
    )
    source = node(1, "Texts", outputs=("STRING",), mode=mode)
    inputs = workflow([source, target], [(4, 1, 0, 2, 1, "STRING")]).to_prompt()["2"]["inputs"]
    assert inputs.get("text") == text


def test_to_prompt_muted_node_feeds_nothing():
    graph = workflow([node(1, "Source", mode=2), sampler()], [(1, 1, 0, 2, 0, "MODEL")])
    prompt = graph.to_prompt()
    assert set(prompt) == {"2"}
    assert "model" not in prompt["2"]["inputs"]


def test_to_prompt_primitive_gives_its_value():
    target = node(2, "Sampler", inputs=[("steps", "INT", 1)], values=SAMPLER_VALUES)
    nodes = [node(1, "PrimitiveNode", outputs=("INT",), values=[12, "fixed"]), target]
    prompt = workflow(nodes, [(1, 1, 0, 2, 0, "INT")]).to_prompt()
    assert set(prompt) == {"2"}
    assert prompt["2"]["inputs"]["steps"] == 12


@pytest.mark.parametrize("kind", ["Note", "MarkdownNote"])
def test_to_prompt_notes_are_left_out(kind):
    assert workflow([node(1, kind, values=["text"], outputs=())]).to_prompt() == {}


def test_to_prompt_unknown_node_is_named():
    with pytest.raises(WorkflowError, match="'Nowhere'"):
        workflow([node(1, "Nowhere")]).to_prompt()


def test_set_widget_changes_one_value_and_leaves_the_file_alone():
    original = {"nodes": [sampler(link=None)], "links": []}
    graph = Workflow(original, OBJECT_INFO)
    graph.set_widget("Sampler", "scheduler", "karras")
    assert graph.graph["nodes"][0]["widgets_values"] == [7, "randomize", 30, "heun", "karras", "hello"]
    assert original["nodes"][0]["widgets_values"] == SAMPLER_VALUES
    assert graph.widget("Sampler", "scheduler") == "karras"


def test_set_widget_cuts_the_link_that_feeds_it():
    target = node(
        2, "Sampler", inputs=[("model", "MODEL", None), ("text", "STRING", 4)], values=SAMPLER_VALUES
    )
    graph = workflow([node(1, "Source", outputs=("STRING",)), target], [(4, 1, 0, 2, 1, "STRING")])
    graph.set_widget("Sampler", "text", "typed")
    assert graph.to_prompt()["2"]["inputs"]["text"] == "typed"
    assert graph.graph["links"] == []
    assert graph.graph["nodes"][0]["outputs"][0]["links"] == []
    assert graph.graph["nodes"][1]["inputs"][1]["link"] is None


@pytest.mark.parametrize(
    ("kind", "name", "text"), [("Loader", "image", "no Loader"), ("Sampler", "cfg", "'cfg'")]
)
def test_set_widget_that_is_not_there_is_named(kind, name, text):
    with pytest.raises(WorkflowError, match=text):
        workflow([sampler(link=None)]).set_widget(kind, name, 1)


def test_set_widget_to_what_a_list_lacks_names_what_it_has():
    with pytest.raises(WorkflowError, match="euler, heun"):
        workflow([sampler(link=None)]).set_widget("Sampler", "sampler", "lms")


def test_set_widget_to_a_file_uploaded_since_is_taken():
    graph = workflow([node(1, "Loader", values=["a.png", 3, "image"])])
    graph.set_widget("Loader", "image", "new.png")
    assert graph.to_prompt()["1"]["inputs"] == {"image": "new.png", "depth": 3}


def test_mute_takes_a_node_out_of_the_prompt():
    graph = workflow([node(1, "Source"), sampler(link=None)])
    graph.mute("Source")
    assert set(graph.to_prompt()) == {"2"}


@pytest.mark.parametrize("mode", [2, 4])
def test_activate_takes_a_node_into_the_prompt(mode):
    graph = workflow([node(1, "Source", mode=mode)])
    graph.activate("Source")
    assert set(graph.to_prompt()) == {"1"}


def test_combo_options_both_forms_are_read():
    assert combo_options(OBJECT_INFO, "Sampler", "sampler") == ["euler", "heun"]
    assert combo_options(OBJECT_INFO, "Sampler", "scheduler") == ["simple", "karras"]


def test_workflow_of_an_api_prompt_is_refused():
    with pytest.raises(WorkflowError, match="not a workflow"):
        Workflow({"1": {"class_type": "Source", "inputs": {}}}, OBJECT_INFO)
