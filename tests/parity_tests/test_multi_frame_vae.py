"""The video VAE against the original's numbers, and what must not change them."""

import comfy.latent_formats
import comfy.model_management
import comfy.model_patcher
import comfy.ops
import pytest
import torch
from paintsundo_pack.paintsundo_models.multi_frame import vae as video_vae
from paintsundo_pack.paintsundo_models.multi_frame.slices import SMALLEST, USUAL, Slices, per_frames

from benchmarks import live_memory

PART = "multi_frame.vae"
LATENT_SCALE = comfy.latent_formats.SD15().scale_factor


def params(config):
    return video_vae.VideoVAEParams(
        ch=config["ch"],
        ch_mult=tuple(config["ch_mult"]),
        num_res_blocks=config["num_res_blocks"],
        z_channels=config["z_channels"],
        in_channels=config["in_channels"],
        out_channels=config["out_ch"],
    )


def renamed(names):
    return {video_vae.KEY_RENAMES.get(name, name): value for name, value in names.items()}


def build(golden, dtype=torch.float32, operations=comfy.ops.disable_weight_init):
    model = video_vae.VideoAutoencoder(params(golden.config(PART)), dtype=dtype, operations=operations)
    model.load_state_dict(renamed(golden.seeded(PART)), strict=True)
    return model.eval()


@pytest.fixture(scope="module")
def vae(golden):
    return build(golden)


@pytest.fixture(scope="module")
def data(golden):
    tensors = golden.golden("multi_frame_vae")
    return {
        "references": tensors["images_bhwc_01"].movedim(-1, 0)[None] * 2 - 1,
        "latents": tensors["latents_scaled_bcthw"] / LATENT_SCALE,
        "video_latent": tensors["video_latent_scaled"] / LATENT_SCALE,
        "decoded": tensors["decoded_bcthw_m11"],
        "hidden": {level: tensors[f"encoder_hidden_{level}"] for level in (2, 3)},
    }


@pytest.fixture(scope="module")
def small(data):
    """References and a latent of the same picture area, cut small: (1, 3, 2, 16, 24) and (1, 4, 5, 2, 3)."""
    return data["references"][..., :16, :24], data["video_latent"][:, :, :5, :2, :3]


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.inference_mode():
        yield


def test_encode_two_pictures_equals_the_reference(vae, data, golden):
    assert golden.relative_error(vae.encode(data["references"]), data["latents"]) < 1e-5


def test_reference_features_equal_the_reference(vae, data, golden):
    features = vae.reference_features(data["references"])
    for level, expected in data["hidden"].items():
        assert golden.relative_error(features[level], expected) < 1e-5


def test_decode_with_references_equals_the_reference(vae, data, golden):
    decoded = vae.decode(data["video_latent"], data["references"])
    assert golden.relative_error(decoded, data["decoded"]) < 1e-5


def test_released_layout_matches_both_ways(golden):
    layout = golden.released()
    model = video_vae.VideoAutoencoder(
        params(layout["configs"][PART]), device="meta", operations=comfy.ops.disable_weight_init
    )
    ours = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    assert ours == renamed(layout["tensors"][PART])


def test_defaults_are_the_released_sizes(golden):
    assert params(golden.released()["configs"][PART]) == video_vae.VideoVAEParams()


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("with_references", [True, False])
def test_decode_any_number_of_frames_gives_that_many(vae, small, frames, with_references):
    references, latent = small
    decoded = vae.decode(latent[:, :, :frames], references if with_references else None)
    assert decoded.shape == (1, 3, frames, 16, 24)
    assert decoded.isfinite().all()


def test_decode_without_references_applies_post_quant_conv_and_nothing_of_the_pictures(vae, small, golden):
    references, latent = small
    plain = vae.decode(latent)
    by_hand = vae.decoder(per_frames([vae.post_quant_conv], latent), None)
    assert torch.equal(plain, by_hand)
    assert golden.relative_error(plain, vae.decode(latent, references)) > 0.1


