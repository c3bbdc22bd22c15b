"""The original program against our chain in a real ComfyUI: the same picture, seeds, steps and weights, whole.

compare_original.py --chain runs this. Both sides run in processes of their own, in turn, in float32 on the CPU, up to the
frames of all segments; neither writes a video. The networks are those of the demo.
"""

import argparse
import dataclasses
import json
import math
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from paintsundo_models import constants
from paintsundo_models.checkpoints.detection import trained_sizes
from paintsundo_models.checkpoints.parts import SINGLE_FRAME
from paintsundo_models.operation_steps import parse_operation_steps
from paintsundo_models.pictures.sizes import nearest_shape
from tools.comfy_client import Prompt
from tools.command import CommandError
from tools.installation import Installation
from tools.markdown import figures_table
from tools.painting import (
    INTERPOLATE,
    KEYFRAMES,
    MULTI_LOADER,
    PAIRS,
    SINGLE_LOADER,
    VIDEO,
    WORKFLOW,
)
from tools.pictures import load_picture, png_bytes
from tools.server import ComfyServer, place_pack
from tools.studio import server_errors
from tools.workflow import Workflow

from .machine import device, peak_bytes, processor_seconds
from .original_export import export, operation_width, read_demo
from .original_program import Job

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(__file__).with_name("original_program.py")
TENSOR_NODES = Path(__file__).with_name("tensor_files")
SAVE, LOAD = "PaintsUndoSaveImagesAsTensors", "PaintsUndoLoadImagesFromTensors"
KEYFRAME_FILE, SEGMENT_FILE, GIVEN_FILE = (
    f"{name}.safetensors" for name in ("keyframes", "segments", "given")
)
TOKENIZER = Path("comfy", "sd1_tokenizer")  # in ComfyUI's folder
NO_PICTURE_STEPS = (6, 11, 14, 15, 20, 23, 25, 61)
"""Of 1 to 100 sampling steps, those with which the original's segments are NaN, found by running its sampler with each."""
TIME_HEAD = ("figure", "original", "ours", "ours / original", "least ... most")
DIFFERENCE_HEAD = ("compared", "mean difference", "largest", "PSNR, dB")


@dataclass(frozen=True)
class Run:
    """A run of one side.

    Attributes:
        tensors: "keyframes", "segments", and of the original "predicted"; see original_program.paint.
        seconds: of processor time for "start", "keyframes" and "segments".
        peak: largest resident memory in bytes; None where the system does not tell.
    """

    tensors: dict[str, Tensor]
    seconds: dict[str, float]
    peak: int | None


def compare_chain(options: argparse.Namespace, installation: Installation, say: Callable[[str], None]) -> str:
    """Run both sides `options.repeats` times in turn; return the page's text with both tables.

    Raises:
        ValueError: the original gives no picture at this number of steps.
        CommandError: one side failed, or the picture cannot be read; the message says how.
    """
    if options.steps in NO_PICTURE_STEPS:
        raise ValueError(
            f"With {options.steps} steps the original gives a black video, as with "
            f"{', '.join(map(str, NO_PICTURE_STEPS))}; choose another number, such as --steps 10."
        )
    with tempfile.TemporaryDirectory(prefix="paintsundo-chain-") as folder, server_errors():
        chain = Chain(options, installation, Path(folder))
        originals, ours = [], []
        for number in range(options.repeats):
            sides = [(chain.original, originals, "the original"), (chain.ours, ours, "our chain")]
            for run, runs, name in sides if number % 2 == 0 else reversed(sides):
                say(f"run {number + 1} of {options.repeats}: {name}")
                runs.append(run())
        say("our chain with the original's keyframes")
        given = chain.ours(originals[0].tensors["keyframes"])
    return "\n\n".join(
        (
            chain.about(),
            figures_table(TIME_HEAD, time_rows(originals, ours)),
            "Difference of the pictures, in steps of 8 bits (0 to 255):",
            figures_table(DIFFERENCE_HEAD, difference_rows(originals[0], ours[0], given)),
        )
    )


