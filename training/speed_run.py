"""Samples held-out pictures with many settings, in this process, and scores what comes out against true states."""

import argparse
import time
from collections.abc import Iterator

import comfy.samplers
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from paintsundo_models import keyframes, loading, segments
from paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from paintsundo_models.constants import (
    DEFAULT_KEYFRAME_CFG,
    DEFAULT_KEYFRAME_NEGATIVE,
    DEFAULT_SEGMENT_CFG,
    DEFAULT_SEGMENT_PROMPT,
)
from paintsundo_models.host.folders import checkpoint_path, register_folder
from paintsundo_models.host.model_options import with_guidance
from paintsundo_models.host.objects import Prompts
from paintsundo_models.host.out_of_memory import BranchesApart
from paintsundo_models.host.sampling import SamplerSettings, encode_prompt, sample_latent

from .evaluation import KEYFRAME_STEPS, PSNR_MOST, score_keyframes
from .evaluation_run import held_out_pictures, pairs_of_segments
from .segments import segment_steps
from .sequences import ProceduralSequences
from .speed_scores import GUIDED, HALF, KEYFRAMES, SEGMENTS, UNGUIDED, Run, RunFile, Setting

DDIM, EULER, DPM = segments.ORIGINAL_SAMPLER, "euler", "dpmpp_2m"
FEW = {"seeds": 1, "pictures": 12}  # settings that are slow, or that differ from others in one point only
DEFAULT_KEYFRAMES = Setting(KEYFRAMES, DPM, 50, GUIDED, **FEW)
DEFAULT_SEGMENTS = Setting(SEGMENTS, DDIM, 50, GUIDED, **FEW)
FAST_KEYFRAMES, FAST_SEGMENTS = Setting(KEYFRAMES, DPM, 20, GUIDED), Setting(SEGMENTS, DPM, 16, HALF)
REFERENCES = {
    KEYFRAMES: (DEFAULT_KEYFRAMES, FAST_KEYFRAMES),
    SEGMENTS: (DEFAULT_SEGMENTS, FAST_SEGMENTS),
}
"""What a setting must not be worse than: the nodes' defaults, and the fast workflow."""

SETTINGS = (
    *(Setting(SEGMENTS, DPM, steps, HALF) for steps in (4, 6, 8)),
    FAST_SEGMENTS,
    *(Setting(KEYFRAMES, sampler, steps, GUIDED) for sampler in (DPM, EULER) for steps in (6, 8, 10)),
    FAST_KEYFRAMES,
    *(Setting(SEGMENTS, sampler, 4, UNGUIDED) for sampler in (DPM, EULER)),
    *(Setting(KEYFRAMES, sampler, 4, GUIDED, seeds=1) for sampler in (DPM, EULER)),
    *(Setting(SEGMENTS, sampler, 8, HALF, **FEW) for sampler in (DDIM, EULER)),
    *(Setting(SEGMENTS, DPM, 8, guidance, **FEW) for guidance in (GUIDED, UNGUIDED)),
    Setting(SEGMENTS, DPM, 10, HALF, **FEW),
    *(Setting(KEYFRAMES, sampler, 8, UNGUIDED, **FEW) for sampler in (DPM, EULER)),
    *(DEFAULT_SEGMENTS, DEFAULT_KEYFRAMES),
    Setting(SEGMENTS, DDIM, 25, GUIDED, **FEW),
    *(Setting(KEYFRAMES, sampler, 25, GUIDED, **FEW) for sampler in (DPM, EULER)),
)
CHOSEN = {
    KEYFRAMES: Setting(KEYFRAMES, EULER, 6, GUIDED),
    SEGMENTS: Setting(SEGMENTS, EULER, 4, UNGUIDED),
}
"""What the demo's workflow takes. Four keyframe steps cost nothing either, but were measured with one seed only."""

FIRST_SEED = 1000


