"""The workflow of a painting: which checkpoints and which of the bundled workflows, with the options of paint.py in it."""

import argparse
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from paintsundo_models.constants import DEMO_NAME, NONE_FOUND, SEED_MAX, UNUSABLE
from paintsundo_models.operation_steps import parse_operation_steps
from paintsundo_models.processor import has_fast_bfloat16

from .comfy_client import ComfyClient, Json, Prompt, PromptError
from .command import CommandError
from .destination import ending_of_format
from .progress import RunProgress
from .variants import add_variants
from .workflow import Workflow, WorkflowError, combo_options, template

WORKFLOW, FAST_WORKFLOW, PACED_WORKFLOW = template("default"), template("fast"), template("paced")
DEMO_WORKFLOW = template("demo")
SINGLE_LOADER, MULTI_LOADER = "PaintsUndoSingleFrameLoader", "PaintsUndoMultiFrameLoader"
TAGGER, KEYFRAMES, PAIRS = "PaintsUndoTagger", "PaintsUndoPredictKeyframes", "PaintsUndoKeyframePairs"
INTERPOLATE, VIDEO = "PaintsUndoInterpolate", "PaintsUndoAssembleVideo"
PLAN = "PaintsUndoPlanSteps"
PACES = {"equal": "equal change", "ease": "ease"}
SMOOTH_FPS = 24  # of a video whose length is given
PACED_SECONDS = 30.0  # length of the paced workflow's video

