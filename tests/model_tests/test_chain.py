"""Keyframes and segments as the nodes make them: small seeded models, float32 on the CPU."""

import copy
import re

import comfy.sample
import pytest
import torch
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete
from paintsundo_pack.nodes.multi_frame_sampling import Guidance, TemporalWindowNode
from paintsundo_pack.paintsundo_models import keyframes, loading, segments
from paintsundo_pack.paintsundo_models.errors import OverflowedNumbersError
from paintsundo_pack.paintsundo_models.host.objects import Prompts
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings, encode_prompt
from paintsundo_pack.paintsundo_models.operation_steps import parse_operation_steps

STEPS = [0, 200, 400, 600, 800, 999]


@pytest.fixture(scope="module")
def single_frame(seeded_checkpoints):
    return loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")


@pytest.fixture(scope="module")
def multi_frame(seeded_checkpoints):
    return loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")


@pytest.fixture(scope="module")
def pictures():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(3, 80, 100, 3, generator=generator)


@pytest.fixture(scope="module")
def squares(pictures):
    """The pictures cut to the smallest size, for tests in which the shape does not matter."""
    return pictures[:, :64, :64]


def predict(single_frame, picture, steps, sampler="dpmpp_2m", **kwargs):
    settings = SamplerSettings(seed=7, steps=3, cfg=3.0, sampler_name=sampler, scheduler="karras")
    return keyframes.predict_keyframes(
        single_frame,
        picture,
        steps,
        Prompts("1girl, \\(x\\)", "bad"),
        settings,
        width=128,
        height=64,
        **kwargs,
    )


def segment(multi_frame, start, end, sampler="paintsundo_ddim", scheduler="trailing", seed=5, model=None):
    settings = SamplerSettings(seed=seed, steps=2, cfg=7.5, sampler_name=sampler, scheduler=scheduler)
    return segments.interpolate(
        multi_frame._replace(model=model or multi_frame.model),
        (start, end),
        Prompts("1girl", ""),
        settings,
        resolution="size of the pictures",
    ).frames


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral"])
@torch.inference_mode()
def test_batch_of_steps_equals_single_runs(single_frame, pictures, sampler):
    together = predict(single_frame, pictures[:1], STEPS, sampler)
    assert together.shape == (6, 64, 128, 3)
    for step, keyframe in zip(STEPS, together, strict=True):
        alone = predict(single_frame, pictures[:1], [step], sampler)[0]
        assert (keyframe - alone).abs().max() < 1e-4
    assert (together[0] - together[-1]).abs().max() > 1e-2, "the operation step must matter"


@torch.inference_mode()
def test_more_steps_than_a_batch_equal_single_runs(single_frame, pictures):
    steps = list(range(0, 1000, 111))
    together = predict(single_frame, pictures[:1], steps)
    assert len(together) == len(steps) > keyframes.KEYFRAMES_PER_BATCH
    assert (together[-1] - predict(single_frame, pictures[:1], steps[-1:])[0]).abs().max() < 1e-4


@torch.inference_mode()
def test_segment_does_not_depend_on_what_ran_before(multi_frame, pictures):
    first = segment(multi_frame, pictures[:1], pictures[1:2])
    assert first.shape == (16, 64, 128, 3)
    other = segment(multi_frame, pictures[1:2], pictures[2:], seed=6)
    again = segment(multi_frame, pictures[:1], pictures[1:2])
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("sampler", "scheduler"), [("euler", "simple"), ("dpmpp_2m", "trailing"), ("euler_ancestral", "karras")]
)
@torch.inference_mode()
def test_segment_with_the_hosts_samplers_is_finite(multi_frame, squares, sampler, scheduler):
    frames = segment(multi_frame, squares[:1], squares[1:2], sampler, scheduler)
    assert frames.isfinite().all()
    assert frames.std() > 1e-3


@torch.inference_mode()
def test_guidance_and_window_change_the_segment_and_leave_their_input_alone(multi_frame, squares):
    plain = segment(multi_frame, squares[:1], squares[1:2])
    model = multi_frame[0]
    harsh = Guidance.execute(model, rescale=0.0, start=0.0, end=1.0).args[0]
    late = Guidance.execute(model, rescale=0.7, start=0.6, end=1.0).args[0]
    rolled = TemporalWindowNode.execute(model, "roll").args[0]
    for changed in (harsh, late, rolled):
        assert (segment(multi_frame, squares[:1], squares[1:2], model=changed) - plain).abs().max() > 1e-3
    same = Guidance.execute(harsh, rescale=0.7, start=0.0, end=1.0).args[0]
    assert torch.equal(segment(multi_frame, squares[:1], squares[1:2], model=same), plain)
    assert torch.equal(segment(multi_frame, squares[:1], squares[1:2]), plain)


