"""The kind of what comes through a link: None, texts, lists and numbers that are none give one sentence."""

import asyncio
import inspect

import numpy as np
import pytest
import torch
from comfy.sd import VAE
from comfy_api.latest import io
from comfy_api.latest._io import HiddenHolder
from paintsundo_pack import comfy_entrypoint
from paintsundo_pack.nodes import NODES
from paintsundo_pack.nodes.linked_values import checked
from paintsundo_pack.paintsundo_models.errors import NotEnoughMemoryError


@pytest.fixture(scope="module")
def nodes():
    """The nodes as ComfyUI gets them, by id."""
    extension = asyncio.run(comfy_entrypoint())
    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(extension.get_node_list())}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "eta is no number: nothing came"),
        ("1", "eta is no number: a text came"),
        ([1.0], "eta is no number: a list came"),
        (float("nan"), "eta is nan.*finite number"),
        (float("inf"), "eta is inf.*finite number"),
    ],
)
def test_what_is_no_number_is_refused_with_the_name_of_the_input(nodes, value, message):
    with pytest.raises(ValueError, match=message):
        nodes["PaintsUndoDDIMSampler"].execute(eta=value)


FIELDS = [(node, field) for node in NODES for field in node.define_schema().inputs]


@pytest.mark.parametrize(
    ("node", "field"),
    [
        pytest.param(node, field, id=f"{node.__name__}-{field.id}")
        for node, field in FIELDS
        if isinstance(field, io.Int.Input | io.Float.Input)
    ],
)
def test_what_the_widget_refuses_is_refused_through_a_link(node, field):
    """ComfyUI looks at the limits of widgets alone."""
    kind = int if isinstance(field, io.Int.Input) else float
    values = [kind(field.min) - 1, kind(field.max) + 1, -(10**400), 10**400]
    if kind is float:
        values += [field.min - 0.001, field.max + 0.001]
    for value in values:
        said = rf"^{field.id} is (out of range|-?[\d.e+]+), and must be from {field.min} to "
        with pytest.raises(ValueError, match=said):
            checked(node).execute(**{field.id: [value] if node.define_schema().is_input_list else value})


@pytest.mark.parametrize(
    ("node", "field"),
    [
        pytest.param(node, field, id=f"{node.__name__}-{field.id}")
        for node, field in FIELDS
        if isinstance(field, io.Boolean.Input)
    ],
)
@pytest.mark.parametrize("value", [None, "no", "false", {"a": 1}, torch.zeros(3), float("nan"), 2, [True]])
def test_what_is_neither_on_nor_off_is_refused(node, field, value):
    with pytest.raises(ValueError, match=f"^{field.id} is neither on nor off: .* came"):
        checked(node).execute(**{field.id: [value] if node.define_schema().is_input_list else value})


def test_numbers_of_other_types_are_taken_as_the_widget_gives_them(nodes):
    """A node for arithmetic outputs 3.0 for 3, and a node with NumPy outputs its own numbers."""
    seeds, _ = nodes["PaintsUndoVariants"].execute(seed=[np.int64(7)], count=[2.0], image=None).args
    assert seeds == [7, 8]
    assert [type(seed) for seed in seeds] == [int, int]
    plan = nodes["PaintsUndoPlanSteps"].execute
    text, _ = plan(count=np.float32(3), spacing="even steps", sketch_share=0).args
    assert len(text.split(",")) == 3
    assert plan(count=3, spacing="even steps", sketch_share=0.9 + 1e-9).args[0]
    arrange = nodes["PaintsUndoArrangeKeyframes"]
    arrange = type("Running", (arrange,), {"hidden": HiddenHolder("1", {}, {}, None, None, None)})
    one = torch.ones(1, 64, 64, 3)
    switches = {"include_finished": 1, "include_canvas": np.False_}
    assert len(arrange.execute(finished=one, keyframes=one, **switches).args[0]) == 2


