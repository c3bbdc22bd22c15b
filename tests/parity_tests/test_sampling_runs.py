"""Whole runs through the host's own sampling reproduce the original: from its noise to its pixels, float32 on the CPU."""

import comfy.sample
import comfy.samplers
import node_helpers
import numpy as np
import pytest
import torch
from paintsundo_pack.paintsundo_models import loading, schedule, segments
from paintsundo_pack.paintsundo_models.host.single_frame import OPERATION_STEP
from paintsundo_pack.paintsundo_models.multi_frame.ddim import sample_ddim
from paintsundo_pack.paintsundo_models.multi_frame.process import ScaledZeroSNRSampling
from paintsundo_pack.paintsundo_models.pictures.sizes import OWN_SIZE

RUN_TOLERANCE = 1e-3
SCALE = 0.18215


def with_values(cond, values):
    return node_helpers.conditioning_set_values([[cond, {}]], values)


@torch.inference_mode()
def test_keyframes_sampled_by_the_host_equal_golden(seeded_checkpoints, golden):
    model, _, vae = loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")
    data = golden.golden("single_frame_sampling")
    steps = data["operation_step"].tolist()
    values = {"concat_latent_image": data["concat_latent"] / SCALE, OPERATION_STEP: steps}
    noise = data["noise"].expand(len(steps), -1, -1, -1)
    latents = comfy.sample.sample(
        model,
        noise,
        int(data["steps"]),
        float(data["cfg"]),
        "dpmpp_2m",
        "karras",
        with_values(data["positive"], values),
        with_values(data["negative"], values),
        torch.zeros_like(noise),
    )
    # The host's sigma table is float32, and it starts from noise * sqrt(1 + sigma^2) where the original has
    # noise * sigma: 1e-5 of this run, within the tolerance of whole runs.
    assert golden.relative_error(latents * SCALE, data["latents_scaled"]) < RUN_TOLERANCE
    expected = ((data["keyframes_bchw_m11"] + 1) / 2).clamp(0, 1).movedim(1, -1)
    assert golden.relative_error(vae.decode(latents), expected) < RUN_TOLERANCE


@torch.inference_mode()
def test_segment_from_two_pictures_by_our_ddim_equals_golden(seeded_checkpoints, golden):
    model, _, vae, clip_vision = loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")
    data = golden.golden("multi_frame_sampling")
    start, end = golden.golden("multi_frame_vae")["images_bhwc_01"].split(1)
    positive, negative, latent, vae_of_pictures = segments.interpolation_conditioning(
        [[data["text_positive"], {}]],
        [[data["text_negative"], {}]],
        clip_vision,
        vae,
        start,
        end,
        int(data["fs"]),
        OWN_SIZE,
    )
    assert golden.relative_error(positive[0][1]["concat_latent_image"] * SCALE, data["concat_cond"]) < 1e-5
    drawn = iter(data["step_noise"])
    sampler = comfy.samplers.KSAMPLER(
        lambda *args, **kwargs: sample_ddim(*args, **kwargs, noise_sampler=lambda *_: next(drawn))
    )
    # The golden file starts behind the image projection, so its tokens stand in for the projected ones.
    contexts = iter([data["image_positive"], data["image_negative"]])
    model.model.diffusion_model.image_proj.forward = lambda tokens: next(contexts)
    latents = comfy.sample.sample_custom(
        model,
        data["noise"],
        float(data["cfg"]),
        sampler,
        model.get_model_object("model_sampling").trailing_sigmas(int(data["steps"])),
        positive,
        negative,
        latent["samples"],
    )
    assert golden.relative_error(latents * SCALE, data["latents_scaled"]) < RUN_TOLERANCE
    assert next(drawn, None) is None, "every step draws its noise once"
    expected = ((data["frames_bcthw_m11"] + 1) / 2).clamp(0, 1).movedim(1, -1)
    for decoded, bound in ((latents, RUN_TOLERANCE), (data["latents_scaled"] / SCALE, 1e-5)):
        assert golden.relative_error(vae_of_pictures.decode(decoded), expected) < bound