@torch.inference_mode()
def test_guidance_over_no_interval_equals_cfg_1(multi_frame, squares):
    """Outside the interval of guidance the negative branch does not run."""
    model, clip, vae, clip_vision = multi_frame
    off = Guidance.execute(model, rescale=0.0, start=1.0, end=1.0).args[0]
    settings = [SamplerSettings(5, 2, cfg, "euler", "simple") for cfg in (7.5, 1.0)]
    frames = [
        segments.interpolate(
            multi_frame._replace(model=m),
            (squares[:1], squares[1:2]),
            Prompts("1girl", ""),
            s,
            resolution="size of the pictures",
        ).frames
        for m, s in zip((off, model), settings, strict=True)
    ]
    assert (frames[0] - frames[1]).abs().max() < 1e-4


@torch.inference_mode()
def test_tiled_decode_of_one_tile_equals_plain_decode(multi_frame, pictures):
    vae = multi_frame[2].with_references(pictures[:1, :64, :64], pictures[1:2, :64, :64])
    latent = torch.randn(1, 4, 16, 8, 8, generator=torch.Generator().manual_seed(2))
    plain = vae.decode(latent)
    tiled = vae.decode_tiled(latent, tile_x=16, tile_y=16, overlap=4, tile_t=16, overlap_t=4)
    assert (plain - tiled).abs().max() < 1e-4


@torch.inference_mode()
def test_tiled_decode_gives_each_tile_its_part_of_the_pictures(multi_frame, pictures):
    generator = torch.Generator().manual_seed(3)
    latent = torch.randn(1, 4, 16, 8, 16, generator=generator)
    start, end = torch.rand(2, 1, 64, 128, 3, generator=generator)
    own = multi_frame[2]
    tiled = own.with_references(start, end).decode_tiled(latent, 8, 8, 2, 16, 4)
    left = own.with_references(start[:, :, :64], end[:, :, :64]).decode(latent[..., :8])
    assert (tiled[..., :48, :] - left[..., :48, :]).abs().max() < 1e-4, "where the first tile stands alone"
    other = own.with_references(end, start).decode_tiled(latent, 8, 8, 2, 16, 4)
    assert (tiled - other).abs().max() > 1e-3


@torch.inference_mode()
def test_tiled_encode_of_one_tile_equals_plain_encode(multi_frame, pictures):
    picture = pictures[:1, :64, :64]
    tiled = multi_frame[2].encode_tiled(picture, tile_x=64, tile_y=64, overlap=16)
    assert torch.equal(tiled, multi_frame[2].encode(picture))


@torch.inference_mode()
def test_vae_without_pictures_decodes(multi_frame):
    frames = multi_frame[2].decode(torch.randn(1, 4, 5, 8, 8))
    assert frames.shape == (1, 5, 64, 64, 3)
    assert frames.isfinite().all()


def test_conditioning_takes_one_picture_and_its_own_vae(single_frame, multi_frame, pictures):
    model, clip, vae = single_frame
    with pytest.raises(ValueError, match="batch of 3"):
        predict(single_frame, pictures, [5])
    with pytest.raises(ValueError, match=r"shape \(80, 100, 3\).*\(batch, height, width, channels\)"):
        predict(single_frame, pictures[0], [5])
    with pytest.raises(ValueError, match="Multi-Frame Loader"):
        segments.interpolation_conditioning([], [], multi_frame[3], vae, pictures[:1], pictures[1:2])
    with pytest.raises(ValueError, match="Multi-Frame Loader"):
        segments.trailing_sigmas(model, 5)
    with pytest.raises(ValueError, match="Multi-Frame Loader"):
        Guidance.execute(model, rescale=0.7, start=0.0, end=1.0)


def test_trailing_denoise_too_small_names_the_smallest_that_works(multi_frame):
    model = multi_frame[0]
    with pytest.raises(ValueError, match=r"steps 50 and denoise 0.04 .* 1250 steps.*is 0.05; raise denoise"):
        segments.trailing_sigmas(model, 50, 0.04)
    for steps in (50, 7, 333, 1000):
        with pytest.raises(ValueError, match="smallest denoise") as raised:
            segments.trailing_sigmas(model, steps, 0.004)
        smallest = float(re.search(r"steps is ([\d.]+);", str(raised.value))[1])
        assert len(segments.trailing_sigmas(model, steps, smallest)) == steps + 1


@pytest.mark.parametrize("sampler", ["dpm_2", "uni_pc", "heun"])
@torch.inference_mode()
def test_keyframe_equals_the_hosts_own_sampler(single_frame, pictures, sampler):
    model, clip, vae = single_frame
    picture = keyframes.encode_picture(vae, pictures[:1], 128, 64)
    cond, uncond, latent = keyframes.keyframe_conditioning(
        encode_prompt(clip, "1girl, \\(x\\)"), encode_prompt(clip, "bad"), picture, [400]
    )
    noise = comfy.sample.prepare_noise(latent["samples"], 7, latent["batch_index"])
    samples = comfy.sample.sample(
        model, noise, 3, 3.0, sampler, "karras", cond, uncond, latent["samples"], seed=7
    )
    ours = predict(single_frame, pictures[:1], [400], sampler)
    assert (ours - vae.decode(samples)).abs().max() < 1e-4


