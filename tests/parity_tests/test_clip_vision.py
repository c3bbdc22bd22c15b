"""Any-aspect CLIP vision on the host's CLIP_VISION object against the original's numbers, and its strict loading."""

import json
from pathlib import Path

import comfy.clip_model
import comfy.clip_vision
import comfy.ops
import pytest
import torch
from paintsundo_pack.paintsundo_models.errors import CheckpointMismatchError, UnsupportedCheckpointError
from paintsundo_pack.paintsundo_models.host.clip_vision import (
    build_clip_vision,
    clip_vision_config,
    encode_any_aspect,
)

PART = "multi_frame.image_encoder"


def build(weights, config, dtype=None):
    return build_clip_vision(weights, config, Path("checkpoint"), dtype)


SIZES = ["80x128", "128x80", "96x112", "112x96"]


@pytest.fixture(scope="module")
def data(golden):
    return golden.golden("multi_frame_image_encoder")


@pytest.fixture
def weights(golden):
    return golden.seeded(PART)


@pytest.mark.parametrize("size", SIZES)
def test_encode_equals_the_reference(golden, data, weights, size):
    clip_vision = build(weights, golden.config(PART), torch.float32)
    with torch.inference_mode():
        tokens = encode_any_aspect(clip_vision, data[f"image_bhwc_01_{size}"])
    assert golden.relative_error(tokens, data[f"tokens_{size}"]) < 1e-5


def test_encode_with_half_precision_weights_stays_close(golden, data, weights):
    clip_vision = build(weights, golden.config(PART), torch.float16)
    assert {parameter.dtype for parameter in clip_vision.model.parameters()} == {torch.float16}
    with torch.inference_mode():
        tokens = encode_any_aspect(clip_vision, data["image_bhwc_01_80x128"])
    assert tokens.dtype == torch.float32
    assert golden.relative_error(tokens, data["tokens_80x128"]) < 2e-3


def test_encode_batch_equals_singles_and_ignores_alpha(golden, data, weights):
    clip_vision = build(weights, golden.config(PART))
    images = data["image_bhwc_01_80x128"]
    with_alpha = torch.cat([images, torch.rand_like(images[..., :1])], dim=-1)
    with torch.inference_mode():
        singles = torch.cat([encode_any_aspect(clip_vision, image[None]) for image in images])
        assert golden.relative_error(encode_any_aspect(clip_vision, with_alpha), singles) < 1e-5


def test_encode_rejects_a_clip_vision_without_class_token(golden, data, tmp_path):
    config = {
        **clip_vision_config(golden.seeded(PART), golden.config(PART)),
        "model_type": "siglip_vision_model",
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    siglip = comfy.clip_vision.ClipVisionModel(str(path))
    with pytest.raises(UnsupportedCheckpointError, match="class token"):
        encode_any_aspect(siglip, data["image_bhwc_01_80x128"])


def test_config_from_released_shapes_is_the_hosts_own_for_vit_h(golden):
    tensors = {
        name: torch.empty(shape, device="meta") for name, shape in golden.released()["tensors"][PART].items()
    }
    derived = clip_vision_config(tensors)
    with open(comfy.clip_vision.__file__.replace("clip_vision.py", "clip_vision_config_h.json")) as file:
        host = json.load(file)
    assert derived == {key: host[key] for key in derived}
    assert derived == clip_vision_config(tensors, golden.released()["configs"][PART])


def test_released_layout_matches_both_ways(golden):
    layout = golden.released()["tensors"][PART]
    config = clip_vision_config({name: torch.empty(shape, device="meta") for name, shape in layout.items()})
    model = comfy.clip_model.CLIPVisionModelProjection(
        config, torch.float16, "meta", comfy.ops.disable_weight_init
    )
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == layout


def test_config_takes_heads_and_activation_from_the_json_and_the_rest_from_shapes(golden, weights):
    stale = {**golden.config(PART), "hidden_act": "quick_gelu", "hidden_size": 7, "num_hidden_layers": 99}
    derived = clip_vision_config(weights, stale)
    assert (derived["num_attention_heads"], derived["hidden_act"]) == (4, "quick_gelu")
    assert (derived["hidden_size"], derived["num_hidden_layers"]) == (40, 2)


def test_load_ignores_position_ids(golden, weights):
    weights["vision_model.embeddings.position_ids"] = torch.arange(257)[None]
    build(weights, golden.config(PART))


def test_load_names_missing_and_unexpected_tensors(golden, weights):
    weights["vision_model.extra.weight"] = weights.pop("vision_model.post_layernorm.weight")
    with pytest.raises(CheckpointMismatchError, match=r"post_layernorm\.weight.*extra\.weight"):
        build(weights, golden.config(PART))


def test_load_names_misshaped_tensors(golden, weights):
    weights["vision_model.pre_layrnorm.weight"] = torch.ones(41)
    with pytest.raises(CheckpointMismatchError, match=r"pre_layrnorm\.weight"):
        build(weights, golden.config(PART))


def test_load_of_another_model_says_so(golden):
    with pytest.raises(UnsupportedCheckpointError, match="not a CLIP vision model"):
        build(golden.seeded("multi_frame.image_projection"), {})
