"""The measurement: a real ComfyUI makes keyframes and segments of held-out pictures with the pack's nodes."""

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from tools.comfy_client import ComfyClient, Json, Prompt
from tools.command import CommandError
from tools.installation import Installation
from tools.painting import (
    INTERPOLATE,
    KEYFRAMES,
    MULTI_LOADER,
    SINGLE_LOADER,
)
from tools.pictures import png_bytes
from tools.pinned_comfyui import tail
from tools.studio import make_server, server_errors
from tools.workflow import Workflow, widgets_of

from .evaluation import KEYFRAME_STEPS, Deviation, score_deviation, score_keyframes, score_segment
from .evaluation_command import SETTINGS
from .evaluation_page import Compared, Results
from .segments import default_segments, segment_steps
from .sequences import ProceduralSequences, SequenceSource

ROOT = Path(__file__).resolve().parent.parent
TRAINING = ROOT / "training" / "demo.json"
HELD_OUT_SEED = 0
LOAD, SAVE, GUIDANCE = "LoadImage", "SaveImage", "PaintsUndoGuidance"


@dataclass(frozen=True)
class Sampling:
    """Widgets that differ from the nodes' defaults. Without `guidance`, the guidance node is left out."""

    keyframes: Json = field(default_factory=dict)
    segments: Json = field(default_factory=dict)
    guidance: Json | None = None


class Evaluator:
    """Runs the pack's nodes on a running server.

    Args:
        client: the server's client.
        single: name of the single-frame checkpoint in its loader.
        multi: name of the multi-frame checkpoint in its loader.
    """

    def __init__(self, client: ComfyClient, single: str, multi: str) -> None:
        self.client, self.single, self.multi = client, single, multi
        self.object_info = client.object_info()
        self.resized: dict[str, None] = {}  # a dict, because it keeps the order

    def keyframes(self, index: int, truth: np.ndarray, sampling: Sampling) -> Compared:
        """Make the keyframes of the finished picture truth[0] at KEYFRAME_STEPS."""
        prompt = {
            "load": self.node(SINGLE_LOADER, checkpoint=self.single),
            "image": self.picture(f"heldout_{index}.png", truth[0]),
            "make": self.node(
                KEYFRAMES,
                model=["load", 0],
                clip=["load", 1],
                vae=["load", 2],
                image=["image", 0],
                operation_steps=", ".join(map(str, KEYFRAME_STEPS)),
                width=0,
                height=0,
                **sampling.keyframes,
            ),
        }
        return self.compare("keyframes", prompt, truth)

    def segment(self, index: int, pair: tuple[int, int], truth: np.ndarray, sampling: Sampling) -> Compared:
        """Make the segment between truth[0] and truth[-1]."""
        name = f"heldout_{index}_{pair[0]}_{pair[1]}"
        prompt = {
            "load": self.node(MULTI_LOADER, checkpoint=self.multi),
            "start": self.picture(f"{name}_start.png", truth[0]),
            "end": self.picture(f"{name}_end.png", truth[-1]),
            "make": self.node(
                INTERPOLATE,
                model=["load", 0] if sampling.guidance is None else ["guide", 0],
                clip=["load", 1],
                vae=["load", 2],
                clip_vision=["load", 3],
                start_image=["start", 0],
                end_image=["end", 0],
                reuse=False,  # one from an earlier run would take no time
                **sampling.segments,
            ),
        }
        if sampling.guidance is not None:
            prompt["guide"] = self.node(GUIDANCE, model=["load", 0], **sampling.guidance)
        return self.compare("segments", prompt, truth)

    def settings(self, name: str, steps: int | None = None) -> Sampling:
        """Return the settings of this name, with another number of sampling steps where one is given."""
        path, _ = SETTINGS[name]
        sampling = Sampling() if path is None else self._of_workflow(path)
        changes = {} if steps is None else {"steps": steps}
        return replace(sampling, keyframes=sampling.keyframes | changes, segments=sampling.segments | changes)

    def _of_workflow(self, path: Path) -> Sampling:
        workflow = Workflow.load(ROOT / path, self.object_info)
        names = ("steps", "cfg", "sampler_name", "scheduler")
        keyframes = {name: workflow.widget(KEYFRAMES, name) for name in names}
        segments = {name: workflow.widget(INTERPOLATE, name) for name in (*names, "fade_below")}
        if not workflow.nodes_of_type(GUIDANCE):
            return Sampling(keyframes, segments)
        widgets = widgets_of(self.object_info[GUIDANCE])
        return Sampling(keyframes, segments, {w.name: workflow.widget(GUIDANCE, w.name) for w in widgets})

    def in_words(self, name: str, sampling: Sampling) -> str:
        """Name the settings and say how many sampling steps both nodes take, as the page needs it."""
        made = (self.node(KEYFRAMES, **sampling.keyframes), self.node(INTERPOLATE, **sampling.segments))
        keyframes, segments = (node["inputs"]["steps"] for node in made)
        return f"{SETTINGS[name][1]} ({keyframes} sampling steps for keyframes, {segments} for segments)"

    def node(self, node_type: str, **inputs: object) -> Json:
        """Return a node of a prompt, with the server's defaults for the widgets that are not given."""
        widgets = widgets_of(self.object_info[node_type])
        defaults = {widget.name: widget.default for widget in widgets if widget.is_sent}
        return {"class_type": node_type, "inputs": {**defaults, **inputs}}

    def picture(self, name: str, pixels: np.ndarray) -> Json:
        """Upload a picture; return a node that loads it."""
        return self.node(
            LOAD,
            image=self.client.upload_image(png_bytes(Image.fromarray(np.ascontiguousarray(pixels))), name),
        )

    def compare(self, what: str, prompt: Prompt, truth: np.ndarray) -> Compared:
        """Run a prompt, whose node "make" returns a picture for each true state."""
        prompt["save"] = self.node(SAVE, images=["make", 0], filename_prefix="evaluation")
        files = self.client.run(prompt)["save"]["images"]
        if len(files) != len(truth):
            raise CommandError(f"The {what} are {len(files)} pictures, and {len(truth)} were expected.")
        height, width = truth.shape[1:3]
        pictures = []
        for file in files:
            picture = Image.open(io.BytesIO(self.client.view(file))).convert("RGB")
            if picture.size != (width, height):
                self.resized[f"{what} from {picture.width} x {picture.height} to {width} x {height}"] = None
                picture = picture.resize((width, height), Image.Resampling.LANCZOS)
            pictures.append(np.asarray(picture))
        return Compared(truth, np.stack(pictures))