class Chain:
    """Both sides of the comparison for one picture.

    Args:
        options: of compare_original.py: path, picture, steps, operation_steps, threads.
        installation: the ComfyUI, whose Python runs the original too.
        folder: for everything that is written.
    """

    def __init__(self, options: argparse.Namespace, installation: Installation, folder: Path) -> None:
        self.options, self.installation, self.folder = options, installation, folder
        if options.threads:
            os.environ["OMP_NUM_THREADS"] = str(options.threads)  # of the processes that both sides start
        demo = read_demo()
        export(demo, installation.comfyui / TOKENIZER, folder / "original")
        picture = load_picture(options.picture)
        self.picture = folder / "picture.png"
        self.picture.write_bytes(png_bytes(picture))
        sizes = trained_sizes(demo[SINGLE_FRAME].configs["vae"])
        height, width = nearest_shape(picture.height, picture.width, sizes)
        self.job = Job(
            checkout=str(options.path.resolve()),
            folder=str(folder / "original"),
            picture=str(self.picture),
            width=width,
            height=height,
            sizes=[list(size) for size in sizes],
            operation_width=operation_width(demo[SINGLE_FRAME]),
            operation_steps=parse_operation_steps(options.operation_steps),
            prompt="",
            negative_prompt=constants.DEFAULT_KEYFRAME_NEGATIVE,
            segment_prompt=constants.DEFAULT_SEGMENT_PROMPT,
            keyframe_seed=constants.DEFAULT_KEYFRAME_SEED,
            segment_seed=constants.DEFAULT_SEGMENT_SEED,
            steps=options.steps,
            keyframe_cfg=constants.DEFAULT_KEYFRAME_CFG,
            segment_cfg=constants.DEFAULT_SEGMENT_CFG,
        )

    def about(self) -> str:
        """Return what was run, for the page."""
        job, count = self.job, len(self.job.operation_steps)
        return (
            f"{self.options.picture.name}: keyframes of {job.width}x{job.height} at the operation steps "
            f"{', '.join(map(str, job.operation_steps))}, and {count + 1} segments, "
            f"{job.steps} steps each, seeds {job.keyframe_seed} and {job.segment_seed}, the demo's weights in float32, "
            f"{self.options.repeats} runs of each side in turn.\n{device()}"
        )

    def original(self) -> Run:
        """Run the original's program in a process of its own."""
        job, result = self.folder / "job.json", self.folder / "original.safetensors"
        job.write_text(json.dumps(dataclasses.asdict(self.job)), encoding="utf-8")
        done = subprocess.run(
            [str(self.installation.python), str(PROGRAM), str(job), str(result)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise CommandError(f"The original program ended with an error:\n{done.stderr[-3000:]}")
        with safe_open(result, "pt") as file:
            figures = json.loads(file.metadata()["figures"])
        peak = figures.pop("peak")
        return Run(read(result), figures, peak)

    def ours(self, given: Tensor | None = None) -> Run:
        """Run the pack's default workflow in a ComfyUI of its own.

        Args:
            given: keyframes (N, H, W, 3) uint8 that take the place of ours.
        """
        base = self.folder / "comfyui"
        place_pack(TENSOR_NODES, base / "custom_nodes" / TENSOR_NODES.name)
        with ComfyServer(
            self.installation, ROOT, self.folder / "log", base_directory=base, use_cpu=True
        ) as server:
            graph = self._graph(server)
            seconds = [processor_seconds(server.pid)]
            if given is None:
                server.client.run({**graph, "save": saved(graph, KEYFRAMES, KEYFRAME_FILE)})
                seconds.append(processor_seconds(server.pid))
            else:
                save_file({"images": given}, base / "input" / GIVEN_FILE)
                graph["given"] = {"class_type": LOAD, "inputs": {"file": GIVEN_FILE}}
                graph[place_of(graph, PAIRS)]["inputs"]["keyframes"] = ["given", 0]
            server.client.run({**graph, "save": saved(graph, INTERPOLATE, SEGMENT_FILE)})
            seconds.append(processor_seconds(server.pid))
            peak = peak_bytes(server.pid)
        tensors = {"segments": read(base / "output" / SEGMENT_FILE)["images"]}
        if given is not None:
            return Run(tensors, {}, peak)
        tensors["keyframes"] = read(base / "output" / KEYFRAME_FILE)["images"][0]
        start, keyframes, segments = seconds[0], seconds[1] - seconds[0], seconds[2] - seconds[1]
        return Run(tensors, {"start": start, "keyframes": keyframes, "segments": segments}, peak)

    def _graph(self, server: ComfyServer) -> Prompt:
        """Return the default workflow for the job's picture, without its video."""
        job, client = self.job, server.client
        workflow = Workflow.load(ROOT / WORKFLOW, client.object_info())
        name = client.upload_image(self.picture.read_bytes(), "picture.png")
        for node_type, widget, value in (
            ("LoadImage", "image", name),
            (SINGLE_LOADER, "checkpoint", constants.DEMO_NAME),
            (MULTI_LOADER, "checkpoint", constants.DEMO_NAME),
            (SINGLE_LOADER, "weight_dtype", "fp32"),
            (MULTI_LOADER, "weight_dtype", "fp32"),
            (KEYFRAMES, "width", job.width),
            (KEYFRAMES, "height", job.height),
            (KEYFRAMES, "operation_steps", ", ".join(map(str, job.operation_steps))),
            (KEYFRAMES, "prompt", job.prompt),
            (KEYFRAMES, "negative_prompt", job.negative_prompt),
            (KEYFRAMES, "seed", job.keyframe_seed),
            (KEYFRAMES, "steps", job.steps),
            (KEYFRAMES, "cfg", job.keyframe_cfg),
            (KEYFRAMES, "sampler_name", "dpmpp_2m"),
            (KEYFRAMES, "scheduler", "karras"),
            (PAIRS, "seed", job.segment_seed),
            (INTERPOLATE, "prompt", job.segment_prompt),
            (INTERPOLATE, "steps", job.steps),
            (INTERPOLATE, "cfg", job.segment_cfg),
            (INTERPOLATE, "sampler_name", "paintsundo_ddim"),
            (INTERPOLATE, "scheduler", "trailing"),
            (INTERPOLATE, "reuse", False),
        ):
            workflow.set_widget(node_type, widget, value)
        return {key: node for key, node in workflow.to_prompt().items() if node["class_type"] != VIDEO}


def read(file: Path) -> dict[str, Tensor]:
    """Return a file's tensors as copies, because a later run writes the file again."""
    return {name: tensor.clone() for name, tensor in load_file(file).items()}


def place_of(graph: Prompt, node_type: str) -> str:
    """Return the id of the only node of a type."""
    (place,) = (key for key, node in graph.items() if node["class_type"] == node_type)
    return place


def saved(graph: Prompt, node_type: str, file: str) -> dict:
    """Return a node that saves the first output of the node of a type."""
    return {"class_type": SAVE, "inputs": {"images": [place_of(graph, node_type), 0], "file": file}}


def time_rows(originals: list[Run], ours: list[Run]) -> list[list[str]]:
    """Return the lines of the table of processor time and memory; the ratios are those of the runs made in turn."""

    def line(name: str, unit: float, figure: Callable[[Run], float | None]) -> list[str]:
        pairs = [(figure(a), figure(b)) for a, b in zip(originals, ours, strict=True)]
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        if not known:
            return [name, *["-"] * (len(TIME_HEAD) - 1)]
        ratios = [b / a for a, b in known]
        medians = (statistics.median(side) / unit for side in zip(*known, strict=True))
        return [
            name,
            *(f"{median:.2f}" for median in medians),
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} ... {max(ratios):.2f}",
        ]

    return [
        line("processor time of the keyframes, s", 1, lambda run: run.seconds["keyframes"]),
        line("processor time of the segments, s", 1, lambda run: run.seconds["segments"]),
        line("processor time of both, s", 1, lambda run: run.seconds["keyframes"] + run.seconds["segments"]),
        line("processor time of the program, s", 1, lambda run: sum(run.seconds.values())),
        line("peak memory of the program, GB", 1e9, lambda run: run.peak),
    ]


def difference_rows(original: Run, ours: Run, given: Run) -> list[list[str]]:
    """Return the lines of the table of differences.

    Args:
        original: a run of the original.
        ours: a run of our chain.
        given: a run of our chain with the original's keyframes.
    """
    theirs = original.tensors
    rounded = theirs["keyframes"][1:-1].float() / 255  # without the picture and the canvas
    return [
        compared(
            "keyframes, before the original rounds them", theirs["predicted"], ours.tensors["keyframes"]
        ),
        compared("keyframes, as the original passes them on", rounded, ours.tensors["keyframes"]),
        compared("segments from the same keyframes of 8 bits", theirs["segments"], given.tensors["segments"]),
        compared("segments, from picture to frames", theirs["segments"], ours.tensors["segments"]),
    ]


def compared(name: str, expected: Tensor, found: Tensor) -> list[str]:
    """Return a line of the table of differences, for pictures in [0, 1]; PSNR is that of all their pixels."""
    difference = (found.double() - expected.double()).abs()
    error = difference.square().mean().item()
    decibels = f"{-10 * math.log10(error):.1f}" if error else "equal"
    return [name, f"{255 * difference.mean():.4f}", f"{255 * difference.max():.4f}", decibels]
