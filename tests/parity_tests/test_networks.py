"""The loaders' objects reproduce the original's numbers, each part by itself, float32 on the CPU."""

import comfy.model_management as mm
import pytest
import torch
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.multi_frame.attention import FRAMES
from paintsundo_pack.paintsundo_models.multi_frame.windows import TEMPORAL_WINDOWS, TemporalWindow

PART_TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def single_frame(seeded_checkpoints):
    return loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")


@pytest.fixture(scope="module")
def multi_frame(seeded_checkpoints):
    return loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")


@torch.inference_mode()
def test_single_frame_unet_forward_equals_golden(single_frame, golden):
    data = golden.golden("single_frame_unet")
    model = single_frame[0].model
    concat = data["concat_latent"].expand(3, -1, -1, -1)
    y = model.encode_adm(operation_step=data["operation_step"].tolist())
    x = torch.cat([data["sample"], concat], dim=1)
    out = model.diffusion_model(x, data["timestep"], context=data["encoder_hidden_states"], y=y)
    assert golden.relative_error(out, data["output"]) < PART_TOLERANCE


@pytest.mark.parametrize("window", [None, *TEMPORAL_WINDOWS])
@torch.inference_mode()
def test_multi_frame_unet_forward_equals_golden(multi_frame, golden, window):
    data = golden.golden("multi_frame_unet")
    network = multi_frame[0].model.diffusion_model
    options = {"patches": {"attn1_patch": [TemporalWindow(window)]}} if window else {}
    x = torch.cat([data["x"], data["concat_cond"]], dim=1)
    out = network(
        x,
        data["timestep"],
        context=data["context_text"],
        image_context=data["context_img"],
        fs=data["fs"],
        transformer_options=options,
    )
    expected = data[f"output_window_{window}" if window else "output"]
    assert golden.relative_error(out, expected) < PART_TOLERANCE
    assert FRAMES not in options, "the caller's options must stay as they were"


@pytest.mark.parametrize("kind", ["single_frame", "multi_frame"])
@torch.inference_mode()
def test_text_encoder_equals_golden(request, golden, kind):
    data = golden.golden(f"{kind}_text_encoder")
    clip = request.getfixturevalue(kind)[1]
    key = {"single_frame": "l", "multi_frame": "h"}[kind]
    tokens = {key: [[(int(i), 1.0) for i in row] for row in data["input_ids"]]}
    for row, expected in zip(tokens[key], data["last_hidden_state"], strict=True):
        cond = clip.encode_from_tokens({key: [row]})
        assert golden.relative_error(cond[0], expected) < PART_TOLERANCE


@torch.inference_mode()
def test_image_vae_equals_golden(single_frame, golden):
    data = golden.golden("single_frame_vae")
    vae = single_frame[2]
    latent = vae.encode(data["image_bhwc_01"]) * 0.18215
    assert golden.relative_error(latent, data["latent_scaled"]) < PART_TOLERANCE
    decoded = vae.decode(data["latent_scaled"] / 0.18215)
    expected = ((data["decoded_bchw_m11"] + 1) / 2).clamp(0, 1).movedim(1, -1)
    assert golden.relative_error(decoded, expected) < PART_TOLERANCE


@torch.inference_mode()
def test_video_vae_decode_with_pictures_equals_golden(multi_frame, golden):
    data = golden.golden("multi_frame_vae")
    pictures = data["images_bhwc_01"]
    vae = multi_frame[2].with_references(pictures[:1], pictures[1:])
    latent = vae.encode(pictures) * 0.18215
    assert golden.relative_error(latent, data["latents_scaled_bcthw"]) < PART_TOLERANCE
    decoded = vae.decode(data["video_latent_scaled"] / 0.18215)
    expected = ((data["decoded_bcthw_m11"] + 1) / 2).clamp(0, 1).movedim(1, -1)
    assert golden.relative_error(decoded, expected) < PART_TOLERANCE


@torch.inference_mode()
def test_image_projection_in_model_equals_golden(multi_frame, golden):
    data = golden.golden("multi_frame_image_projection")
    mm.load_models_gpu([multi_frame[0]])
    out = multi_frame[0].model.diffusion_model.project_images(data["tokens"])
    assert golden.relative_error(out, data["context"]) < PART_TOLERANCE
