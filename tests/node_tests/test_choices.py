"""Combos: a value that is not there is refused at its own input, and links from any other node's combo connect."""

import asyncio
import json

import comfy.samplers
import execution
import pytest
from comfy_api.latest import io
from paintsundo_pack.nodes import NODES
from paintsundo_pack.nodes.choices import Choice
from paintsundo_pack.nodes.plan_steps import PlanSteps

import nodes

COMBOS = [
    (node, field.id)
    for node in NODES
    for field in node.define_schema().inputs
    if isinstance(field, Choice) and field.id not in ("checkpoint", "tagger")  # test_early_refusals has these
]
SAMPLING = [
    ("PaintsUndoPredictKeyframe", "sampler_name"),
    ("PaintsUndoPredictKeyframes", "scheduler"),
    ("PaintsUndoInterpolate", "sampler_name"),
    ("PaintsUndoInterpolate", "scheduler"),
]


class Selector:
    """A selector node as other packs have them: its output's type is a list of some of the samplers."""

    RETURN_TYPES = (["euler", "res_2s"], "COMBO", "STRING")
    FUNCTION = "choose"

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802  the host calls it by this name
        return {"required": {}}


@pytest.fixture
def errors_of(monkeypatch):
    """Errors of the host for one node: (input name, type of the error, text) each, without unconnected sockets."""
    for node in NODES:
        monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, node.define_schema().node_id, node)
    monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, "Selector", Selector)

    def run(node_id, **widgets):
        prompt = {
            "1": {"class_type": node_id, "inputs": widgets},
            "2": {"class_type": "Selector", "inputs": {}},
        }
        _, errors, _ = asyncio.run(execution.validate_inputs("p", prompt, "1", {}))
        return [
            (error["extra_info"]["input_name"], error["type"], error["details"])
            for error in errors
            if error["type"] != "required_input_missing"
        ]

    return run


def field_of(node, name):
    return next(field for field in node.define_schema().inputs if field.id == name)


def defaults(node):
    return {
        field.id: field.default
        for field in node.define_schema().inputs
        if getattr(field, "default", None) is not None
    }


@pytest.mark.parametrize(("node", "name"), COMBOS, ids=lambda value: getattr(value, "__name__", value))
def test_value_that_a_combo_lacks_is_one_error_at_its_own_input(errors_of, node, name):
    node_id = node.define_schema().node_id
    given = defaults(node)
    before = errors_of(node_id, **given)
    new = [error for error in errors_of(node_id, **{**given, name: "res_2s"}) if error not in before]
    ((named, kind, text),) = new
    assert named == name
    assert kind == ("custom_validation_failed" if node is PlanSteps else "value_not_in_list")
    assert "res_2s" in text
    assert all(option in text for option in field_of(node, name).options)


def test_type_of_a_combo_can_be_looked_up_in_a_dict():
    """ComfyUI 0.33.0 does so with every input before a run; a plain list would end the run with a TypeError."""
    kind = Choice("size", options=["a", "b"]).get_io_type()
    assert kind not in {io.Combo.io_type: 0, io.Int.io_type: 0}
    assert kind == ["a", "b"]


@pytest.mark.parametrize(("node_id", "name"), SAMPLING)
def test_selector_nodes_of_other_packs_connect(errors_of, node_id, name):
    assert errors_of(node_id, **{name: ["2", 0]}) == []
    assert errors_of(node_id, **{name: ["2", 1]}) == []
    assert [error[:2] for error in errors_of(node_id, **{name: ["2", 2]})] == [(name, "return_type_mismatch")]


@pytest.mark.parametrize("node_id", ["PaintsUndoInterpolate", "PaintsUndoPredictKeyframes"])
def test_sampler_that_is_missing_is_answered_with_those_that_are_there(errors_of, node_id):
    ((name, _, text),) = errors_of(node_id, sampler_name="res_2s")
    assert name == "sampler_name"
    assert text.startswith("sampler_name: 'res_2s' not in the list. Choose one of these: ")
    assert all(sampler in text for sampler in comfy.samplers.KSampler.SAMPLERS)


def test_the_page_gets_all_options():
    options = Choice("many", options=[str(number) for number in range(50)]).get_io_type()
    assert json.loads(json.dumps(options)) == [str(number) for number in range(50)]


@pytest.mark.parametrize(("node_id", "name"), SAMPLING)
def test_value_through_a_link_is_checked_before_anything_is_sampled(node_id, name):
    node = next(node for node in NODES if node.define_schema().node_id == node_id)
    sockets = {field.id: None for field in node.define_schema().inputs}
    with pytest.raises(ValueError, match=f'{name} is "res_2s", which is not there. Choose one of these: '):
        node.execute(**{**sockets, **defaults(node), name: "res_2s"})
