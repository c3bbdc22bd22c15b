"""Every socket of every node: what does not belong there is refused in one sentence in plain words, by its own name."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from comfy_api.latest import io
from comfy_api.latest._io import HiddenHolder
from paintsundo_pack import paintsundo_models
from paintsundo_pack.nodes import NODES
from paintsundo_pack.nodes.linked_values import checked
from paintsundo_pack.nodes.multi_frame_sampling import Guidance, TemporalWindowNode, TrailingScheduler
from paintsundo_pack.nodes.predict_keyframes import KeyframeConditioning
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME_LOADER, SINGLE_FRAME_LOADER

DEMO = Path(paintsundo_models.__file__).parent / "demo"
MULTI_FRAME_NODES = {
    "PaintsUndoInterpolate",
    "PaintsUndoInterpolationConditioning",
    "PaintsUndoTrailingScheduler",
    "PaintsUndoGuidance",
    "PaintsUndoTemporalWindow",
}
SINGLE_PICTURE = {"image", "start_image", "end_image", "finished", "own_keyframes"}
MODEL_TYPES = ("MODEL", "CLIP", "VAE", "CLIP_VISION")
PICTURE = torch.full((1, 64, 64, 3), 0.5)
HIDDEN = HiddenHolder("1", {}, {}, None, None, None)
TOKENS = torch.zeros(1, 77, 16)
ANYWHERE = {
    "nothing": None,
    "a text": "1girl",
    "a number": 3,
    "a table": {"a": 1},
    "an object": object(),
    "an empty list": [],
    "a list": [1, 2],
    "a flat tensor": torch.zeros(3),
    "a batch of no pictures": torch.zeros(0, 8, 8, 3),
    "two channels": torch.zeros(1, 64, 64, 2),
    "sixteen channels": torch.zeros(1, 64, 64, 16),
    "a latent": {"samples": torch.zeros(1, 4, 8, 8)},
    "the tensor of a latent": torch.zeros(1, 4, 16, 8, 8),
    "a mask": torch.zeros(1, 64, 64),
}
ONLY = {  # a function makes the wrong value from the good one
    "IMAGE": {
        "a picture that is not a number": lambda good: good * float("nan"),
        "an infinite picture": lambda good: good / 0,
        "a picture of bytes": lambda good: (good * 255).byte(),
    },
    "CONDITIONING": {
        "the tokens alone": TOKENS,
        "an entry without a table": [[TOKENS]],
        "an entry without tokens": [[None, {}]],
        "tokens that are not a number": [[TOKENS * float("nan"), {}]],
    },
    "VAE": {  # newer ComfyUIs' CLIP decodes too
        "a CLIP that decodes text": SimpleNamespace(tokenize=list, decode=str),
    },
}
PYTHON_WORDS = re.compile(
    r"NoneType|attribute|tensor\(|Traceback|operand|keyword|subscript|iterable|len\(\)|dimension out|<object|\b(str|dict|list)\)"
)
SOCKETS = [
    (node, field)
    for node in NODES
    for field in node.define_schema().inputs
    if not isinstance(field, io.WidgetInput)
]


@pytest.fixture(scope="module")
def objects(seeded_checkpoints):
    """Our objects by type of socket, those of the single-frame model at False, those of the multi-frame model at True."""
    return by_type(seeded_checkpoints["single_frame"], seeded_checkpoints["multi_frame"])


def by_type(single_frame, multi_frame):
    single, multi = loading.load_single_frame(single_frame), loading.load_multi_frame(multi_frame)
    return {
        False: dict(zip(MODEL_TYPES, single, strict=False)),
        True: dict(zip(MODEL_TYPES, multi, strict=False)),
    }


def good_inputs(node, objects):
    """Inputs that the node accepts."""
    schema = node.define_schema()
    fitting = objects[schema.node_id in MULTI_FRAME_NODES] | {"CONDITIONING": [[TOKENS, {}]]}
    small = {"width": 64, "height": 64, "steps": 1, "operation_steps": "400, 900", "spacing": "equal change"}
    inputs = {}
    for field in schema.inputs:
        if field.io_type == "IMAGE":
            inputs[field.id] = PICTURE if field.id in SINGLE_PICTURE else PICTURE.repeat(2, 1, 1, 1)
        elif field.io_type in fitting:
            inputs[field.id] = fitting[field.io_type]
        elif isinstance(field, io.WidgetInput):
            default = field.default if isinstance(field, io.String.Input) else field.as_dict().get("default")
            inputs[field.id] = small.get(field.id, "" if default is None else default)
    return inputs | ({"steps": ""} if schema.node_id == "PaintsUndoKeyframePairs" else {})


def run(node, inputs):
    """Run a node as ComfyUI has it, with the check of all its values."""
    if node.define_schema().is_input_list:
        inputs = {name: [value] for name, value in inputs.items()}
    with torch.inference_mode():
        return type("Running", (checked(node),), {"hidden": HIDDEN}).execute(**inputs)


def said_by(node, inputs):
    with pytest.raises(ValueError, match=r"\w") as refused:
        run(node, inputs)
    return str(refused.value)


@pytest.mark.parametrize(
    ("node", "field", "wrong"),
    [
        pytest.param(node, field, value, id=f"{node.__name__}-{field.id}-{name}")
        for node, field in SOCKETS
        for name, value in (ANYWHERE | ONLY.get(field.io_type, {})).items()
        if not (
            value is None and field.optional and not node.define_schema().is_input_list
        )  # as if not linked
    ],
)
def test_what_does_not_belong_on_a_socket_is_refused_by_its_name(objects, node, field, wrong):
    good = good_inputs(node, objects)
    said = said_by(node, good | {field.id: wrong(good[field.id]) if callable(wrong) else wrong})
    assert re.match(rf"{field.id}\b.*(Connect|connect|Choose|choose) .*\.$", said), said
    assert not PYTHON_WORDS.search(said), said


@pytest.mark.parametrize(
    ("node", "field"), [pytest.param(*s, id=f"{s[0].__name__}-{s[1].id}") for s in SOCKETS]
)
def test_our_objects_on_sockets_of_another_type_are_refused_by_the_sockets_name(objects, node, field):
    good = good_inputs(node, objects)
    for kind, value in objects[True].items():
        if kind != field.io_type:
            said = said_by(node, good | {field.id: value})
            assert re.match(
                rf"{field.id} is no \w+: an object of another type \(\w+\) came\. Connect ", said
            ), said


def test_the_table_covers_every_type_of_socket():
    assert {field.io_type for _, field in SOCKETS} == {*MODEL_TYPES, "IMAGE", "CONDITIONING", "UPSCALE_MODEL"}


@pytest.mark.parametrize("node", [KeyframeConditioning, TrailingScheduler, Guidance, TemporalWindowNode])
def test_what_belongs_there_is_accepted(objects, node):
    assert run(node, good_inputs(node, objects)).result


@pytest.fixture(scope="module")
def demo():
    """The objects of the demo, whose two models read tokens of the same width, unlike the released ones."""
    return by_type(DEMO / "single-frame.safetensors", DEMO / "multi-frame.safetensors")


@pytest.mark.parametrize(
    ("node", "field"),
    [
        pytest.param(node, field, id=f"{node.__name__}-{field.id}")
        for node, field in SOCKETS
        if field.io_type in ("MODEL", "CLIP", "VAE")
    ],
)
def test_objects_of_the_other_model_are_refused_though_they_are_as_wide(demo, node, field):
    is_multi = node.define_schema().node_id in MULTI_FRAME_NODES
    said = said_by(node, good_inputs(node, demo) | {field.id: demo[not is_multi][field.io_type]})
    assert re.search(rf"This {field.io_type} is (not )?the (single|multi)-frame", said), said
    assert (
        f"Connect the {field.io_type} of the {MULTI_FRAME_LOADER if is_multi else SINGLE_FRAME_LOADER}"
        in said
    )
