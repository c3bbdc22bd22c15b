"""Values that come through a link into a widget: None, texts, lists and numbers that are none give one sentence."""

import asyncio

import pytest
from paintsundo_pack import comfy_entrypoint


@pytest.fixture(scope="module")
def nodes():
    """The nodes as ComfyUI gets them, by id."""
    extension = asyncio.run(comfy_entrypoint())
    return {node.GET_SCHEMA().node_id: node for node in asyncio.run(extension.get_node_list())}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "eta is no number: nothing came"),
        ("1", r"eta is no number: an object of another type \(str\) came"),
        ([1.0], r"eta is no number: an object of another type \(list\)"),
        (float("nan"), "eta is nan.*finite number"),
        (float("inf"), "eta is inf.*finite number"),
    ],
)
def test_what_is_no_number_is_refused_with_the_name_of_the_input(nodes, value, message):
    with pytest.raises(ValueError, match=message):
        nodes["PaintsUndoDDIMSampler"].execute(eta=value)


def test_whole_numbers_texts_and_choices(nodes):
    variants, save = nodes["PaintsUndoVariants"], nodes["PaintsUndoSaveCheckpoint"]
    with pytest.raises(ValueError, match="count is 2.5.*whole number"):
        variants.execute(seed=[1], count=[2.5])
    with pytest.raises(ValueError, match="filename is no text: nothing came"):
        save.execute(checkpoint="x", weight_dtype="fp16", filename=None)
    with pytest.raises(ValueError, match="checkpoint is no text: an object"):
        save.execute(checkpoint=3, weight_dtype="fp16", filename="x")


def test_every_entry_of_a_list_is_looked_at(nodes):
    node = nodes["PaintsUndoAssembleVideo"]
    inputs = {name: [None] for name in ("frames", "order", "trim", "format", "quality", "filename_prefix")}
    with pytest.raises(ValueError, match="fps is no number: nothing came"):
        node.execute(fps=[4.0, None], **inputs)


def test_good_values_pass_and_no_link_is_no_value(nodes):
    assert nodes["PaintsUndoDDIMSampler"].execute(eta=1).args[0] is not None
    seeds, _ = nodes["PaintsUndoVariants"].execute(seed=[7], count=[2], image=None).args
    assert seeds == [7, 8]
