"""What other nodes can do to a conditioning or a latent between ours and the sampler, and what the models say to it."""

import comfy.sample
import node_helpers
import pytest
import torch
from paintsundo_pack.paintsundo_models import keyframes, loading, segments
from paintsundo_pack.paintsundo_models.host.sampling import encode_prompt

from nodes import EmptyLatentImage, KSampler, RepeatLatentBatch


@pytest.fixture(scope="module")
def single(seeded_checkpoints):
    return loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")


@pytest.fixture(scope="module")
def multi(seeded_checkpoints):
    return loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")


def sample(model, positive, negative, latent):
    noise = comfy.sample.prepare_noise(latent, 1)
    return comfy.sample.sample(model, noise, 1, 2.0, "euler", "simple", positive, negative, latent)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("kept", "said"), [(slice(1, 2), "2 operation steps and the latent 1 pictures"), (slice(0, 2), None)]
)
def test_a_part_of_the_latent_is_refused_because_its_step_is_unknown(single, kept, said):
    prompt = encode_prompt(single.clip, "")
    picture = keyframes.encode_picture(single.vae, torch.rand(1, 64, 64, 3), 64, 64)
    positive, negative, latent = keyframes.keyframe_conditioning(prompt, prompt, picture, [400, 800])
    samples = latent["samples"][kept]
    if said is None:
        assert sample(single.model, positive, negative, samples).shape == samples.shape
        return
    with pytest.raises(ValueError, match=said):
        sample(single.model, positive, negative, samples)


@torch.inference_mode()
def test_every_step_several_times_is_accepted_as_repeat_latent_batch_makes_it(single):
    prompt = encode_prompt(single.clip, "")
    picture = keyframes.encode_picture(single.vae, torch.rand(1, 64, 64, 3), 64, 64)
    positive, negative, latent = keyframes.keyframe_conditioning(prompt, prompt, picture, [400, 800])
    (repeated,) = RepeatLatentBatch().repeat(latent, 2)
    assert sample(single.model, positive, negative, repeated["samples"]).shape == (4, 4, 8, 8)


LATENTS_OF_OTHERS = {
    "16 channels": (2, 16, 8, 8),
    "16 channels, frames": (1, 16, 16, 8, 8),
    "1 frame": (1, 4, 1, 8, 8),
    "audio": (1, 64, 100),
    "6 dimensions": (1, 4, 16, 8, 8, 1),
}


@torch.inference_mode()
@pytest.mark.parametrize("shape", LATENTS_OF_OTHERS.values(), ids=LATENTS_OF_OTHERS)
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_latents_of_other_models_are_refused_by_ksampler_with_our_words(request, kind, shape):
    latent = {"samples": torch.ones(shape)}  # of an empty one ComfyUI itself corrects the channels
    objects, pair = request.getfixturevalue(kind), torch.rand(2, 64, 64, 3).split(1)
    prompt = encode_prompt(objects.clip, "")
    if kind == "single":
        picture = keyframes.encode_picture(objects.vae, pair[0], 64, 64)
        positive, negative, _ = keyframes.keyframe_conditioning(prompt, prompt, picture, [400, 800])
        said = r"The latent is \[.*, and this model works on \(pictures, 4, height, width\)\. Use the latent of Keyframe"
    else:
        positive, negative, *_ = segments.interpolation_conditioning(
            prompt, prompt, objects.clip_vision, objects.vae, *pair, resolution="size of the pictures"
        )
        said = (
            r"The latent is \[.*, and this model works on \[1, 4, 16, 8, 8\].*Use the latent of Interpolation"
        )
    with pytest.raises(ValueError, match=said):
        KSampler().sample(objects.model, 1, 1, 2.0, "euler", "simple", positive, negative, latent)


@torch.inference_mode()
def test_empty_latent_image_is_refused_by_the_multi_frame_model(multi):
    prompt, pair = encode_prompt(multi.clip, ""), torch.rand(2, 64, 64, 3).split(1)
    positive, negative, *_ = segments.interpolation_conditioning(
        prompt, prompt, multi.clip_vision, multi.vae, *pair, resolution="size of the pictures"
    )
    (latent,) = EmptyLatentImage().generate(64, 64, 1)
    with pytest.raises(ValueError, match=r"The latent is \[1, 4, 1, 8, 8\].*latent of Interpolation"):
        KSampler().sample(multi.model, 1, 1, 2.0, "euler", "simple", positive, negative, latent)


@torch.inference_mode()
def test_a_prompt_without_the_picture_is_refused_by_the_single_frame_model(single):
    prompt = encode_prompt(single.clip, "")
    picture = keyframes.encode_picture(single.vae, torch.rand(1, 64, 64, 3), 64, 64)
    positive, _, latent = keyframes.keyframe_conditioning(prompt, prompt, picture, [400])
    with pytest.raises(ValueError, match="no operation step. Put Keyframe Conditioning"):
        sample(single.model, positive, prompt, latent["samples"])


