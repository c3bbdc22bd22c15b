"""The host's objects that one checkpoint becomes, bundled, and the prompts that go with them."""

from typing import NamedTuple

import comfy.clip_vision
import comfy.model_patcher
import comfy.sd


class SingleFrameObjects(NamedTuple):
    """What the single-frame loader makes."""

    model: comfy.model_patcher.ModelPatcher
    clip: comfy.sd.CLIP
    vae: comfy.sd.VAE


class MultiFrameObjects(NamedTuple):
    """What the multi-frame loader makes; `vae` is checked where it is used, because people can connect any VAE."""

    model: comfy.model_patcher.ModelPatcher
    clip: comfy.sd.CLIP
    vae: comfy.sd.VAE
    clip_vision: comfy.clip_vision.ClipVisionModel


class Prompts(NamedTuple):
    """What a result shall show, and what it shall not."""

    positive: str
    negative: str
