"""Plans held-out pictures through the node of a real ComfyUI, and paces videos of their true states."""

import argparse
from fractions import Fraction

import numpy as np
import torch
from tqdm import tqdm

from paintsundo_models import planning
from paintsundo_models.video.assembly import AssemblySettings, assemble
from paintsundo_models.video.pace import PACE_AS_MADE, PACE_EQUAL
from tools.installation import Installation
from tools.painting import PLAN, SINGLE_LOADER, SMOOTH_FPS

from .evaluation_run import SAVE, Evaluator, evaluation_server, held_out_pictures
from .pace_scores import GRID, Results, VideoScores, change_so_far, score_video, segment_spread
from .segments import segment_steps
from .sequences import CANVAS, SequenceSource

AS_MADE_FPS, SECONDS, COUNT = 4, 30, 6


def planned(evaluator: Evaluator, index: int, finished: np.ndarray) -> list[int]:
    """Return the operation steps that the node plans for a picture by equal change."""
    prompt = {
        "load": evaluator.node(SINGLE_LOADER, checkpoint=evaluator.single),
        "image": evaluator.picture(f"pace_{index}.png", finished),
        "plan": evaluator.node(
            PLAN,
            model=["load", 0],
            clip=["load", 1],
            vae=["load", 2],
            image=["image", 0],
            count=COUNT,
            spacing=planning.SPACING_CHANGE,
        ),
    }
    prompt["save"] = evaluator.node(SAVE, images=["plan", 1], filename_prefix="probes")
    (text,) = evaluator.client.run(prompt)["plan"]["text"]
    return [int(step) for step in text.split(",")]


def video(source: SequenceSource, index: int, steps: list[int], pace: str) -> VideoScores:
    """Return the scores of a video whose segments are what a perfect model would make: the true states."""
    ends = [0, *steps, CANVAS]
    segments = [
        torch.from_numpy(source.states(index, segment_steps(*pair))).float() / 255
        for pair in zip(ends, ends[1:], strict=False)
    ]
    if pace == PACE_AS_MADE:
        fps, settings = AS_MADE_FPS, AssemblySettings(Fraction(AS_MADE_FPS))
    else:
        fps, settings = SMOOTH_FPS, AssemblySettings(Fraction(SMOOTH_FPS), pace=pace, duration=SECONDS)
    return score_video(assemble(segments, settings).played, fps)


def evaluate(installation: Installation, options: argparse.Namespace) -> Results:
    """Measure plans and videos of held-out pictures.

    Raises:
        CommandError: the server failed; the message says how.
        ValueError: the options ask for more pictures than there are.
    """
    source, results = held_out_pictures(options.pictures), Results(options.pictures)
    original = planning.steps_of(planning.original_division(), COUNT)
    even = planning.steps_of(planning.even_division(), COUNT)
    with evaluation_server(installation, options.single, options.single) as evaluator:
        for index in tqdm(range(options.pictures), unit="picture"):
            states = source.states(index, range(0, CANVAS + 1, GRID))
            changes = planned(evaluator, index, states[0])
            results.steps.append(changes)
            so_far = change_so_far(states)
            for name, steps in (
                (planning.SPACING_ORIGINAL, original),
                (planning.SPACING_EVEN, even),
                (planning.SPACING_CHANGE, changes),
            ):
                spread = segment_spread(so_far, steps, CANVAS)
                results.plans.setdefault(name, []).append(spread)
            for name, steps, pace in (
                ("original list, as made", original, PACE_AS_MADE),
                ("planned by equal change, as made", changes, PACE_AS_MADE),
                ("planned and paced by equal change", changes, PACE_EQUAL),
            ):
                results.videos.setdefault(name, []).append(video(source, index, steps, pace))
    return results