class Maker:
    """Samples with both models of a checkpoint."""

    def __init__(self, single: str, multi: str) -> None:
        self.single = loading.load_single_frame(checkpoint_path(single, SINGLE_FRAME))
        self.multi = loading.load_multi_frame(checkpoint_path(multi, MULTI_FRAME))
        half, full = ((0.0, share) for share in (0.5, 1.0))
        self.models = {
            HALF: with_guidance(self.multi.model, 0.7, *half),
            GUIDED: with_guidance(self.multi.model, 0.7, *full),
            UNGUIDED: self.multi.model,
        }

    def keyframes(self, setting: Setting, seed: int, truth: np.ndarray) -> tuple[dict[str, float], float]:
        """Make the keyframes of truth[0] at KEYFRAME_STEPS; return their scores and the processor time."""
        cfg = 1.0 if setting.guidance == UNGUIDED else DEFAULT_KEYFRAME_CFG
        sampling = SamplerSettings(seed, setting.steps, cfg, setting.sampler, "karras")
        prompts = Prompts("", DEFAULT_KEYFRAME_NEGATIVE)
        started = time.process_time()
        made = keyframes.predict_keyframes(
            self.single, _images(truth[:1]), list(KEYFRAME_STEPS), prompts, sampling
        )
        seconds = time.process_time() - started
        pictures = (made * 255).round().to(torch.uint8).numpy()
        scores = score_keyframes(0, pictures, truth)
        return {
            "middle": scores.middle_error,
            "finished": PSNR_MOST - scores.finished_psnr,
            "canvas": 1 - scores.canvas_brightness,
        }, seconds

    def segment(
        self, setting: Setting, seed: int, conditioning: tuple, truth: Tensor
    ) -> tuple[dict[str, float], float]:
        """Make the latents of a segment; return their scores against those of the true states, and the processor time.

        Args:
            setting: how to sample.
            seed: of the noise.
            conditioning: the first three results of interpolation_conditioning.
            truth: latents of the true states, (1, 4, 16, h, w).
        """
        positive, negative, latent = conditioning
        model = self.models[setting.guidance]
        cfg = 1.0 if setting.guidance == UNGUIDED else DEFAULT_SEGMENT_CFG
        is_original = setting.sampler == DDIM
        sampler = segments.ddim_sampler() if is_original else comfy.samplers.sampler_object(setting.sampler)
        sigmas = segments.trailing_sigmas(model, setting.steps)
        branches = BranchesApart(segments.SAMPLING)
        started = time.process_time()
        made = sample_latent(model, latent, positive, negative, sampler, sigmas, cfg, seed, branches)
        seconds = time.process_time() - started
        errors = (made - truth).abs().mean(dim=(0, 1, 3, 4))
        return {"between": float(errors[1:-1].mean()), "ends": float(errors[[0, -1]].mean())}, seconds

    def conditioning(self, truth: np.ndarray) -> tuple[tuple, Tensor]:
        """Return what a segment's sampling needs, and the latents of its true states."""
        images, objects = _images(truth), self.multi
        positive, negative = (encode_prompt(objects.clip, text) for text in (DEFAULT_SEGMENT_PROMPT, ""))
        *made, _ = segments.interpolation_conditioning(
            positive, negative, objects.clip_vision, objects.vae, images[:1], images[-1:]
        )
        return tuple(made), objects.vae.encode(images)  # pyright: ignore[reportReturnType]


def _images(states: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(states)).float() / 255


def smallest(source: ProceduralSequences, count: int) -> list[int]:
    """Return the first pictures of the smallest size, because a run with them takes least time.

    Raises:
        ValueError: there are fewer than `count`.
    """
    areas = [height * width for height, width in source.sizes]
    first, between = areas.index(min(areas)), len(areas)
    found = list(range(first, len(source), between))[:count]
    if len(found) < count:
        raise ValueError(f"There are {len(found)} held-out pictures of this size, and {count} are asked for.")
    return found


def planned(pictures: int, seeds: int) -> Iterator[tuple[int, int, list[Setting]]]:
    """Yield (seed's number, picture's number, settings): all pictures with the first seed, then all with the second.

    The settings that few pictures are made with come behind the first seed of the others.
    """
    for is_few, seed in [(False, 0), (True, 0), *((False, seed) for seed in range(1, seeds))]:
        wanted = [s for s in SETTINGS if (s.pictures == FEW["pictures"]) == is_few and seed < s.seeds]
        for number in range(pictures):
            yield seed, number, [setting for setting in wanted if number < setting.pictures]


@torch.inference_mode()
def evaluate(options: argparse.Namespace) -> RunFile:
    """Measure all settings; each run is kept as soon as it is made.

    Raises:
        ValueError: the options ask for more pictures than there are.
    """
    register_folder()
    source, file = held_out_pictures(), RunFile(options.runs)
    indices, pairs = smallest(source, options.pictures), pairs_of_segments(options.pictures)
    maker = Maker(options.single, options.multi)
    for seed, number, settings in tqdm(list(planned(options.pictures, options.seeds)), unit="picture"):
        index = indices[number]
        wanted = [setting for setting in settings if not file.has(setting, index, seed)]
        given: tuple[tuple, Tensor] | None = None
        if any(setting.kind == SEGMENTS for setting in wanted):
            given = maker.conditioning(source.states(index, segment_steps(*pairs[number])))
        for setting in wanted:
            of_noise = FIRST_SEED * (seed + 1) + index
            if given is not None and setting.kind == SEGMENTS:
                scores, seconds = maker.segment(setting, of_noise, *given)
            else:
                scores, seconds = maker.keyframes(setting, of_noise, source.states(index, KEYFRAME_STEPS))
            file.add(Run(setting.name, index, seed, scores, seconds))
    return file
