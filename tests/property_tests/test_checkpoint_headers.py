"""Checkpoints of any content are read, refused in a sentence, or marked in the list; nothing else is ever raised."""

import json
import struct
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.checkpoints import detection, host_names
from paintsundo_pack.paintsundo_models.checkpoints.files import Checkpoint, read_checkpoint
from paintsundo_pack.paintsundo_models.checkpoints.finding import find_checkpoints, trouble_with
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, SIGNATURES, SINGLE_FRAME
from paintsundo_pack.paintsundo_models.errors import CheckpointError

from tools.seeded_checkpoint import SMALL, listed_shapes

NAMES = sorted({name for signature in SIGNATURES for name in signature.tensors})
PREFIXES = st.sampled_from(["", "unet.", "vae.", "x.", "unet.unet.", "."])
KNOWN = st.builds(lambda prefix, name: prefix + name, PREFIXES, st.sampled_from(NAMES) | st.text(max_size=8))
SHAPES = st.lists(st.integers(0, 4), max_size=5)
PARTS = [
    f"{model}.{part}"
    for model, parts in (
        ("single_frame", ("unet", "vae", "text_encoder")),
        ("multi_frame", ("unet", "vae", "text_encoder", "image_encoder", "image_projection")),
    )
    for part in parts
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data_offsets", "dtype", "shape", "__metadata__"]) | KNOWN, inner, max_size=4
        )
    ),
    max_leaves=10,
)


def written(folder, header, more=0):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file = folder / "any.safetensors"
    file.write_bytes(struct.pack("<Q", len(text)) + text + bytes(more))
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("headers")


def look_at(file):
    """List the file, and read it as both models."""
    for kind in (SINGLE_FRAME, MULTI_FRAME):
        find_checkpoints([str(file.parent)], kind)
        trouble = trouble_with(file, kind)
        assert trouble is None or "\n" not in trouble
        with pytest.raises(CheckpointError) as refused:
            read_checkpoint(file, kind)
        assert "Traceback" not in str(refused.value)


@given(JSON)
def test_file_with_any_header_is_refused_in_our_words(folder, header):
    look_at(written(folder, header, 4))


@given(st.binary(max_size=60))
def test_file_of_any_bytes_is_refused_in_our_words(folder, content):
    file = folder / "any.safetensors"
    file.write_bytes(content)
    look_at(file)


@given(st.dictionaries(KNOWN.filter(bool), SHAPES, max_size=8))
def test_file_with_known_names_and_any_shapes_is_refused_in_our_words(folder, shapes):
    start, header = 0, {}
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, start + size]}
        start += size
    look_at(written(folder, header, start))


CONFIGS = st.dictionaries(
    st.sampled_from(
        ["num_attention_heads", "attention_head_dim", "hidden_act", "dim_head", "video_length", "hidden_size"]
    )
    | st.text(max_size=3),
    st.integers(-3, 70) | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=2),
    max_size=4,
)
READ = {
    "single_frame.unet": lambda t, c, unet: detection.single_frame_unet_config(t, c),
    "single_frame.vae": lambda t, c, unet: detection.image_vae_config(t),
    "single_frame.text_encoder": lambda t, c, unet: detection.text_config(t, c, SINGLE_FRAME, unet),
    "multi_frame.unet": lambda t, c, unet: detection.video_unet_params(t),
    "multi_frame.vae": lambda t, c, unet: detection.video_vae_params(t),
    "multi_frame.text_encoder": lambda t, c, unet: detection.text_config(t, c, MULTI_FRAME, unet),
    "multi_frame.image_projection": lambda t, c, unet: detection.projection_params(t, c),
    "multi_frame.image_encoder": lambda t, c, unet: detection.vision_config(t, c, unet),
}


def empty(shapes):
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


@settings(max_examples=25)
@pytest.mark.parametrize("part", READ)
@given(data=st.data())
def test_part_with_any_shapes_and_configs_describes_a_network_or_is_refused(part, data):
    shapes = listed_shapes(part, SMALL)
    other = f"{part.split('.')[0]}.{'image_projection' if part.endswith('image_encoder') else 'unet'}"
    beside = empty(listed_shapes(other, SMALL))
    names = data.draw(st.lists(st.sampled_from(sorted(shapes)), max_size=4))
    for name in names:
        if data.draw(st.booleans()):
            shapes.pop(name, None)
        else:
            shapes[name] = tuple(data.draw(st.lists(st.sampled_from([0, 1, 2, 32, 64, 70_000]), max_size=5)))
    configs = data.draw(CONFIGS)
    model = SINGLE_FRAME if part.startswith("single") else MULTI_FRAME
    checkpoint = Checkpoint(SimpleNamespace(name="x"), model, {}, {})
    try:
        with loading._reading(part, checkpoint):
            READ[part](empty(shapes), configs, beside)
    except CheckpointError as error:
        assert "\n" not in str(error)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_configs_of_any_content_give_valid_sizes_and_colours_or_none(config):
    config = {**config, "trained_sizes": config.get("a"), "latent_rgb_factors": config.get("b")}
    assert all(side % 64 == 0 for size in detection.trained_sizes(config) for side in size)
    colours = detection.preview_colours(config)
    assert colours is None or len(colours[0]) == 4


@given(st.dictionaries(KNOWN, st.just(torch.ones(2, 2, 1, 1)), max_size=8))
def test_names_of_the_host_are_translated_once(tensors):
    once = host_names.released(tensors)
    assert len(once) == len([name for name in tensors if name not in host_names.NOT_READ])
    if "encoder.down.0.block.0.norm1.weight" not in once:
        assert host_names.released(once).keys() == once.keys()
