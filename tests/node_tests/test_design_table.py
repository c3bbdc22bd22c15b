"""The nodes as the page and other people's graphs see them: ids, sockets, words."""

import inspect
import re
from pathlib import Path

import pytest
from paintsundo_pack.nodes import NODES

ROOT = Path(__file__).resolve().parents[2]

SAMPLING = {"seed": "INT", "steps": "INT", "cfg": "FLOAT", "sampler_name": "COMBO", "scheduler": "COMBO"}
PROMPTS = {"prompt": "STRING", "negative_prompt": "STRING"}
SIZE = {"width": "INT", "height": "INT"}
SINGLE = {"model": "MODEL", "clip": "CLIP", "vae": "VAE", "image": "IMAGE"}
ENDS = {"start_image": "IMAGE", "end_image": "IMAGE"}
SEGMENT = {"fs": "INT", "resolution": "COMBO"}
COND = {"positive": "CONDITIONING", "negative": "CONDITIONING"}

# id -> ({input: type}, [output types]); graphs people saved depend on every entry.
DESIGN = {
    "PaintsUndoSingleFrameLoader": (
        {"checkpoint": "COMBO", "weight_dtype": "COMBO"},
        ["MODEL", "CLIP", "VAE"],
    ),
    "PaintsUndoMultiFrameLoader": (
        {"checkpoint": "COMBO", "weight_dtype": "COMBO"},
        ["MODEL", "CLIP", "VAE", "CLIP_VISION"],
    ),
    "PaintsUndoSaveCheckpoint": (
        {"checkpoint": "COMBO", "weight_dtype": "COMBO", "filename": "STRING"},
        ["STRING"],
    ),
    "PaintsUndoDownload": ({"what": "COMBO", "revision": "STRING"}, ["STRING"]),
    "PaintsUndoTagger": (
        {
            "image": "IMAGE",
            "tagger": "COMBO",
            "threshold": "FLOAT",
            "character_threshold": "FLOAT",
            "exclude": "STRING",
        },
        ["STRING"],
    ),
    "PaintsUndoKeyframeConditioning": (
        {**COND, "vae": "VAE", "image": "IMAGE", "operation_steps": "STRING", **SIZE},
        ["CONDITIONING", "CONDITIONING", "LATENT"],
    ),
    "PaintsUndoPlanSteps": (
        {"count": "INT", "spacing": "COMBO", "sketch_share": "FLOAT", **SINGLE, "prompt": "STRING"},
        ["STRING", "IMAGE"],
    ),
    "PaintsUndoPredictKeyframe": (
        {**SINGLE, "operation_step": "INT", **PROMPTS, **SIZE, **SAMPLING},
        ["IMAGE"],
    ),
    "PaintsUndoPredictKeyframes": (
        {**SINGLE, "operation_steps": "STRING", **PROMPTS, **SIZE, **SAMPLING},
        ["IMAGE", "STRING"],
    ),
    "PaintsUndoArrangeKeyframes": (
        {
            "finished": "IMAGE",
            "keyframes": "IMAGE",
            "include_finished": "BOOLEAN",
            "include_canvas": "BOOLEAN",
        },
        ["IMAGE"],
    ),
    "PaintsUndoVariants": ({"seed": "INT", "count": "INT", "image": "IMAGE"}, ["INT", "IMAGE"]),
    "PaintsUndoMergeKeyframes": (
        {
            "keyframes": "IMAGE",
            "operation_steps": "STRING",
            "own_keyframes": "IMAGE",
            "own_operation_steps": "STRING",
        },
        ["IMAGE", "STRING"],
    ),
    "PaintsUndoJoinSegments": ({f"segment_{number}": "IMAGE" for number in range(1, 9)}, ["IMAGE"]),
    "PaintsUndoKeyframePairs": (
        {"keyframes": "IMAGE", "seed": "INT", "seeds": "STRING", "prompts": "STRING", "steps": "STRING"},
        ["IMAGE", "IMAGE", "INT", "STRING", "INT", "IMAGE"],
    ),
    "PaintsUndoInterpolationConditioning": (
        {**COND, "clip_vision": "CLIP_VISION", "vae": "VAE", **ENDS, **SEGMENT},
        ["CONDITIONING", "CONDITIONING", "LATENT", "VAE"],
    ),
    "PaintsUndoDDIMSampler": ({"eta": "FLOAT"}, ["SAMPLER"]),
    "PaintsUndoTrailingScheduler": ({"model": "MODEL", "steps": "INT", "denoise": "FLOAT"}, ["SIGMAS"]),
    "PaintsUndoGuidance": (
        {"model": "MODEL", "rescale": "FLOAT", "start": "FLOAT", "end": "FLOAT"},
        ["MODEL"],
    ),
    "PaintsUndoTemporalWindow": ({"model": "MODEL", "window": "COMBO"}, ["MODEL"]),
    "PaintsUndoInterpolate": (
        {
            "model": "MODEL",
            "clip": "CLIP",
            "vae": "VAE",
            "clip_vision": "CLIP_VISION",
            **ENDS,
            **PROMPTS,
            **SAMPLING,
            **SEGMENT,
            "fit": "COMBO",
            "match_colours": "BOOLEAN",
            "reuse": "BOOLEAN",
            "fade_below": "FLOAT",
        },
        ["IMAGE"],
    ),
    "PaintsUndoAssembleVideo": (
        {
            "frames": "IMAGE",
            "fps": "FLOAT",
            "order": "COMBO",
            "trim": "COMBO",
            "hold_first": "FLOAT",
            "hold_last": "FLOAT",
            "format": "COMBO",
            "quality": "INT",
            "filename_prefix": "STRING",
            "exact_ends": "BOOLEAN",
            "keyframes": "IMAGE",
            "finished": "IMAGE",
            "size": "COMBO",
            "longest_side": "INT",
            "duration": "FLOAT",
            "pace": "COMBO",
            "loop": "COMBO",
            "end_card": "COMBO",
            "cover": "BOOLEAN",
            "paper": "COMBO",
        },
        ["VIDEO", "IMAGE"],
    ),
    "PaintsUndoFullSize": (
        {
            "frames": "IMAGE",
            "finished": "IMAGE",
            "longest_side": "INT",
            "order": "COMBO",
            "upscale_model": "UPSCALE_MODEL",
        },
        ["IMAGE"],
    ),
    "PaintsUndoStageSheet": (
        {
            "images": "IMAGE",
            "labels": "STRING",
            "operation_steps": "STRING",
            "fps": "FLOAT",
            "most": "INT",
            "columns": "INT",
            "title": "STRING",
            "size": "COMBO",
            "order": "COMBO",
        },
        ["IMAGE"],
    ),
    "PaintsUndoChangeMask": (
        {"frames": "IMAGE", "threshold": "FLOAT", "softness": "INT", "order": "COMBO"},
        ["MASK"],
    ),
}