@torch.inference_mode()
def test_what_does_not_fit_a_segment_is_refused_by_the_multi_frame_model(multi):
    prompt = encode_prompt(multi.clip, "")
    pair = torch.rand(2, 64, 64, 3).split(1)
    positive, negative, latent, _ = segments.interpolation_conditioning(
        prompt, prompt, multi.clip_vision, multi.vae, *pair, resolution="size of the pictures"
    )
    with_control = node_helpers.conditioning_set_values(positive, {"control": object()})
    one_frame = node_helpers.conditioning_set_values(
        positive, {"concat_latent_image": torch.zeros(1, 4, 8, 8)}
    )
    for conditioning, samples, said in (
        (with_control, latent["samples"], "ControlNet.*not on segments"),
        (one_frame, latent["samples"], "reads 16 frames: another node has replaced them"),
        (positive, latent["samples"][:, :, :1], "latent of Interpolation Conditioning"),
        (prompt, latent["samples"], "carries no pictures"),
    ):
        with pytest.raises(ValueError, match=said):
            multi.model.model.extra_conds(
                **conditioning[0][1], cross_attn=conditioning[0][0], noise=samples, device=torch.device("cpu")
            )


def merged(model, other, strength, strength_model):
    """The MODEL that a merging node of the host makes; the node calls add_patches for each weight, which takes long."""
    mixed = model.clone()
    mixed.add_patches(other.get_key_patches("diffusion_model."), strength, strength_model)
    return mixed


@torch.inference_mode()
@pytest.mark.parametrize(("strength", "strength_model"), [(0.5, 0.5), (1.0, 1.0)], ids=["simple", "add"])
def test_our_two_models_cannot_be_merged_and_two_of_a_kind_can(single, multi, strength, strength_model):
    prompt = encode_prompt(single.clip, "")
    picture = keyframes.encode_picture(single.vae, torch.rand(1, 64, 64, 3), 64, 64)
    positive, negative, latent = keyframes.keyframe_conditioning(prompt, prompt, picture, [400])
    same = merged(single.model, single.model, strength, strength_model)
    assert sample(same, positive, negative, latent["samples"]).isfinite().all()
    pair = torch.rand(2, 64, 64, 3).split(1)
    prompt = encode_prompt(multi.clip, "")
    *segment, segment_latent, _ = segments.interpolation_conditioning(
        prompt, prompt, multi.clip_vision, multi.vae, *pair, resolution="size of the pictures"
    )
    for mixed, conditionings, samples in (
        (merged(single.model, multi.model, strength, strength_model), (positive, negative), latent),
        (merged(multi.model, single.model, strength, strength_model), segment, segment_latent),
    ):
        with pytest.raises(ValueError, match="mixed a model of another kind into this one"):
            sample(mixed, *conditionings, samples["samples"])


@torch.inference_mode()
def test_a_difference_of_sd15_models_can_be_added_though_its_input_layer_is_smaller(single):
    prompt = encode_prompt(single.clip, "")
    picture = keyframes.encode_picture(single.vae, torch.rand(1, 64, 64, 3), 64, 64)
    conditioned = keyframes.keyframe_conditioning(prompt, prompt, picture, [400])
    name = "diffusion_model.input_blocks.0.0.weight"
    patches = single.model.get_key_patches("diffusion_model.")
    weight, convert = patches[name][0]
    patches[name] = [(weight[:, :4], convert)]
    added, mixed = single.model.clone(), single.model.clone()
    added.add_patches(patches, 0.1, 1.0)
    mixed.add_patches(patches, 0.1, 0.9)
    assert sample(added, conditioned[0], conditioned[1], conditioned[2]["samples"]).isfinite().all()
    with pytest.raises(
        ValueError, match=r"input_blocks.0.0.weight is \[32, 4, 3, 3\] there and \[32, 8, 3, 3\]"
    ):
        sample(mixed, conditioned[0], conditioned[1], conditioned[2]["samples"])


@torch.inference_mode()
def test_a_segment_that_a_node_cuts_while_it_is_sampled_is_refused(multi):
    from comfy_extras.nodes_context_windows import ContextWindowsManualNode

    prompt = encode_prompt(multi.clip, "")
    pair = torch.rand(2, 64, 64, 3).split(1)
    positive, negative, latent, _ = segments.interpolation_conditioning(
        prompt, prompt, multi.clip_vision, multi.vae, *pair, resolution="size of the pictures"
    )
    cut = ContextWindowsManualNode.execute(
        multi.model, 8, 0, "standard_static", 1, False, "pyramid", 2
    ).result[0]
    with pytest.raises(ValueError, match="cut the segment to 8 frames, and this model reads 16"):
        sample(cut, positive, negative, latent["samples"])