SUFFIX_FORMATS = {".gif": "gif", ".webm": "webm"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Checkpoints:
    """The two checkpoints of a run, by their names in the loaders.

    Attributes:
        is_demo: the built-in demo was taken.
        single_frame: name of the single-frame checkpoint.
        multi_frame: name of the multi-frame checkpoint.
        unusable: (loader, entry) of installed ones that were passed over, because they are unreadable or incomplete.
    """

    is_demo: bool
    single_frame: str
    multi_frame: str
    unusable: tuple[tuple[str, str], ...] = ()


def pick_checkpoints(object_info: Json) -> Checkpoints:
    """Choose checkpoints from the lists of both loaders: installed ones, or else the demo that comes with the pack.

    An installed checkpoint is never combined with the demo, because together they paint nothing useful.

    Raises:
        CommandError: neither is complete, because the demo's files are missing too.
    """
    lists = {
        loader: combo_options(object_info, loader, "checkpoint") for loader in (SINGLE_LOADER, MULTI_LOADER)
    }
    installed = [
        [name for name in names if name not in (DEMO_NAME, NONE_FOUND) and not name.endswith(UNUSABLE)]
        for names in lists.values()
    ]
    unusable = tuple(
        (loader, name) for loader, names in lists.items() for name in names if name.endswith(UNUSABLE)
    )
    if all(installed):
        return Checkpoints(False, installed[0][0], installed[1][0], unusable)
    if all(DEMO_NAME in names for names in lists.values()):
        return Checkpoints(True, DEMO_NAME, DEMO_NAME, unusable)
    what = ", ".join(name for _, name in unusable) or "No PaintsUndo checkpoints are installed"
    raise CommandError(
        f"{what}, and the demo's files are missing from paintsundo_models/demo. "
        "Get the pack anew, or install the released checkpoints (README.md, Models)."
    )


def reason_unusable(client: ComfyClient, loader: str, entry: str) -> str:
    """Return why a loader cannot use an entry of its list, in the loader's words."""
    prompt = {
        "load": {"class_type": loader, "inputs": {"checkpoint": entry, "weight_dtype": "default"}},
        "look": {"class_type": "PreviewAny", "inputs": {"source": ["load", 0]}},
    }
    try:
        client.queue(prompt)
    except PromptError as error:
        return error.reasons[0] if error.reasons else str(error)
    return f"{entry.removesuffix(UNUSABLE)} was unreadable or incomplete a moment ago."


def steps_workflow(options: argparse.Namespace, checkpoints: Checkpoints) -> Path:
    """The workflow whose steps are taken: the demo's own for the demo, which they cost nothing, unless steps are given."""
    if checkpoints.is_demo and options.steps is None:
        return DEMO_WORKFLOW
    return FAST_WORKFLOW if options.fast else WORKFLOW


def choose_workflow(options: argparse.Namespace, checkpoints: Checkpoints) -> Path:
    """The workflow that the options ask for."""
    return PACED_WORKFLOW if options.pace is not None else steps_workflow(options, checkpoints)


def take_steps(workflow: Workflow, other: Workflow) -> None:
    """Give a workflow the numbers of steps, the samplers and the guidance of another one."""
    for node_type in (KEYFRAMES, INTERPOLATE):
        for widget in ("steps", "sampler_name", "cfg"):
            workflow.set_widget(node_type, widget, other.widget(node_type, widget))
    workflow.set_widget(INTERPOLATE, "fade_below", other.widget(INTERPOLATE, "fade_below"))


def planned_segments(workflow: Workflow, options: argparse.Namespace) -> int:
    """How many segments a run of the workflow will make.

    Raises:
        WorkflowError: what a node would refuse, in its words.
    """
    if options.pace is not None and options.operation_steps is None:
        return int(workflow.widget(PLAN, "count")) + 1
    return segment_count(str(workflow.widget(KEYFRAMES, "operation_steps")))


def segment_count(operation_steps: str) -> int:
    """Return the number of segments of a run: between the finished picture, each keyframe and the white canvas.

    Raises:
        WorkflowError: the node would refuse the text; with the node's message.
    """
    try:
        return len(parse_operation_steps(operation_steps)) + 1
    except ValueError as error:
        raise WorkflowError(str(error)) from error


def upload_name(path: Path, data: bytes) -> str:
    """Return a name for the input folder that depends on the content, so that no other file is replaced by the upload."""
    return f"{re.sub(r'[^A-Za-z0-9-]+', '_', path.stem)}_{hashlib.sha256(data).hexdigest()[:8]}.png"


def apply_options(
    workflow: Workflow, options: argparse.Namespace, checkpoints: Checkpoints, say: Say = print
) -> None:
    """Set the widgets of the workflow to the options of the command line; `say` is told what is missing.

    Raises:
        WorkflowError: a node does not offer a value; the text lists the offered ones.
    """
    workflow.set_widget(SINGLE_LOADER, "checkpoint", checkpoints.single_frame)
    workflow.set_widget(MULTI_LOADER, "checkpoint", checkpoints.multi_frame)
    prompt = options.prompt
    if prompt is None and not _installed(combo_options(workflow.object_info, TAGGER, "tagger")):
        prompt = ""
        say("No tagger is installed, so nothing tells the model what the picture shows; --prompt can.")
    if prompt is None:
        workflow.activate(TAGGER)  # bypassed in the bundled workflows, because many people have no tagger
    else:
        workflow.mute(TAGGER)
    if options.pace is not None and prompt is not None:
        workflow.set_widget(PLAN, "prompt", prompt)
    if options.pace is not None and options.operation_steps is not None:
        workflow.mute(PLAN)
    for node_type, widget, value in (
        (KEYFRAMES, "prompt", prompt),
        (KEYFRAMES, "seed", options.seed),
        (KEYFRAMES, "steps", options.steps),
        (KEYFRAMES, "operation_steps", options.operation_steps),
        (PAIRS, "seed", options.seed),
        (INTERPOLATE, "prompt", options.segment_prompt),
        (INTERPOLATE, "steps", options.steps),
        (VIDEO, "hold_last", options.hold),
        (VIDEO, "pace", PACES.get(options.pace or "")),
        (VIDEO, "duration", options.duration),
        (VIDEO, "fps", None if options.duration is None else SMOOTH_FPS),
        (VIDEO, "format", _format(workflow, options)),
    ):
        if value is not None:
            workflow.set_widget(node_type, widget, value)


def check_options(options: argparse.Namespace) -> None:
    """Check what is known without ComfyUI, before it is started.

    Raises:
        WorkflowError: an option has a value that its node would refuse.
    """
    from paintsundo_models.video.files import VIDEO_FORMATS
    from paintsundo_models.video.pace import PACE_AS_MADE, Timing, check_timing

    _chosen_format(list(VIDEO_FORMATS), options)
    check_numbers(options)
    seconds = options.duration or (PACED_SECONDS if options.pace is not None else 0.0)
    try:
        check_timing(Timing(Fraction(SMOOTH_FPS), PACE_AS_MADE, seconds, hold_last=options.hold or 0.0))
    except ValueError as error:
        raise WorkflowError(f"--duration and --hold do not fit: {error}") from error


def check_numbers(options: argparse.Namespace) -> None:
    """Check the options of which Python alone knows what can be.

    Raises:
        WorkflowError: an option has a value that its node would refuse.
    """
    if options.operation_steps is not None:
        segment_count(options.operation_steps)
    for name, value, most in (("--steps", options.steps, 1000), ("--seed", options.seed, SEED_MAX)):
        least = 1 if name == "--steps" else 0
        if value is not None and not least <= value <= most:
            raise WorkflowError(f"{name} is {value}. It can be {least} to {most}.")
    if options.variants and (options.seed or 0) + options.variants - 1 > SEED_MAX:
        raise WorkflowError(
            f"--variants {options.variants} counts up from --seed, and {SEED_MAX} is the most."
        )


def _format(workflow: Workflow, options: argparse.Namespace) -> str | None:
    return _chosen_format(combo_options(workflow.object_info, VIDEO, "format"), options)


def _chosen_format(offered: list[str], options: argparse.Namespace) -> str | None:
    wanted = options.format
    if wanted is None and options.output is not None:
        wanted = SUFFIX_FORMATS.get(options.output.suffix.lower())
    if wanted is None:
        return None
    for name in offered:
        if name.lower().startswith(wanted.lower()):
            return name
    raise WorkflowError(f"There is no video format {wanted!r}; there are: {', '.join(offered)}.")


def _installed(names: list[str]) -> list[str]:
    return [name for name in names if name != NONE_FOUND]


def describe(checkpoints: Checkpoints, is_fast: bool, is_cpu: bool, reasons: Sequence[str] = ()) -> str:
    """Return what a person should know about the checkpoints before the run.

    Args:
        checkpoints: those of the run.
        is_fast: the demo's own few steps are taken.
        is_cpu: there is no GPU in use.
        reasons: why installed ones cannot be used.
    """
    if checkpoints.is_demo:
        why = "because the released ones are not installed."
        if reasons:
            why = "\n  ".join(["because those that are installed cannot be used:", *reasons])
        about = (
            f"Checkpoints: the small demo that comes with the pack, {why}\n"
            "It knows simple drawings at a size of 128 x 192 pixels; the released ones paint far better."
        )
        if is_fast:
            about += "\nIt takes few steps, which cost it nothing (docs/speed.md); --steps 50 takes those of the default workflow."
        return about
    names = f"{checkpoints.single_frame} and {checkpoints.multi_frame}"
    slow = "\nThere is no GPU in use: with checkpoints of this size it takes hours." if is_cpu else ""
    return f"Checkpoints: {names}.{slow}"


@dataclass(frozen=True)
class PreparedRun:
    """A workflow with the options of the command line in it, ready for one picture after the other.

    Attributes:
        workflow: as the page would save it.
        checkpoints: those of both loaders.
        seeds: of the variants; [] for one video.
        segments: of one video.
    """

    workflow: Workflow
    checkpoints: Checkpoints
    seeds: list[int]
    segments: int

    @property
    def video_format(self) -> str:
        """The format of the videos, by its name in the last node."""
        return str(self.workflow.widget(VIDEO, "format"))

    @property
    def ending(self) -> str:
        """The ending of the videos' names; "" for folders of PNG files."""
        return ending_of_format(self.video_format)

    def prompt_of(self, image: str) -> Prompt:
        """Return the prompt for a picture in ComfyUI's input folder."""
        self.workflow.set_widget("LoadImage", "image", image)
        return self.workflow.to_prompt()

    def progress_of(self, prompt: Prompt) -> RunProgress:
        """Return the progress of a prompt, before its first message."""
        count = len(self.seeds) or 1
        return RunProgress(
            prompt,
            {KEYFRAMES: 10 * count, INTERPOLATE: 10 * self.segments * count},
            {KEYFRAMES: count, INTERPOLATE: self.segments * count},
        )

    def results_in(self, outputs: Json) -> list[Json]:
        """Return what the last node shows; [] if the run ended without a video."""
        (video,) = self.workflow.nodes_of_type(VIDEO)
        return outputs.get(str(video["id"]), {}).get("images", [])


def prepare(
    root: Path,
    client: ComfyClient,
    options: argparse.Namespace,
    is_cpu: bool,
    say: Say = print,
    processor: Mapping[str, object] | None = None,
) -> PreparedRun:
    """Choose the checkpoints and the workflow, and set its widgets; `say` is told what a person should know.

    Args:
        root: the pack.
        client: of the server that will paint.
        options: those of paint.py.
        is_cpu: there is no GPU in use.
        say: shows a line.
        processor: what torch says of the processor (paintsundo_models.processor); the demo computes in bfloat16 where
            that is fast.

    Raises:
        CommandError: ComfyUI could not load the pack, or there are no checkpoints.
        WorkflowError: a node does not offer a value; the text lists the offered ones.
    """
    object_info = client.object_info()
    if VIDEO not in object_info:
        raise CommandError("ComfyUI could not load this pack.")
    checkpoints = pick_checkpoints(object_info)
    file = choose_workflow(options, checkpoints)
    reasons = (
        [reason_unusable(client, *entry) for entry in checkpoints.unusable] if checkpoints.is_demo else []
    )
    of_steps = steps_workflow(options, checkpoints)
    say(describe(checkpoints, of_steps == DEMO_WORKFLOW, is_cpu, reasons))
    workflow = Workflow.load(root / file, object_info)
    if options.pace is not None and of_steps != WORKFLOW:
        take_steps(workflow, Workflow.load(root / of_steps, object_info))
    apply_options(workflow, options, checkpoints, say)
    if checkpoints.is_demo and is_cpu and has_fast_bfloat16(processor or {}):
        for loader in (SINGLE_LOADER, MULTI_LOADER):
            workflow.set_widget(loader, "weight_dtype", "bf16")
    segments = planned_segments(workflow, options)
    seeds = []
    if options.variants is not None:
        seeds = add_variants(workflow, int(workflow.widget(KEYFRAMES, "seed")), options.variants)
    return PreparedRun(workflow, checkpoints, seeds, segments)