@torch.inference_mode()
def test_keyframes_refuse_the_objects_of_another_model(single_frame, multi_frame, pictures):
    for wrong, said in (
        ({"model": multi_frame.model}, "MODEL is not the single-frame one.*Single-Frame Loader"),
        ({"clip": multi_frame.clip}, "CLIP is the multi-frame model's.*CLIP of the PaintsUndo Single-Frame"),
        ({"vae": multi_frame.vae}, "VAE is the multi-frame model's.*Single-Frame Loader"),
    ):
        with pytest.raises(ValueError, match=said):
            predict(single_frame._replace(**wrong), pictures[:1], [400])


@torch.inference_mode()
def test_hosts_own_sampler_refuses_the_prompt_of_the_other_clip(single_frame, multi_frame, pictures):
    """The conditioning nodes get no MODEL, so the fault is found when sampling starts."""
    model, _, vae = single_frame
    foreign = encode_prompt(multi_frame[1], "1girl")
    picture = keyframes.encode_picture(vae, pictures[:1], 128, 64)
    cond, uncond, latent = keyframes.keyframe_conditioning(foreign, foreign, picture, [400])
    noise = comfy.sample.prepare_noise(latent["samples"], 7, latent["batch_index"])
    with pytest.raises(
        ValueError, match="tokens of 48 numbers.*reads tokens of 32.*CLIP of the PaintsUndo Single-Frame"
    ):
        comfy.sample.sample(model, noise, 1, 3.0, "euler", "karras", cond, uncond, latent["samples"], seed=7)


@pytest.mark.parametrize("scheduler", ["trailing", "karras"])
@torch.inference_mode()
def test_segment_refuses_the_objects_of_another_model(single_frame, multi_frame, squares, scheduler):
    for wrong, said in (
        ({"model": single_frame.model}, "MODEL is not the multi-frame one.*Multi-Frame Loader"),
        ({"clip": single_frame.clip}, "CLIP is the single-frame model's.*CLIP of the PaintsUndo Multi"),
        (
            {"vae": single_frame.vae},
            "VAE is not the multi-frame model's.*Multi-Frame Loader",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            segment(multi_frame._replace(**wrong), squares[:1], squares[1:2], scheduler=scheduler)


@torch.inference_mode()
def test_keyframes_take_a_model_whose_process_a_node_changed(single_frame, pictures):
    (patched,) = ModelSamplingDiscrete().patch(single_frame.model, "v_prediction", False)
    changed = predict(single_frame._replace(model=patched), pictures[:1], [400])
    assert (changed - predict(single_frame, pictures[:1], [400])).abs().max() > 1e-3


def overflowing(model, vae, place):
    """Return the two objects, one of them changed to give NaN."""
    if place == "sampling":
        model = model.clone()
        model.set_model_sampler_post_cfg_function(lambda args: args["denoised"] * float("nan"))
        return model, vae
    vae = copy.copy(vae)
    vae.process_output = lambda image: image.mul_(float("nan"))
    return model, vae


@pytest.mark.parametrize("place", ["sampling", "decoding"])
@torch.inference_mode()
def test_overflowed_numbers_are_named_in_place_of_black_pictures(single_frame, multi_frame, squares, place):
    said = f"{place}: .*weight_dtype bf16 or fp32.*--fp32-vae"
    model, vae = overflowing(single_frame[0], single_frame[2], place)
    with pytest.raises(OverflowedNumbersError, match=f"single-frame.*{said}"):
        predict(single_frame._replace(model=model, vae=vae), squares[:1], [400])
    model, vae = overflowing(multi_frame[0], multi_frame[2], place)
    with pytest.raises(OverflowedNumbersError, match=f"(multi-frame|video).*{said}"):
        segment(multi_frame._replace(model=model, vae=vae), squares[:1], squares[1:2])


@pytest.mark.parametrize(
    ("text", "steps"), [("999, 0;5\n5", [0, 5, 999]), (" 400 ", [400]), ("400，600、 999", [400, 600, 999])]
)
def test_operation_steps_are_parsed_sorted_and_unique(text, steps):
    assert parse_operation_steps(text) == steps


@pytest.mark.parametrize("text", ["", " , ", "1000", "-1", "4.5", "a, 5"])
def test_operation_steps_out_of_range_are_refused(text):
    with pytest.raises(ValueError, match="operation step"):
        parse_operation_steps(text)
