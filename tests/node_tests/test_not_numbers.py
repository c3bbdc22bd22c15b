"""Values that are no numbers, and objects that are no pictures or models, are found where they enter, in one sentence."""

import re

import pytest
import torch
from comfy_api.latest._io import HiddenHolder
from paintsundo_pack.nodes.arrange_keyframes import ArrangeKeyframes, KeyframePairs
from paintsundo_pack.nodes.assemble_video import AssembleVideo
from paintsundo_pack.nodes.enlarge_frames import FullSize
from paintsundo_pack.nodes.mask_changes import ChangeMask
from paintsundo_pack.paintsundo_models import keyframes, loading, segments
from paintsundo_pack.paintsundo_models.errors import OverflowedNumbersError
from paintsundo_pack.paintsundo_models.host.objects import MultiFrameObjects, Prompts, SingleFrameObjects
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings, encode_prompt

import nodes

GOOD = torch.rand(2, 64, 64, 3)
ONE = GOOD[:1]
ARRANGE = {"include_finished": True, "include_canvas": True}


TILES = {
    "VAEDecode": {},
    "VAEDecodeTiled": {"tile_size": 64, "overlap": 16, "temporal_size": 64, "temporal_overlap": 8},
}


def run(node, **inputs):
    """Run a node with its defaults and these inputs."""
    schema = node.define_schema()
    widgets = {field.id: getattr(field, "default", None) for field in schema.inputs if not field.optional}
    given = {
        name: value for name, value in {**widgets, **inputs}.items() if value is not None or name in inputs
    }
    if schema.is_input_list:
        given = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    hidden = HiddenHolder("1", {}, {}, None, None, None)
    node = type(node.__name__, (node,), {"hidden": hidden})
    return node.execute(**given)


PLACES = [
    (ArrangeKeyframes, "finished", {"keyframes": GOOD, **ARRANGE}),
    (ArrangeKeyframes, "keyframes", {"finished": ONE, **ARRANGE}),
    (KeyframePairs, "keyframes", {"seed": 1}),
    (AssembleVideo, "frames", {}),
    (AssembleVideo, "keyframes", {"frames": GOOD}),
    (AssembleVideo, "finished", {"frames": GOOD}),
    (ChangeMask, "frames", {}),
    (FullSize, "finished", {"frames": GOOD}),
]


@pytest.mark.parametrize(("node", "name", "others"), PLACES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_picture_with_a_value_that_is_no_number_is_refused_by_name(node, name, others, value):
    picture = (ONE if name == "finished" else GOOD).clone()
    picture[-1, 3, 5, 1] = value
    with pytest.raises(
        ValueError, match=f"^{name} holds values that are infinite or not a number.*half precision"
    ):
        run(node, **others, **{name: picture})


@pytest.mark.parametrize(("node", "name", "others"), PLACES)
def test_nothing_on_a_socket_is_said_in_words(node, name, others):
    if node is AssembleVideo and name != "frames":
        others = {**others, name: [None]}
    with pytest.raises(
        ValueError, match=f"^{name} is no picture: nothing came. Connect an output of the type IMAGE"
    ):
        run(node, **{name: None, **others})


def test_the_segment_with_the_bad_value_is_counted():
    bad = GOOD.clone()
    bad[0, 0, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="^frames, number 2 of the list, holds values"):
        run(AssembleVideo, frames=[GOOD, bad, GOOD])


@pytest.mark.parametrize("cfg", [float("nan"), float("inf")])
def test_cfg_that_is_no_number_is_refused(cfg):
    with pytest.raises(ValueError, match="cfg is .* Write one from 0 to 30"):
        SamplerSettings(1, 2, cfg, "euler", "karras")


@pytest.fixture(scope="module")
def single(seeded_checkpoints):
    return loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")


@pytest.fixture(scope="module")
def multi(seeded_checkpoints):
    return loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")


@pytest.mark.parametrize("decoder", ["VAEDecode", "VAEDecodeTiled"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@torch.inference_mode()
def test_comfyuis_own_nodes_decode_no_black_frame(single, multi, decoder, value):
    for vae, shape in ((single.vae, (1, 4, 8, 8)), (multi.vae, (1, 4, 16, 8, 8))):
        latent = torch.zeros(shape)
        node = nodes.NODE_CLASS_MAPPINGS[decoder]()
        (pictures,) = node.decode(vae=vae, samples={"samples": latent}, **TILES[decoder])
        assert pictures.isfinite().all()
        latent[..., 3, 3] = value
        with pytest.raises(OverflowedNumbersError, match="VAE was decoding, or in the latent before: "):
            node.decode(vae=vae, samples={"samples": latent}, **TILES[decoder])


def spoil(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(float("nan"))


SETTINGS = SamplerSettings(1, 1, 1.0, "euler", "simple")
PROMPTS = Prompts("a", "b")


@torch.inference_mode()
def test_missing_objects_are_named(single, multi):
    for objects, said in (
        (SingleFrameObjects(None, single.clip, single.vae), "MODEL is not the single-frame one"),
        (SingleFrameObjects(single.model, None, single.vae), "clip is no CLIP: nothing came"),
        (SingleFrameObjects(single.model, single.clip, None), "vae is no VAE: nothing came"),
    ):
        with pytest.raises(ValueError, match=said):
            keyframes.predict_keyframes(objects, ONE, [400], PROMPTS, SETTINGS)
    for objects, said in (
        (
            MultiFrameObjects(None, multi.clip, multi.vae, multi.clip_vision),
            "MODEL is not the multi-frame one",
        ),
        (MultiFrameObjects(multi.model, None, multi.vae, multi.clip_vision), "clip is no CLIP: nothing came"),
        (
            MultiFrameObjects(multi.model, multi.clip, None, multi.clip_vision),
            "VAE is not the multi-frame model's",
        ),
        (
            MultiFrameObjects(multi.model, multi.clip, multi.vae, None),
            "clip_vision is no CLIP_VISION: nothing",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            segments.interpolate(objects, (ONE, ONE), PROMPTS, SETTINGS)


@torch.inference_mode()
def test_damaged_encoders_are_named_and_not_the_model(single, multi):
    spoil(single.clip.cond_stage_model)
    with pytest.raises(
        OverflowedNumbersError, match=re.compile("while the CLIP was encoding the prompt.*damaged")
    ):
        encode_prompt(single.clip, "another prompt")
    spoil(single.vae.first_stage_model)
    with pytest.raises(OverflowedNumbersError, match="while the single-frame VAE was encoding"):
        keyframes.encode_picture(single.vae, ONE)
    spoil(multi.clip_vision.model)
    with pytest.raises(OverflowedNumbersError, match="while the CLIP_VISION was encoding"):
        segments.interpolation_conditioning([], [], multi.clip_vision, multi.vae, ONE, ONE)
