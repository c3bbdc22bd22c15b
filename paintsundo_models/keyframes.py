"""Keyframes: the picture as it could have looked at given operation steps, made by the single-frame model."""

import comfy.samplers
import comfy.sd
import node_helpers
import torch
from torch import Tensor

from .checkpoints.parts import SINGLE_FRAME, SINGLE_FRAME_LOADER
from .host.encoding_cache import cached_encoding, picture_key
from .host.main_memory import require_room_for_frames
from .host.objects import Prompts, SingleFrameObjects
from .host.out_of_memory import OTHER_REMEDIES, BranchesApart, Stage, in_groups
from .host.pictures_vae import decode_whole, encode_whole
from .host.sampling import (
    Conditioning,
    SamplerSettings,
    batching_changes_results,
    encode_prompt,
    require_finite,
    sample_latent,
    scheduled_sigmas,
)
from .host.single_frame import OPERATION_STEP, TRAINED_SIZES, SingleFrameModel
from .host.text import check_clip
from .host.video_vae import PIXELS_PER_LATENT, VideoVAE
from .pictures.inputs import described, require_single_picture
from .pictures.resizing import resize_and_center_crop
from .pictures.sizes import keyframe_size, nearest_shape

KEYFRAMES_PER_BATCH = 8
"""Most keyframes sampled at once, to limit the memory of a long list; results do not depend on it."""

SAMPLING = Stage(
    "the single-frame MODEL was sampling the keyframes", f"Lower width and height. {OTHER_REMEDIES}"
)


def encode_picture(vae: comfy.sd.VAE, image: Tensor, width: int = 0, height: int = 0) -> Tensor:
    """Encode the finished picture at the keyframes' size: return its latent, (1, 4, h, w).

    Args:
        vae: VAE of the single-frame model.
        image: (1, H, W, C) in [0, 1].
        width: of the keyframes in pixels, a multiple of 64, or 0 to derive it (see pictures.sizes.keyframe_size). If both
            are 0 and the checkpoint names its trained sizes (host.single_frame.TRAINED_SIZES), the nearest of these is used.
        height: like width.

    Raises:
        ValueError: the VAE belongs to another model, there are several pictures, or a side is not a multiple of 64 or
            over 2048.
        NotEnoughMemoryError: memory does not suffice.
    """
    if isinstance(vae, VideoVAE):
        raise ValueError(
            f"This VAE is the multi-frame model's, for videos. Connect the VAE of the {SINGLE_FRAME_LOADER}."
        )
    if not hasattr(vae, "encode"):
        raise ValueError(
            f"vae is no VAE: {described(vae)} came. Connect the VAE of the {SINGLE_FRAME_LOADER}."
        )
    image = require_single_picture(image, "image, the finished picture,")
    sizes = getattr(vae, TRAINED_SIZES, ())
    if sizes and not width and not height:
        height, width = nearest_shape(image.shape[1], image.shape[2], sizes)
    else:
        width, height = keyframe_size(width, height, image.shape[2], image.shape[1])
    fitted = resize_and_center_crop(image, width, height)

    def encode() -> Tensor:
        return require_finite(
            encode_whole(vae, fitted), "while the single-frame VAE was encoding the picture"
        )

    return cached_encoding(vae, picture_key(fitted), encode)


def keyframe_conditioning(
    positive: Conditioning, negative: Conditioning, picture: Tensor, operation_steps: list[int]
) -> tuple[Conditioning, Conditioning, dict]:
    """Return both conditionings with picture and operation steps added, and an empty latent for each operation step.

    The latent's batch_index makes ComfyUI give all of them the same first noise, so that the keyframes fit together.

    Args:
        positive: CONDITIONING of the prompt.
        negative: CONDITIONING of the negative prompt.
        picture: latent from encode_picture, (1, 4, h, w).
        operation_steps: 0 to 999 each.
    """
    values = {"concat_latent_image": picture, OPERATION_STEP: list(operation_steps)}
    count = len(operation_steps)
    return (
        node_helpers.conditioning_set_values(positive, values),
        node_helpers.conditioning_set_values(negative, values),
        {"samples": torch.zeros(count, *picture.shape[1:]), "batch_index": [0] * count},
    )


def predict_keyframes(
    objects: SingleFrameObjects,
    image: Tensor,
    operation_steps: list[int],
    prompts: Prompts,
    settings: SamplerSettings,
    width: int = 0,
    height: int = 0,
) -> Tensor:
    """Return the keyframes at these operation steps, (N, height, width, 3) in [0, 1], in the order of the steps.

    A keyframe does not depend on the other operation steps of the call.

    Args:
        objects: MODEL, CLIP and VAE of the single-frame model.
        image: the finished picture, (1, H, W, C) in [0, 1].
        operation_steps: N numbers, 0 to 999 each.
        prompts: what the picture shows, and what it must not show.
        settings: of the sampler.
        width: see encode_picture.
        height: see encode_picture.

    Raises:
        ValueError: an object belongs to another model, or encode_picture refuses an input.
        OverflowedNumbersError: the result contains inf or NaN.
        NotEnoughMemoryError: memory does not suffice for one keyframe at a time.
    """
    model, vae = objects.model, objects.vae
    # Check the class, not the process: people may change the process with a ModelSampling node.
    if not isinstance(getattr(model, "model", None), SingleFrameModel):
        raise ValueError(
            f"This MODEL is not the single-frame one. Connect the MODEL of the {SINGLE_FRAME_LOADER}."
        )
    check_clip(objects.clip, SINGLE_FRAME, SINGLE_FRAME_LOADER)
    positive, negative = (
        encode_prompt(objects.clip, prompts.positive),
        encode_prompt(objects.clip, prompts.negative),
    )
    picture = encode_picture(vae, image, width, height)
    height, width = (PIXELS_PER_LATENT * side for side in picture.shape[-2:])
    require_room_for_frames(
        len(operation_steps), height, width, "Lower width and height, or take fewer operation steps."
    )
    sampler = comfy.samplers.sampler_object(settings.sampler_name)
    sigmas = scheduled_sigmas(model, settings.sampler_name, settings.scheduler, settings.steps)
    branches = BranchesApart(SAMPLING)

    def sample(start: int, stop: int) -> Tensor:
        cond, uncond, latent = keyframe_conditioning(positive, negative, picture, operation_steps[start:stop])
        return sample_latent(
            model, latent, cond, uncond, sampler, sigmas, settings.cfg, settings.seed, branches
        )

    most = 1 if batching_changes_results(settings.sampler_name) else KEYFRAMES_PER_BATCH
    samples = torch.cat(in_groups(SAMPLING, len(operation_steps), most, sample))
    require_finite(samples, "while the single-frame MODEL was sampling")
    keyframes = decode_whole(vae, samples, KEYFRAMES_PER_BATCH)
    return require_finite(keyframes, "while the single-frame VAE was decoding")