@pytest.mark.parametrize(
    "slices", [Slices(1), Slices(2), Slices(16), Slices(3, 2), Slices(4, 16, True), Slices(5, 500), SMALLEST]
)
@pytest.mark.parametrize("with_references", [True, False])
def test_slices_change_nothing_but_rounding(vae, small, golden, slices, with_references):
    references, latent = small[0] if with_references else None, small[1]
    before = latent.clone()
    expected = vae.decode(latent, references)
    assert golden.relative_error(vae.decode(latent, references, slices), expected) < 1e-5
    assert torch.equal(latent, before)


def test_smallest_slices_hold_a_third_less():
    """Counted on the meta device with the released sizes: 16 frames of 384x448."""
    with torch.device("meta"):
        full_size = video_vae.VideoAutoencoder(video_vae.VideoVAEParams(), dtype=torch.float16).eval()
        latent = torch.empty(1, 4, 16, 56, 48, dtype=torch.float16)
        references = torch.empty(1, 3, 2, 448, 384, dtype=torch.float16)
    with torch.inference_mode():
        usual, smallest = (
            live_memory.counted(lambda slices=slices: full_size.decode(latent, references, slices)).peak
            for slices in (USUAL, SMALLEST)
        )
    assert smallest < 0.7 * usual, f"{smallest / 1e9:.2f} GB and {usual / 1e9:.2f} GB"


def test_decode_batch_equals_singles(vae, small, golden):
    references, latent = small
    latents = torch.cat([latent, latent.flip(2)])
    pictures = torch.cat([references, references.flip(2)])
    batch = vae.decode(latents, pictures)
    singles = torch.cat([vae.decode(latents[i : i + 1], pictures[i : i + 1]) for i in range(2)])
    assert golden.relative_error(batch, singles) < 1e-5


def test_decode_batch_shares_one_pair_of_references(vae, small, golden):
    references, latent = small
    latents = torch.cat([latent, latent.flip(2)])
    shared = vae.decode(latents, references)
    assert golden.relative_error(shared, vae.decode(latents, references.repeat(2, 1, 1, 1, 1))) < 1e-5


def test_encode_and_decode_leave_their_inputs_alone(vae, small):
    references, latent = small
    before = references.clone(), latent.clone()
    vae.encode(references)
    vae.decode(latent, references)
    assert torch.equal(references, before[0])
    assert torch.equal(latent, before[1])


# The bounds are 1.6 times the largest error of eight sets of seeded weights, each with the golden pictures, with noise and
# with smooth pictures, decoded and encoded: 3.8e-3 in float16, 3.0e-2 in bfloat16. The golden weights have at most half of it.
@pytest.mark.parametrize(
    ("dtype", "operations", "tolerance"),
    [
        (torch.float16, comfy.ops.disable_weight_init, 6e-3),
        (torch.bfloat16, comfy.ops.manual_cast, 5e-2),
    ],
)
def test_half_precision_stays_close(vae, small, golden, dtype, operations, tolerance):
    references, latent = small[0], small[1][:, :, :2]  # half precision is slow on a CPU
    half = build(golden, dtype, operations)
    decoded = half.decode(latent.to(dtype), references)
    assert decoded.dtype == dtype
    assert golden.relative_error(decoded, vae.decode(latent, references)) < tolerance
    encoded = half.encode(references.to(dtype))
    assert golden.relative_error(encoded, vae.encode(references)) < tolerance


def test_half_precision_weights_are_cast_to_a_float32_input(vae, small, golden):
    references, latent = small
    half = build(golden, torch.float16, comfy.ops.manual_cast)
    decoded = half.decode(latent, references)
    assert decoded.dtype == torch.float32
    assert golden.relative_error(decoded, vae.decode(latent, references)) < 2e-3


def test_partial_load_equals_full_load(vae, small, golden):
    references, latent = small
    device = torch.device("cpu")
    patcher = comfy.model_patcher.ModelPatcher(build(golden), load_device=device, offload_device=device)
    patcher.patch_model(device_to=device, lowvram_model_memory=1)
    assert patcher.model.decoder.conv_out.conv.comfy_cast_weights
    assert (
        golden.relative_error(patcher.model.decode(latent, references), vae.decode(latent, references)) < 1e-6
    )


def test_decode_stops_when_interrupted(vae, small):
    references, latent = small
    comfy.model_management.interrupt_current_processing(True)
    try:
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            vae.decode(latent, references)
    finally:
        comfy.model_management.interrupt_current_processing(False)
