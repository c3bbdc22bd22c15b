"""What the keyframe nodes refuse before anything runs, through the host's own validation of a prompt."""

import asyncio

import execution
import pytest
from comfy_api.latest._io import HiddenHolder
from paintsundo_pack.nodes import NODES
from paintsundo_pack.nodes.assemble_video import AssembleVideo
from paintsundo_pack.nodes.multi_frame_sampling import Guidance, TrailingScheduler
from paintsundo_pack.nodes.predict_keyframes import KeyframeConditioning, PredictKeyframe, PredictKeyframes

import nodes

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


@pytest.mark.parametrize("node", WITH_STEPS)
def test_bad_operation_steps_are_one_error_at_their_input(validate, node):
    given = {"width": 0, "height": 2048, "cfg": 3.0}
    assert validate(node, operation_steps="400 600", **given) == []
    (error,) = validate(node, operation_steps="400, abc", **given)
    assert error.startswith("operation_steps - 'abc' is no operation step")


@pytest.mark.parametrize("node", WITH_STEPS)
def test_linked_steps_are_left_to_the_run(node):
    assert node.validate_inputs(operation_steps=None) is True


SAMPLING = {"cfg": 3.0, "sampler_name": "euler", "scheduler": "karras"}


@pytest.mark.parametrize("node", [PredictKeyframe, PredictKeyframes])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"height": 100}, "height must be a multiple of 64"),
        ({"height": -64}, "height must be a multiple of 64"),
        ({"width": 2112}, "width must be a multiple of 64 up to 2048"),
        ({"sampler_name": "res_2s"}, 'sampler_name is "res_2s", which is not there'),
        ({"cfg": float("nan")}, "cfg is nan"),
    ],
)
def test_what_the_host_cannot_check_is_checked_before_the_models_are_loaded(node, wrong, said):
    given = {"width": 512, "height": 0, **SAMPLING, "model": None, "image": "made already"}
    assert node.check_lazy_status(**given) == ["model"]
    with pytest.raises(ValueError, match=said):
        node.check_lazy_status(**{**given, **wrong})


@pytest.mark.parametrize(
    ("node", "good", "wrong", "said"),
    [
        (TrailingScheduler, {"steps": 50, "denoise": 0.05}, {"denoise": 0.04}, "would have 1250 steps"),
        (
            Guidance,
            {"rescale": 0.7, "start": 0.2, "end": 0.2},
            {"end": 0.1},
            "start must not be past the end",
        ),
    ],
)
def test_widgets_that_do_not_fit_are_refused_before_the_model_is_loaded(node, good, wrong, said):
    assert node.check_lazy_status(**good, model=None) == ["model"]
    assert node.check_lazy_status(**good, model="made already") == []
    with pytest.raises(ValueError, match=said):
        node.check_lazy_status(**{**good, **wrong}, model=None)


TIMES = {"fps": 12.0, "duration": 5.0, "pace": "equal change", "loop": "once", "hold_first": 0.0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"fps": 60.0, "format": "gif"}, "at most 50 frames a second"),
        ({"hold_last": 5.0}, "Raise duration, or lower the holds"),
        ({"fps": float("nan")}, "frame rate must be"),
        ({"hold_first": float("nan")}, "hold_first must be 0 to 600 seconds; got nan"),
        ({"duration": 0.0, "hold_last": float("nan")}, "hold_last must be"),
        ({"duration": float("nan")}, "duration must be"),
        ({"filename_prefix": "../x"}, "leads out of ComfyUI's output folder"),
    ],
)
def test_times_that_do_not_fit_are_refused_before_the_frames_are_made(wrong, said):
    widgets = {**TIMES, "hold_last": 2.0, "format": "gif", "filename_prefix": "a"}
    hidden = HiddenHolder("1", {}, {}, None, None, None)
    node = type("Video", (AssembleVideo,), {"hidden": hidden})

    def check(**given):
        return node.check_lazy_status(
            **{name: [value] for name, value in given.items()}, frames=(None,), finished=[1]
        )

    assert check(**widgets) == ["frames"]
    with pytest.raises(ValueError, match=said):
        check(**{**widgets, **wrong})


def test_equal_change_with_open_inputs_is_refused_by_the_host_before_the_run(validate):
    from paintsundo_pack.nodes.plan_steps import PlanSteps

    assert validate(PlanSteps, count=6, sketch_share=0.0, spacing="even steps") == []
    (error,) = validate(PlanSteps, count=6, sketch_share=0.0, spacing="equal change")
    assert "nothing is connected to model, clip, vae, image" in error
