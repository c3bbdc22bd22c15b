"""What the keyframe nodes refuse before anything runs, through the host's own validation of a prompt."""

import asyncio

import execution
import pytest
from paintsundo_pack.nodes import NODES
from paintsundo_pack.nodes.predict_keyframes import KeyframeConditioning, PredictKeyframe, PredictKeyframes

import nodes

KEYFRAME_NODES = [KeyframeConditioning, PredictKeyframe, PredictKeyframes]
WITH_STEPS = [KeyframeConditioning, PredictKeyframes]


@pytest.fixture
def validate(monkeypatch):
    """Errors of the host for one node with these widgets; its sockets stay unconnected, and that is left out."""
    for node in NODES:
        monkeypatch.setitem(nodes.NODE_CLASS_MAPPINGS, node.define_schema().node_id, node)

    def run(node, **widgets):
        prompt = {"1": {"class_type": node.define_schema().node_id, "inputs": widgets}}
        _, errors, _ = asyncio.run(execution.validate_inputs("p", prompt, "1", {}))
        return [error["details"] for error in errors if error["type"] != "required_input_missing"]

    return run


@pytest.mark.parametrize("node", KEYFRAME_NODES)
def test_good_sizes_pass_the_host(validate, node):
    assert validate(node, width=0, height=2048) == []


@pytest.mark.parametrize("node", KEYFRAME_NODES)
@pytest.mark.parametrize("height", [100, -64, 2112])
def test_bad_size_is_refused_by_the_host_before_the_run(validate, node, height):
    errors = validate(node, width=512, height=height)
    assert errors
    assert all("height must be a multiple of 64" in error for error in errors)


@pytest.mark.parametrize("node", WITH_STEPS)
def test_bad_operation_steps_are_refused_by_the_host_before_the_run(validate, node):
    good = {"width": 0, "height": 0}
    assert validate(node, operation_steps="400 600", **good) == []
    assert "'abc' is no operation step" in validate(node, operation_steps="400, abc", **good)[0]


@pytest.mark.parametrize("node", KEYFRAME_NODES)
def test_linked_widgets_are_left_to_the_run(node):
    linked = {"width": None, "height": None, **({"operation_steps": None} if node in WITH_STEPS else {})}
    assert node.validate_inputs(**linked) is True


def test_video_node_s_lists_pass_the_host_and_are_read(validate):
    from paintsundo_pack.nodes.assemble_video import AssembleVideo

    assert validate(AssembleVideo, fps=50.0, format="gif", filename_prefix="a") == []
    errors = validate(AssembleVideo, fps=60.0, format="gif", filename_prefix="a")
    assert "at most 50 frames a second" in errors[0]


def test_duration_that_the_holds_fill_is_refused_by_the_host_before_the_run(validate):
    from paintsundo_pack.nodes.assemble_video import AssembleVideo

    given = {"fps": 12.0, "duration": 5.0, "pace": "equal change", "loop": "once", "hold_first": 0.0}
    assert validate(AssembleVideo, **given, hold_last=2.0) == []
    errors = validate(AssembleVideo, **given, hold_last=5.0)
    assert "Raise duration, or lower the holds" in errors[0]


def test_equal_change_with_open_inputs_is_refused_by_the_host_before_the_run(validate):
    from paintsundo_pack.nodes.plan_steps import PlanSteps

    assert validate(PlanSteps, count=6, sketch_share=0.0, spacing="even steps") == []
    (error,) = validate(PlanSteps, count=6, sketch_share=0.0, spacing="equal change")
    assert "nothing is connected to model, clip, vae, image" in error
