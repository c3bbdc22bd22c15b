"""The cases that are compared: our networks and those of the original program, with the same full-size weights and inputs.

This module imports the checkout's modules, which compare_original.py makes importable first.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import comfy.utils
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import Timestep
from diffusers import UNet2DConditionModel  # pyright: ignore[reportMissingImports, reportPrivateImportUsage]
from diffusers.models.attention_processor import AttnProcessor2_0  # pyright: ignore[reportMissingImports]
from diffusers_helper.cat_cond import unet_add_concat_conds  # pyright: ignore[reportMissingImports]
from diffusers_helper.code_cond import unet_add_coded_conds  # pyright: ignore[reportMissingImports]
from diffusers_vdm.unet import UNet3DModel  # pyright: ignore[reportMissingImports]
from diffusers_vdm.vae import VideoAutoencoderKL  # pyright: ignore[reportMissingImports]
from einops import rearrange
from torch import Tensor

from paintsundo_models.checkpoints.detection import single_frame_unet_config
from paintsundo_models.constants import DEFAULT_FS, FRAMES_PER_SEGMENT
from paintsundo_models.host.text import MAX_TOKENS
from paintsundo_models.multi_frame.vae import KEY_RENAMES
from tools.seeded_checkpoint import FULL_SIZE

from .count import META, Networks
from .settings import DEFAULT_OPERATION_STEPS
from .weights import quick_part


class Case(NamedTuple):
    """One computation, by the original program and by us."""

    name: str
    original: Callable[[], Tensor]
    ours: Callable[[], Tensor]


def released_config(part: str) -> dict[str, Any]:
    """Return the config.json of a part."""
    return json.loads(FULL_SIZE.read_text(encoding="utf-8"))["configs"][part]


def keyframe_cases(side: int) -> Iterator[Case]:
    """Yield a step of the single-frame model. The original runs the two guidance branches in turn, ComfyUI together.

    Args:
        side: height and width of the latents.
    """
    tensors, config = quick_part("single_frame.unet", FULL_SIZE), released_config("single_frame.unet")
    with META:
        theirs: Any = UNet2DConditionModel.from_config(config)
        unet_add_concat_conds(unet=theirs, new_channels=4)
        unet_add_coded_conds(unet=theirs, added_number_count=1)
    theirs.load_state_dict(tensors, assign=True)
    theirs.eval().set_attn_processor(AttnProcessor2_0())
    names = comfy.utils.unet_to_diffusers(single_frame_unet_config(tensors, config))
    ours = Networks.of(FULL_SIZE, torch.float32).keyframe_unet
    ours.load_state_dict({names[name]: tensor for name, tensor in tensors.items()}, assign=True)

    generator = torch.Generator().manual_seed(0)
    count, operation_steps = len(DEFAULT_OPERATION_STEPS), torch.tensor(DEFAULT_OPERATION_STEPS)
    x = torch.randn(count, 4, side, side, generator=generator)
    picture = torch.randn(1, 4, side, side, generator=generator)
    prompts = torch.randn(2, 1, MAX_TOKENS, config["cross_attention_dim"], generator=generator)
    prompts = prompts.repeat(1, count, 1, 1)
    t, t_of_ours = torch.full((count,), 500), torch.full((2 * count,), 500)
    conds = {"concat_conds": picture, "coded_conds": operation_steps}
    x_of_ours = torch.cat([x, picture.expand_as(x)], dim=1).repeat(2, 1, 1, 1)
    y = Timestep(256)(operation_steps.float()).repeat(2, 1)

    def original() -> Tensor:
        branches = [
            theirs(x, t, return_dict=False, encoder_hidden_states=prompt, cross_attention_kwargs=conds)[0]
            for prompt in prompts
        ]
        return torch.cat(branches)

    def own() -> Tensor:
        return ours(x_of_ours, t_of_ours, context=prompts.flatten(0, 1), y=y)

    yield Case(f"keyframe step ({count} keyframes, +/-), {side}x{side}", original, own)


def video_decode_cases(side: int) -> Iterator[Case]:
    """Yield the decoding of a segment, with and without the reference pictures' features.

    The original keeps these features from the encoding; our VAE computes them again.

    Args:
        side: height and width of the other cases' latents. Decoding takes much longer, so its latents have half of it.
    """
    side //= 2
    tensors = quick_part("multi_frame.vae", FULL_SIZE)
    with META:
        theirs: Any = VideoAutoencoderKL(**released_config("multi_frame.vae"))
    theirs.load_state_dict(tensors, assign=True)
    theirs.eval()
    ours = Networks.of(FULL_SIZE, torch.float32).video_vae
    ours.load_state_dict(
        {KEY_RENAMES.get(name, name): tensor for name, tensor in tensors.items()}, assign=True
    )

    generator = torch.Generator().manual_seed(1)
    latent = torch.randn(1, 4, FRAMES_PER_SEGMENT, side, side, generator=generator)
    pictures = torch.rand(1, 3, 2, 8 * side, 8 * side, generator=generator) * 2 - 1
    folded, folded_pictures = (rearrange(x, "b c t h w -> (b t) c h w") for x in (latent, pictures))
    _, kept = theirs.encode(folded_pictures, return_hidden_states=True)
    kept = [rearrange(feature, "(b t) c h w -> b c t h w", t=2) for feature in kept]
    features = ours.reference_features(pictures)

    def original() -> Tensor:
        frames = theirs.decode(folded, ref_context=kept, timesteps=FRAMES_PER_SEGMENT)
        return rearrange(frames, "(b t) c h w -> b c t h w", t=FRAMES_PER_SEGMENT)

    yield Case(
        f"video decode, ours with the pictures' features, {side}x{side}",
        original,
        lambda: ours.decode(latent, pictures),
    )
    yield Case(
        f"video decode, features given to both, {side}x{side}",
        original,
        lambda: ours.decoder(latent, features),
    )


def segment_cases(side: int) -> Iterator[Case]:
    """Yield one evaluation of the 3D UNet.

    Args:
        side: height and width of the latents.
    """
    tensors, config = quick_part("multi_frame.unet", FULL_SIZE), released_config("multi_frame.unet")
    with META:
        theirs: Any = UNet3DModel(**config)
    theirs.load_state_dict(tensors, assign=True)
    theirs.eval()
    ours = Networks.of(FULL_SIZE, torch.float32).segment_unet
    projection = quick_part("multi_frame.image_projection", FULL_SIZE)
    prefixed = {f"image_proj.{name}": tensor for name, tensor in projection.items()}
    ours.load_state_dict({**tensors, **prefixed}, assign=True)

    generator = torch.Generator().manual_seed(2)
    x, concat = torch.randn(2, 1, 4, FRAMES_PER_SEGMENT, side, side, generator=generator)
    width, queries = config["context_dim"], ours.image_proj.params.num_queries
    text = torch.randn(1, MAX_TOKENS, width, generator=generator)
    image = torch.randn(1, FRAMES_PER_SEGMENT, queries, width, generator=generator)
    t, fs = torch.tensor([500]), torch.tensor([DEFAULT_FS])
    x_of_ours = torch.cat([x, concat], dim=1)

    def original() -> Tensor:
        return theirs(x, t, context_text=text, context_img=image, concat_cond=concat, fs=fs)

    yield Case(
        f"3D UNet, one forward, {side}x{side}",
        original,
        lambda: ours(x_of_ours, t, context=text, image_context=image, fs=fs),
    )