@pytest.fixture(params=NODES, ids=lambda node: node.__name__)
def node(request):
    return request.param


def described(node):
    """Schema of a node, and its inputs and outputs by id."""
    schema = node.define_schema()
    return schema, {field.id: field for field in schema.inputs}, schema.outputs


def test_every_node_of_the_design_is_there_once():
    assert sorted(node.define_schema().node_id for node in NODES) == sorted(DESIGN)


def test_sockets_are_the_designs(node):
    schema, inputs, outputs = described(node)
    types, results = DESIGN[schema.node_id]
    assert {name: field.io_type for name, field in inputs.items()} == types
    assert [output.io_type for output in outputs] == results
    assert schema.category.startswith("PaintsUndo/")


def test_execute_takes_the_schemas_inputs(node):
    _, inputs, _ = described(node)
    parameters = inspect.signature(node.execute).parameters.values()
    named = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        assert named <= set(inputs)
    else:
        assert named == set(inputs)


def test_every_socket_has_a_tooltip_that_says_something(node):
    schema, inputs, outputs = described(node)
    assert len(schema.description) > 30
    for field in [*inputs.values(), *outputs]:
        assert field.tooltip is not None
        assert len(field.tooltip) > 15, field
    assert all(output.display_name for output in outputs)


def test_every_node_has_a_help_page_that_names_its_inputs(node):
    schema, inputs, _ = described(node)
    page = (ROOT / "nodes" / "web" / "docs" / f"{schema.node_id}.md").read_text(encoding="utf-8")
    assert all(re.search(rf"\b{name}\b", page) for name in inputs)


def test_the_host_can_describe_the_node_to_the_page(node):
    info = node.GET_NODE_INFO_V1()
    assert info["name"] == node.define_schema().node_id