def test_single_frame_sigmas_equal_golden(seeded_checkpoints, golden):
    model, _, _ = loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")
    data = golden.golden("single_frame_schedule")
    sampling = model.get_model_object("model_sampling")
    assert golden.relative_error(sampling.sigmas, data["sigmas"]) < 1e-4
    for steps in (8, 50):
        sigmas = comfy.samplers.calculate_sigmas(sampling, "karras", steps)
        assert golden.relative_error(sigmas, data[f"karras_{steps}"]) < 1e-4


def test_multi_frame_schedule_equals_golden(golden):
    data = golden.golden("multi_frame_schedule")
    assert golden.relative_error(schedule.zero_snr_alphas_cumprod(), data["alphas_cumprod"]) < 1e-6
    assert golden.relative_error(schedule.clean_latent_scale(), data["scale_arr"]) < 1e-6
    for steps in (7, 16, 50):
        assert schedule.trailing_timesteps(steps) == data[f"trailing_{steps}"].flip(0).tolist()


def original_step(x_t, denoised, a, a_next, k, k_next, noise):
    """One eta = 1 step in exact arithmetic, written out from MODELS' formulas in float64."""
    x0 = k * denoised
    e = (x_t - np.sqrt(a) * x0) / np.sqrt(1 - a)
    s = np.sqrt((1 - a_next) / (1 - a) * (1 - a / a_next))
    return np.sqrt(a_next) * x0 * (k_next / k) + np.sqrt(max(1 - a_next - s**2, 0)) * e + s * noise


@pytest.mark.parametrize("steps", range(1, 101))
def test_ddim_equals_float64_reference_at_every_step_count(steps):
    """Against a denoiser known in closed form, so that only the sampler's arithmetic can be wrong."""
    sampling = ScaledZeroSNRSampling()
    target = torch.linspace(-1, 1, 64).reshape(1, 4, 1, 4, 4)

    class Denoiser:
        inner_model = None
        model_patcher = None

        def get_model_object(self, name):
            return sampling

        def __call__(self, x, sigma, **_):
            return 0.9 * target + 0.1 * (x / (1 + sigma.reshape(-1, 1, 1, 1, 1) ** 2) ** 0.5).tanh()

    denoiser = Denoiser()
    denoiser.inner_model = denoiser.model_patcher = denoiser
    generator = torch.Generator().manual_seed(steps)
    noise = torch.randn(target.shape, generator=generator)
    draws = [torch.randn(target.shape, generator=generator) for _ in range(steps)]
    used = iter(draws)
    sigmas = sampling.trailing_sigmas(steps)
    start = sampling.noise_scaling(sigmas[:1], noise, torch.zeros_like(noise), max_denoise=True)
    result = sample_ddim(denoiser, start, sigmas, disable=True, noise_sampler=lambda *_: next(used))

    alphas, scales = schedule.zero_snr_alphas_cumprod().numpy(), schedule.clean_latent_scale().numpy()
    x_t = noise.double().numpy()
    timesteps = [*schedule.trailing_timesteps(steps), 0]
    for t, t_next, drawn in zip(timesteps, timesteps[1:], draws, strict=False):
        a, k = alphas[t], scales[t]
        sigma = float(sampling.sigmas[t])
        x = x_t * np.sqrt(1 + (sigma * k) ** 2) / k
        denoised = 0.9 * target.double().numpy() + 0.1 * np.tanh(x / np.sqrt(1 + sigma**2))
        x_t = original_step(x_t, denoised, a, alphas[t_next], k, scales[t_next], drawn.double().numpy())
    assert torch.isfinite(result).all()
    assert np.linalg.norm(result.double().numpy() - x_t) / np.linalg.norm(x_t) < 1e-4