def test_whole_numbers_texts_and_choices(nodes):
    variants, save = nodes["PaintsUndoVariants"], nodes["PaintsUndoSaveCheckpoint"]
    with pytest.raises(ValueError, match="count is 2.5.*whole number"):
        variants.execute(seed=[1], count=[2.5])
    with pytest.raises(ValueError, match="filename is no text: nothing came"):
        save.execute(checkpoint="x", weight_dtype="fp16", filename=None)
    with pytest.raises(ValueError, match="checkpoint is no text: a number"):
        save.execute(checkpoint=3, weight_dtype="fp16", filename="x")


@pytest.mark.parametrize("value", [None, "text", 3, {"a": 1}])
def test_objects_of_other_types_are_refused_by_their_input(nodes, value):
    vae = VAE.__new__(VAE)  # never used
    image, conditioning = torch.ones(1, 64, 64, 3), [[torch.zeros(1, 77, 8), {}]]
    inputs = {"operation_steps": "600", "width": 64, "height": 64}
    node = nodes["PaintsUndoKeyframeConditioning"]
    for name in ("positive", "negative", "vae", "image"):
        good = {"positive": conditioning, "negative": conditioning, "vae": vae, "image": image}
        with pytest.raises(ValueError, match=f"^{name} is no (conditioning|VAE|picture): "):
            node.execute(**{**good, name: value}, **inputs)
    with pytest.raises(ValueError, match="^model is no MODEL: "):
        nodes["PaintsUndoGuidance"].execute(model=value, rescale=0.7, start=0.0, end=1.0)


def test_values_that_comfyui_has_refused_do_not_reach_the_nodes_own_check(nodes):
    pairs, video = nodes["PaintsUndoKeyframePairs"], nodes["PaintsUndoAssembleVideo"]
    assert pairs.validate_inputs(seeds=[1, 2, 3], steps=None, prompts={"a": 1}) is True
    assert video.validate_inputs(filename_prefix=[[1, 2, 3]]) is True
    assert "filename_prefix" in inspect.getfullargspec(video.validate_inputs).args


def test_widgets_are_looked_at_before_the_lazy_inputs_are_made(nodes):
    widgets = {"prompt": "", "negative_prompt": "", "seed": 1, "steps": 1, "cfg": 1.0, "height": 64}
    widgets |= {"sampler_name": "euler", "scheduler": "karras", "operation_steps": "600"}
    sockets = dict.fromkeys(("model", "clip", "vae", "image"))
    node = nodes["PaintsUndoPredictKeyframes"]
    with pytest.raises(ValueError, match="^width is no number: nothing came"):
        node.check_lazy_status(width=None, **widgets, **sockets)
    assert set(node.check_lazy_status(width=64, **widgets, **sockets)) == set(sockets)


def test_none_at_an_optional_widget_is_no_value(nodes):
    with pytest.raises(ValueError, match="^steps is no text: nothing came"):
        nodes["PaintsUndoKeyframePairs"].execute(keyframes=torch.ones(2, 64, 64, 3), seed=1, steps=None)


def test_memory_that_runs_out_anywhere_is_said_plainly():
    class Hungry(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="PaintsUndoHungry", display_name="Hungry", inputs=[])

        @classmethod
        def execute(cls):
            torch.empty(2**60, dtype=torch.uint8)

    with pytest.raises(NotEnoughMemoryError, match="^Memory ran out while Hungry was working. "):
        checked(Hungry).execute()


def test_every_entry_of_a_list_is_looked_at(nodes):
    node = nodes["PaintsUndoAssembleVideo"]
    inputs = {"frames": [torch.ones(16, 64, 64, 3)]}
    with pytest.raises(ValueError, match="fps is no number: nothing came"):
        node.execute(fps=[4.0, None], **inputs)


def test_good_values_pass_and_no_link_is_no_value(nodes):
    assert nodes["PaintsUndoDDIMSampler"].execute(eta=1).args[0] is not None
    seeds, _ = nodes["PaintsUndoVariants"].execute(seed=[7], count=[2], image=None).args
    assert seeds == [7, 8]
