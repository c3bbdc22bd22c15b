"""Bundles of values that are passed together: the objects of one checkpoint, and a pair of prompts."""

from typing import NamedTuple

import comfy.clip_vision
import comfy.model_patcher
import comfy.sd


class SingleFrameObjects(NamedTuple):
    """The outputs of the single-frame loader."""

    model: comfy.model_patcher.ModelPatcher
    clip: comfy.sd.CLIP
    vae: comfy.sd.VAE


class MultiFrameObjects(NamedTuple):
    """The outputs of the multi-frame loader. `vae` may be any VAE that people connect, and is checked where it is used."""

    model: comfy.model_patcher.ModelPatcher
    clip: comfy.sd.CLIP
    vae: comfy.sd.VAE
    clip_vision: comfy.clip_vision.ClipVisionModel


class Prompts(NamedTuple):
    """A prompt and a negative prompt."""

    positive: str
    negative: str
