"""Drives a real ComfyUI with held-out pictures at four times the demo's size: keyframes and segments, and both at full size."""

import argparse
import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from paintsundo_models.pictures.resizing import resize_and_center_crop
from paintsundo_models.video.frames import BatchFrames
from paintsundo_models.video.full_size import FullSizeFrames
from tools.comfy_client import Prompt
from tools.installation import Installation
from tools.painting import INTERPOLATE, KEYFRAMES, MULTI_LOADER, SINGLE_LOADER

from .evaluation_command import FAST
from .evaluation_run import GUIDANCE, HELD_OUT_SEED, SAVE, Evaluator, evaluation_server
from .full_size_scores import Made, Results, last_step
from .scenes import Painting
from .segments import default_segments, segment_steps
from .sequences import LAST_STEP, with_canvas

WIDTH, HEIGHT, TIMES = 128, 192, 4
KEYFRAME_STEPS = (200, 400, 600, 800, 900)
SEGMENT_PICTURES = 7  # pictures from one that a segment is made of to the next
PROCESS_STEPS = tuple(range(0, 1000, 37))
ARRANGE, FULL_SIZE = "PaintsUndoArrangeKeyframes", "PaintsUndoFullSize"


def true_states(index: int, steps: tuple[int, ...]) -> Tensor:
    """Return true states of held-out picture `index` at four times the demo's size, (N, H, W, 3) in [0, 1]."""
    painting = Painting(HELD_OUT_SEED + index, TIMES * WIDTH, TIMES * HEIGHT)
    states = with_canvas(painting.states([min(step, LAST_STEP) for step in steps]), steps)
    return torch.from_numpy(states).float() / 255


def ideal(index: int) -> Made:
    """Return frames that a perfect model would make, at full size: the true states scaled down."""
    truth = true_states(index, PROCESS_STEPS)
    small = resize_and_center_crop(truth, WIDTH, HEIGHT)
    large = FullSizeFrames(BatchFrames(small), truth[0], is_end_exact=False).batch()
    return Made(PROCESS_STEPS, small, large, truth, truth[0])


class FullSizeMaker:
    """Makes keyframes and segments, and the same at full size, with the nodes of a running server."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.sampling = evaluator.settings(FAST)

    def keyframes(self, index: int) -> Made:
        """Return the demo's keyframes of a picture at KEYFRAME_STEPS."""
        steps = (0, *KEYFRAME_STEPS)
        truth = true_states(index, steps)
        node = self.evaluator.node
        prompt = {
            "load": node(SINGLE_LOADER, checkpoint=self.evaluator.single),
            "image": self._picture(f"full_{index}.png", truth[0]),
            "predict": node(
                KEYFRAMES,
                model=["load", 0],
                clip=["load", 1],
                vae=["load", 2],
                image=["image", 0],
                operation_steps=", ".join(map(str, KEYFRAME_STEPS)),
                **self.sampling.keyframes,
            ),
            "make": node(ARRANGE, finished=["image", 0], keyframes=["predict", 0], include_canvas=False),
        }
        small, large = self._run(prompt)
        # The first is the finished picture itself, which needs no model.
        return Made(KEYFRAME_STEPS, small[1:], large[1:], truth[1:], truth[0])

    def segment(self, index: int) -> Made:
        """Return the segment that ends with the finished picture: most of the picture's detail appears in it."""
        steps = tuple(segment_steps(*default_segments()[0]))
        truth = true_states(index, (0, *steps))
        finished, truth = truth[0], truth[1:]
        ends = resize_and_center_crop(truth[[0, -1]], WIDTH, HEIGHT)
        node, guidance = self.evaluator.node, self.sampling.guidance
        prompt = {
            "load": node(MULTI_LOADER, checkpoint=self.evaluator.multi),
            "guide": node(GUIDANCE, model=["load", 0], **(guidance or {})),
            "image": self._picture(f"full_{index}.png", finished),
            "start": self._picture(f"full_{index}_start.png", ends[0]),
            "end": self._picture(f"full_{index}_end.png", ends[1]),
            "make": node(
                INTERPOLATE,
                model=["guide" if guidance else "load", 0],
                clip=["load", 1],
                vae=["load", 2],
                clip_vision=["load", 3],
                start_image=["start", 0],
                end_image=["end", 0],
                **self.sampling.segments,
            ),
        }
        small, large = self._run(prompt)
        return Made(steps, small, large, truth, finished)

    def _picture(self, name: str, picture: Tensor) -> dict:
        return self.evaluator.picture(name, (picture * 255).round().byte().numpy())

    def _run(self, prompt: Prompt) -> tuple[Tensor, Tensor]:
        node = self.evaluator.node
        prompt["full"] = node(FULL_SIZE, frames=["make", 0], finished=["image", 0])
        for name, source in (("small", "make"), ("large", "full")):
            prompt[name] = node(SAVE, images=[source, 0], filename_prefix=name)
        outputs = self.evaluator.client.run(prompt)
        small, large = (self._read(outputs[name]["images"]) for name in ("small", "large"))
        return small, large

    def _read(self, files: list[dict]) -> Tensor:
        views = (io.BytesIO(self.evaluator.client.view(file)) for file in files)
        pictures = np.stack([np.asarray(Image.open(view).convert("RGB")) for view in views])
        return torch.from_numpy(pictures).float() / 255


@contextmanager
def full_size_maker(installation: Installation, single: str, multi: str) -> Iterator[FullSizeMaker]:
    """Start a server on the CPU, with folders that go with it."""
    with evaluation_server(installation, single, multi) as evaluator:
        yield FullSizeMaker(evaluator)


def evaluate(installation: Installation, options: argparse.Namespace) -> Results:
    """Measure ideal frames, and the keyframes and segments of the checkpoints that the options name.

    Raises:
        CommandError: anything that went wrong with the server, in words.
    """
    results = Results(options.pictures, options.segments)
    total = 2 * options.pictures + options.segments
    with tqdm(total=total, desc="ideal", unit="run") as bar:
        for index in range(options.pictures):
            results.ideal.add(ideal(index))
            bar.update()
        with full_size_maker(installation, options.single, options.multi) as maker:
            bar.set_description("keyframes")
            for index in range(options.pictures):
                made = maker.keyframes(index)
                results.keyframes.add(made, is_video=False)
                results.shown.append(made)
                bar.update()
            bar.set_description("segments")
            for index in range(options.segments):
                made = maker.segment(SEGMENT_PICTURES * index)
                results.segments.add(made)
                results.last_steps.append(last_step(made.large))
                bar.update()
    return results