def held_out_pictures(count: int = 0) -> ProceduralSequences:
    """Return sequences of the procedural painter that are never trained on, in the sizes of the training.

    Raises:
        ValueError: there are fewer than `count`.
    """
    settings = json.loads(TRAINING.read_text(encoding="utf-8"))
    available = settings["first_seed"] - HELD_OUT_SEED
    if count > available:
        raise ValueError(f"There are {available} held-out pictures, and {count} are asked for.")
    sizes = tuple((height, width) for height, width in settings["sizes"])
    return ProceduralSequences(HELD_OUT_SEED, available, sizes)


@contextmanager
def evaluation_server(installation: Installation, single: str, multi: str) -> Iterator[Evaluator]:
    """Start a ComfyUI on the CPU, whose pictures lie in a temporary folder.

    Raises:
        CommandError: the server failed; the message says how.
    """
    with tempfile.TemporaryDirectory(prefix="paintsundo-evaluation-") as folder, server_errors():
        server = make_server(ROOT, installation, use_cpu=True, is_painting=True)
        # Hundreds of pictures: kept in a temporary folder, and not among the user's own.
        for name in ("input", "output"):
            (Path(folder) / name).mkdir()
            server.extra_args += (f"--{name}-directory", str(Path(folder) / name))
        with server:
            try:
                evaluator = Evaluator(server.client, single, multi)
                if KEYFRAMES not in evaluator.object_info:
                    raise CommandError(
                        f"ComfyUI could not load this pack:\n{tail(server.log, 40)}\nThe log is {server.log}"
                    )
                yield evaluator
            except ConnectionError as error:
                raise CommandError(f"{error}\n{tail(server.log, 25)}\nThe log is {server.log}") from error


def evaluate(installation: Installation, options: argparse.Namespace, command: str) -> Results:
    """Measure the checkpoints that the options name.

    Raises:
        CommandError: the server failed; the message says how.
        ValueError: the options ask for more pictures than there are.
    """
    source = held_out_pictures(max(options.pictures, options.segments))
    with evaluation_server(installation, options.single, options.multi) as evaluator:
        return measure(evaluator, source, options, command)


def measure(
    evaluator: Evaluator, source: SequenceSource, options: argparse.Namespace, command: str
) -> Results:
    """Make and score what the options ask for, on a running server."""
    sampling = evaluator.settings(options.settings, options.steps)
    others = {name: evaluator.settings(name) for name in SETTINGS if name != options.settings}
    keyframes, keyframe_pictures = [], []
    segments, segment_pictures = [], []
    deviations: dict[tuple[str, str], list[Deviation]] = {}

    def make(kind: str, compare: Callable[[Sampling], Compared], index: int) -> Compared:
        """Make pictures with the settings that are measured, and the first few of a kind with the other ones too."""
        compared, seconds = _timed(compare, sampling)
        for name, other in others.items() if index < options.compared else ():
            made, other_seconds = _timed(compare, other)
            deviation = score_deviation(
                compared.predicted, made.predicted, compared.truth, seconds, other_seconds
            )
            deviations.setdefault((kind, SETTINGS[name][1]), []).append(deviation)
        bar.update()
        return compared

    with tqdm(total=options.pictures + options.segments, desc="keyframes", unit="run") as bar:
        for index in range(options.pictures):
            truth = source.states(index, KEYFRAME_STEPS)
            compared = make("pictures' keyframes", partial(evaluator.keyframes, index, truth), index)
            keyframe_pictures.append(compared)
            keyframes.append(score_keyframes(index, compared.predicted, truth))
        bar.set_description("segments")
        for index, pair in enumerate(pairs_of_segments(options.segments)):
            truth = source.states(index, segment_steps(*pair))
            compared = make("segments", partial(evaluator.segment, index, pair, truth), index)
            segment_pictures.append(compared)
            segments.append(score_segment(index, pair, compared.predicted, truth))
    return Results(
        keyframes=keyframes,
        keyframe_pictures=keyframe_pictures,
        segments=segments,
        segment_pictures=segment_pictures,
        deviations=deviations,
        command=command,
        checkpoints=(options.single, options.multi),
        sampling=evaluator.in_words(options.settings, sampling),
        resized=tuple(evaluator.resized),
    )


def _timed(compare: Callable[[Sampling], Compared], sampling: Sampling) -> tuple[Compared, float]:
    started = time.monotonic()
    compared = compare(sampling)
    return compared, time.monotonic() - started


def pairs_of_segments(count: int) -> Sequence[tuple[int, int]]:
    """Return `count` pairs of operation steps; the pairs of the default chain take turns."""
    pairs = default_segments()
    return [pairs[number % len(pairs)] for number in range(count)]
