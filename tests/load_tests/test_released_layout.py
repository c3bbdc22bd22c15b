"""The real checkpoints' names and shapes against our networks at full size, both ways, on the meta device: no memory is used."""

from pathlib import Path

import comfy.clip_vision
import comfy.diffusers_convert
import comfy.ops
import comfy.sd1_clip
import comfy.text_encoders.sd2_clip
import comfy.utils
import pytest
import torch
from comfy.ldm.models.autoencoder import AutoencoderKL
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.checkpoints import detection
from paintsundo_pack.paintsundo_models.checkpoints.files import Checkpoint
from paintsundo_pack.paintsundo_models.checkpoints.parts import (
    MULTI_FRAME,
    PARTS,
    SINGLE_FRAME,
    identify_part,
)
from paintsundo_pack.paintsundo_models.host.clip_vision import clip_vision_config
from paintsundo_pack.paintsundo_models.multi_frame.projection import ImageProjectionParams
from paintsundo_pack.paintsundo_models.multi_frame.vae import KEY_RENAMES, VideoVAEParams

NAMES = {SINGLE_FRAME: "single_frame", MULTI_FRAME: "multi_frame"}
META = torch.device("meta")


def shapes(tensors):
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def layout(golden):
    """{(kind, part): {tensor name: shape}} of the released files."""
    tensors = golden.released()["tensors"]
    return {
        (kind, part): {name: tuple(shape) for name, shape in tensors[f"{NAMES[kind]}.{part}"].items()}
        for kind in NAMES
        for part in PARTS[kind]
    }


@pytest.fixture(scope="module")
def released(layout):
    """{kind: Checkpoint} on the meta device, without any config.json."""
    return {
        kind: Checkpoint(
            Path("released"),
            kind,
            {
                part: {
                    n: torch.empty(s, dtype=torch.float16, device=META) for n, s in layout[kind, part].items()
                }
                for part in PARTS[kind]
            },
            {part: {} for part in PARTS[kind]},
        )
        for kind in NAMES
    }


def test_every_part_is_recognised(released):
    for kind, checkpoint in released.items():
        for part, tensors in checkpoint.parts.items():
            signature = identify_part(tensors)
            assert (signature.part, signature.kind or kind) == (part, kind)


def test_parameters_are_3_62_billion(layout):
    counts = {key: sum(torch.Size(s).numel() for s in part.values()) / 1e6 for key, part in layout.items()}
    assert {key: round(count) for key, count in counts.items()} == {
        (SINGLE_FRAME, "unet"): 862,
        (SINGLE_FRAME, "vae"): 84,
        (SINGLE_FRAME, "text_encoder"): 116,
        (MULTI_FRAME, "unet"): 1439,
        (MULTI_FRAME, "vae"): 100,
        (MULTI_FRAME, "text_encoder"): 340,
        (MULTI_FRAME, "image_encoder"): 632,
        (MULTI_FRAME, "image_projection"): 49,
    }
    assert sum(counts.values()) == pytest.approx(3620, abs=5)


def test_single_frame_unet(released, layout):
    with META:
        model = loading.single_frame_model(released[SINGLE_FRAME], torch.float16).model
    network = model.diffusion_model
    config = detection.single_frame_unet_config(released[SINGLE_FRAME].parts["unet"], {})
    assert (config["in_channels"], config["adm_in_channels"], config["num_heads"]) == (8, 256, 8)
    hosts_names = comfy.utils.unet_to_diffusers(config)
    expected = {hosts_names[name]: shape for name, shape in layout[SINGLE_FRAME, "unet"].items()}
    assert shapes(network.state_dict()) == expected
    assert network.dtype == torch.float16


def test_multi_frame_unet_with_image_projection(released, layout):
    with META:
        network = loading.multi_frame_model(released[MULTI_FRAME], torch.float16).model.diffusion_model
    projection = {f"image_proj.{n}": shape for n, shape in layout[MULTI_FRAME, "image_projection"].items()}
    assert shapes(network.state_dict()) == layout[MULTI_FRAME, "unet"] | projection
    assert (network.params.head_channels, network.params.context_dim) == (64, 1024)
    assert network.image_proj.params == ImageProjectionParams()


def test_image_vae(released, layout):
    vae = released[SINGLE_FRAME].parts["vae"]
    with META:
        network = AutoencoderKL(**detection.image_vae_config(vae))
    assert shapes(network.state_dict()) == shapes(comfy.diffusers_convert.convert_vae_state_dict(vae))


def test_video_vae(released, layout):
    with META:
        network = loading.video_vae(released[MULTI_FRAME], torch.float16).first_stage_model
    expected = {KEY_RENAMES.get(name, name): shape for name, shape in layout[MULTI_FRAME, "vae"].items()}
    assert shapes(network.state_dict()) == expected
    assert detection.video_vae_params(released[MULTI_FRAME].parts["vae"]) == VideoVAEParams()


@pytest.mark.parametrize(
    ("kind", "model_class", "name", "layers", "heads", "activation"),
    [
        (SINGLE_FRAME, comfy.sd1_clip.SD1ClipModel, "clip_l", 11, 12, "quick_gelu"),
        (MULTI_FRAME, comfy.text_encoders.sd2_clip.SD2ClipModel, "clip_h", 23, 16, "gelu"),
    ],
)
def test_text_encoder(kind, model_class, name, layers, heads, activation, released, layout):
    config = detection.text_config(
        released[kind].parts["text_encoder"], {}, kind, released[kind].parts["unet"]
    )
    assert (config["num_hidden_layers"], config["num_attention_heads"]) == (layers, heads)
    assert config["hidden_act"] == activation
    model = model_class(device=META, dtype=torch.float16, model_options={f"{name}_model_config": config})
    found = shapes(getattr(model, name).transformer.state_dict())
    del found["text_projection.weight"]  # for the pooled output, which neither model reads
    assert found == layout[kind, "text_encoder"]


def test_image_encoder(released, layout):
    parts = released[MULTI_FRAME].parts
    tensors = parts["image_encoder"]
    config = clip_vision_config(tensors, detection.vision_config(tensors, {}, parts["image_projection"]))
    assert config["num_attention_heads"] == 16
    network_class = comfy.clip_vision.IMAGE_ENCODERS[config["model_type"]]
    network = network_class(config, torch.float16, META, comfy.ops.manual_cast)
    assert shapes(network.state_dict()) == layout[MULTI_FRAME, "image_encoder"]


@pytest.mark.parametrize("kind", list(NAMES))
def test_configs_of_the_real_checkpoints_change_nothing(kind, released, golden):
    """The shapes give the values of config.json, but for in_channels of one part, which is wrong there and not used."""
    configs = golden.released()["configs"]
    parts = released[kind].parts

    def derived(use):
        own = {part: configs[f"{NAMES[kind]}.{part}"] if use else {} for part in PARTS[kind]}
        text = detection.text_config(parts["text_encoder"], own["text_encoder"], kind, parts["unet"])
        if kind == SINGLE_FRAME:
            return text, detection.single_frame_unet_config(parts["unet"], own["unet"])
        hints = detection.vision_config(
            parts["image_encoder"], own["image_encoder"], parts["image_projection"]
        )
        vision = clip_vision_config(parts["image_encoder"], hints)
        return text, detection.projection_params(parts["image_projection"], own["image_projection"]), vision

    assert derived(True) == derived(False)
