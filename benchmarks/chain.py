"""Measurement of the whole chain from picture to video file, through the functions that the nodes call."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import comfy.model_management as mm
import torch
from torch import Tensor

from paintsundo_models import constants
from paintsundo_models.host.objects import MultiFrameObjects, SingleFrameObjects
from paintsundo_models.host.sampling import SamplerSettings
from paintsundo_models.keyframes import predict_keyframes
from paintsundo_models.pictures.inputs import white_canvas
from paintsundo_models.pictures.resizing import resize_and_center_crop
from paintsundo_models.pictures.sizes import NEAREST_TRAINED, OWN_SIZE
from paintsundo_models.segments import ORIGINAL_SAMPLER, ORIGINAL_SCHEDULER, interpolate
from paintsundo_models.video import files as video_files
from paintsundo_models.video import timeline
from paintsundo_models.video.assembly import AssemblySettings, assemble

from .measure import Meter, weight_bytes
from .models import KEYFRAME_PROMPTS, SEGMENT_PROMPTS, picture
from .settings import Setting
from .table import Row

KEYFRAME_SAMPLER, KEYFRAME_SCHEDULER = "dpmpp_2m", "karras"


def make_keyframes(
    single: SingleFrameObjects, image: Tensor, operation_steps: Sequence[int], steps: int
) -> Tensor:
    """Make the keyframes of a picture (1, H, W, 3), at the picture's size: (N, H, W, 3)."""
    height, width = image.shape[1:3]
    settings = SamplerSettings(
        constants.DEFAULT_KEYFRAME_SEED,
        steps,
        constants.DEFAULT_KEYFRAME_CFG,
        KEYFRAME_SAMPLER,
        KEYFRAME_SCHEDULER,
    )
    wanted = list(operation_steps)
    return predict_keyframes(single, image, wanted, KEYFRAME_PROMPTS, settings, width, height)


def make_segments(multi: MultiFrameObjects, pictures: Tensor, resolution: str, steps: int) -> list[Tensor]:
    """Make a segment between each two neighbours of the pictures (N, H, W, 3)."""
    segments = []
    for index, pair in enumerate(pairwise(pictures.split(1))):
        settings = SamplerSettings(
            constants.DEFAULT_SEGMENT_SEED + index,
            steps,
            constants.DEFAULT_SEGMENT_CFG,
            ORIGINAL_SAMPLER,
            ORIGINAL_SCHEDULER,
        )
        segments.append(interpolate(multi, pair, SEGMENT_PROMPTS, settings, resolution=resolution).frames)
    return segments


def save_video(pictures: Tensor, segments: list[Tensor]) -> None:
    """Order the frames and write a video file, as the video node does; then delete the file."""
    rate = timeline.frame_rate(constants.DEFAULT_FPS)
    frames = assemble(segments, AssemblySettings(rate), pictures).played
    name, kind = next(iter(video_files.VIDEO_FORMATS.items()))
    with tempfile.TemporaryDirectory() as folder:
        video_files.encode_video(frames, Path(folder, f"chain{kind.extension}"), rate, name)


def measure_chain(
    single: SingleFrameObjects, multi: MultiFrameObjects, setting: Setting, flops: Mapping[str, float]
) -> list[Row]:
    """Run the chain once; return a row each for keyframes, segments, file and the whole chain.

    Args:
        single: the single-frame model.
        multi: the multi-frame model.
        setting: sizes and steps.
        flops: operations, from count.chain_flops.
    """
    mm.unload_all_models()
    mm.soft_empty_cache()
    image, (height, width) = picture(setting.keyframe), setting.keyframe
    resolution = OWN_SIZE if setting.segment == setting.keyframe else NEAREST_TRAINED
    with Meter() as meter:
        clock = [time.perf_counter()]
        keyframes = make_keyframes(single, image, setting.operation_steps, setting.steps)
        clock.append(time.perf_counter())
        finished = resize_and_center_crop(image, width, height)
        pictures = torch.cat([finished, keyframes, white_canvas(height, width)])
        segments = make_segments(multi, pictures, resolution, setting.steps)
        clock.append(time.perf_counter())
        save_video(pictures, segments)
        clock.append(time.perf_counter())
    parts = [end - start for start, end in pairwise(clock)]
    # On a GPU the weights are loaded and freed during the run, so the measured peak includes them already.
    weights = None if torch.cuda.is_available() else _weights(single, multi)
    return [
        Row("all keyframes", parts[0], flops["keyframes"]),
        Row("all segments", parts[1], flops["segments"]),
        Row("video file", parts[2], 0),
        Row("whole chain", meter.seconds, flops["keyframes"] + flops["segments"], weights, meter.working),
    ]


def _weights(single: SingleFrameObjects, multi: MultiFrameObjects) -> int:
    networks = [
        single.model.model,
        single.clip.cond_stage_model,
        single.vae.first_stage_model,
        multi.model.model,
        multi.clip.cond_stage_model,
        multi.vae.first_stage_model,
        multi.clip_vision.model,
    ]
    return weight_bytes(*networks)
