"""The work of paint.py under ComfyUI's Python: run a picture through the default workflow, or serve ComfyUI."""

import argparse
import contextlib
import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paintsundo_models.constants import DEMO_NAME, NONE_FOUND, SEED_MAX, UNUSABLE
from paintsundo_models.operation_steps import parse_operation_steps

from .comfy_client import CancelledRunError, ExecutionError, Json, PromptError
from .command import CommandError
from .destination import beside, ending_of, result_path, try_destination, unused_path
from .installation import Installation, has_accelerator
from .pictures import PictureError, contact_sheet, load_picture, png_bytes
from .pinned_comfyui import tail, work_folder
from .progress import RunProgress, progress_bar
from .server import ComfyServer
from .variants import add_variants, results_of_videos, variants_sheet
from .workflow import Workflow, WorkflowError, combo_options, template

if TYPE_CHECKING:
    from PIL.Image import Image

WORKFLOW, FAST_WORKFLOW, PACED_WORKFLOW = template("default"), template("fast"), template("paced")
SINGLE_LOADER, MULTI_LOADER = "PaintsUndoSingleFrameLoader", "PaintsUndoMultiFrameLoader"
TAGGER, KEYFRAMES, PAIRS = "PaintsUndoTagger", "PaintsUndoPredictKeyframes", "PaintsUndoKeyframePairs"
INTERPOLATE, VIDEO = "PaintsUndoInterpolate", "PaintsUndoAssembleVideo"
PLAN = "PaintsUndoPlanSteps"
PACES = {"equal": "equal change", "ease": "ease"}
SMOOTH_FPS = 24  # of a video whose length is given

SUFFIX_FORMATS = {".gif": "gif", ".webm": "webm"}


@dataclass(frozen=True)
class Checkpoints:
    """The two checkpoints of a run, by their names in the loaders."""

    is_demo: bool
    single_frame: str
    multi_frame: str


def pick_checkpoints(object_info: Json) -> Checkpoints:
    """Choose checkpoints from the lists of both loaders: installed ones, or else the demo that comes with the pack.

    An installed checkpoint is never combined with the demo, because together they paint nothing useful.

    Raises:
        CommandError: neither is complete, because the demo's files are missing too.
    """
    lists = [combo_options(object_info, loader, "checkpoint") for loader in (SINGLE_LOADER, MULTI_LOADER)]
    installed = [
        [name for name in names if name != DEMO_NAME and not name.endswith(UNUSABLE)] for names in lists
    ]
    if all(installed):
        return Checkpoints(False, installed[0][0], installed[1][0])
    if all(DEMO_NAME in names for names in lists):
        return Checkpoints(True, DEMO_NAME, DEMO_NAME)
    raise CommandError(
        "No PaintsUndo checkpoints are installed, and the demo's files are missing from paintsundo_models/demo. "
        "Get the pack anew, or install the released checkpoints (README.md, Models)."
    )


@contextlib.contextmanager
def server_errors() -> Iterator[None]:
    """Turn the errors of a run into CommandError, whose text the command shows."""
    try:
        yield
    except (PictureError, PromptError, WorkflowError, ExecutionError, OSError) as error:
        raise CommandError(str(error)) from error
    except CancelledRunError as error:
        raise KeyboardInterrupt from error


def serve(root: Path, installation: Installation, port: int, use_cpu: bool) -> None:
    """Run ComfyUI with the pack until Ctrl-C, and print its address and folders."""
    print("Starting ComfyUI ...")
    with make_server(
        root, installation, port=port, use_cpu=use_cpu, extra_args=("--preview-method", "auto")
    ) as server:
        print(f"ComfyUI with PaintsUndo is at {server.url}")
        print(f"  workflows: in the page's menu, Workflow > Browse Templates > {server.pack_folder}")
        print(f"  models:    {models_folder(root, installation) / 'paintsundo'}")
        print(f"  log:       {server.log}")
        print("Ctrl-C ends it.")
        try:
            code = server.wait()
        except KeyboardInterrupt:
            print("\nEnding ComfyUI.")
            return
        raise CommandError(f"ComfyUI ended by itself (exit code {code}):\n{tail(server.log, 25)}")


def models_folder(root: Path, installation: Installation) -> Path:
    """Return the models folder of the ComfyUI that runs."""
    return (work_folder(root) / "base" if installation.is_pinned else installation.comfyui) / "models"


def make_server(
    root: Path,
    installation: Installation,
    *,
    port: int = 0,
    use_cpu: bool = False,
    is_painting: bool = False,
    extra_args: Sequence[str] = (),
) -> ComfyServer:
    """Return the server: the pinned ComfyUI with its folders in .host, or the user's ComfyUI with the user's folders."""
    work = work_folder(root)
    return ComfyServer(
        installation,
        root,
        work / "run",
        base_directory=work / "base" if installation.is_pinned else None,
        port=port,
        use_cpu=use_cpu,
        only_pack=is_painting,
        extra_args=extra_args,
    )


def paint(root: Path, installation: Installation, options: argparse.Namespace) -> None:
    """Make the painting video of options.picture, show how far it is, and say what came out.

    Raises:
        CommandError: anything that went wrong, in words.
    """
    started = time.monotonic()
    with server_errors():
        check_options(options)
        try_destination(options, root)
        picture = load_picture(options.picture, note=lambda text: print(f"{options.picture.name}: {text}"))
        print(f"{options.picture.name}: {picture.width} x {picture.height} pixels. Starting ComfyUI ...")
        with make_server(root, installation, use_cpu=options.cpu, is_painting=True) as server:
            try:
                videos, checkpoints = _run(root, installation, server, options, picture)
            except ConnectionError as error:
                raise CommandError(f"{error}\n{tail(server.log, 25)}\nThe log is {server.log}") from error
            results = [_shown(files) for files in videos]
            sheets = [
                contact_sheet(files, unused_path(beside(result, "_frames.png")))
                for files, result in zip(videos, results, strict=True)
            ]
    _report(
        results,
        sheets,
        models_folder(root, installation) / "paintsundo",
        checkpoints,
        time.monotonic() - started,
    )


def _run(
    root: Path, installation: Installation, server: ComfyServer, options: argparse.Namespace, picture: "Image"
) -> tuple[list[list[Path]], Checkpoints]:
    client = server.client
    object_info = client.object_info()
    if VIDEO not in object_info:
        raise CommandError(
            f"ComfyUI could not load this pack:\n{tail(server.log, 40)}\nThe log is {server.log}"
        )
    checkpoints = pick_checkpoints(object_info)
    file = choose_workflow(options, checkpoints)
    print(
        _describe(
            checkpoints,
            paints_fast(options, checkpoints),
            options.cpu or not has_accelerator(installation.python),
        )
    )
    workflow = Workflow.load(root / file, object_info)
    data = png_bytes(picture)
    workflow.set_widget("LoadImage", "image", client.upload_image(data, upload_name(options.picture, data)))
    if options.pace is not None and paints_fast(options, checkpoints):
        take_fast_steps(workflow, Workflow.load(root / FAST_WORKFLOW, object_info))
    apply_options(workflow, options, checkpoints)
    segments = planned_segments(workflow, options)
    target = result_path(options, root, str(workflow.widget(VIDEO, "format")))
    seeds = []
    if options.variants is not None:
        first = int(workflow.widget(KEYFRAMES, "seed"))
        seeds = add_variants(workflow, first, options.variants)
    prompt = workflow.to_prompt()
    count = len(seeds) or 1
    progress = RunProgress(
        prompt,
        {KEYFRAMES: 10 * count, INTERPOLATE: 10 * segments * count},
        {KEYFRAMES: count, INTERPOLATE: segments * count},
    )
    with progress_bar(progress) as show:

        def follow(kind: str, data: Json) -> None:
            progress.feed(kind, data)
            show()

        if seeds:
            sheet = unused_path(beside(target, "_variants.png"))
            variants_sheet(client, prompt, seeds, sheet, follow)
            print(f"\nAll variants:   {sheet}\nCtrl-C ends here; --seed makes the one that you like alone.")
        outputs = client.run(prompt, workflow.graph, follow)
    (video,) = workflow.nodes_of_type(VIDEO)
    results = outputs.get(str(video["id"]), {}).get("images", [])
    if not results:
        raise CommandError(f"The workflow ended without a video. The log is {server.log}")
    if not seeds:
        return [_download(server, results, target)], checkpoints
    return download_variants(server, results, target, seeds), checkpoints


def paints_fast(options: argparse.Namespace, checkpoints: Checkpoints) -> bool:
    """Whether fewer steps are taken: for --fast, and for the demo, whose results it does not change, unless steps are given."""
    return options.fast or (checkpoints.is_demo and options.steps is None)


def choose_workflow(options: argparse.Namespace, checkpoints: Checkpoints) -> Path:
    """The workflow that the options ask for."""
    if options.pace is not None:
        return PACED_WORKFLOW
    return FAST_WORKFLOW if paints_fast(options, checkpoints) else WORKFLOW


def take_fast_steps(workflow: Workflow, fast: Workflow) -> None:
    """Give a workflow the numbers of steps and the samplers of the fast one."""
    for node_type in (KEYFRAMES, INTERPOLATE):
        for widget in ("steps", "sampler_name"):
            workflow.set_widget(node_type, widget, fast.widget(node_type, widget))


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


def apply_options(workflow: Workflow, options: argparse.Namespace, checkpoints: Checkpoints) -> None:
    """Set the widgets of the workflow to the options of the command line.

    Raises:
        WorkflowError: a node does not offer a value; the text lists the offered ones.
    """
    workflow.set_widget(SINGLE_LOADER, "checkpoint", checkpoints.single_frame)
    workflow.set_widget(MULTI_LOADER, "checkpoint", checkpoints.multi_frame)
    prompt = options.prompt
    if prompt is None and not _installed(combo_options(workflow.object_info, TAGGER, "tagger")):
        prompt = ""
        print("No tagger is installed, so nothing tells the model what the picture shows; --prompt can.")
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

    _chosen_format(list(VIDEO_FORMATS), options)
    if options.operation_steps is not None:
        segment_count(options.operation_steps)
    for name, value, most in (("--steps", options.steps, 1000), ("--seed", options.seed, SEED_MAX)):
        least = 1 if name == "--steps" else 0
        if value is not None and not least <= value <= most:
            raise WorkflowError(f"{name} is {value}. It can be {least} to {most}.")


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


def _describe(checkpoints: Checkpoints, is_fast: bool, is_cpu: bool) -> str:
    if checkpoints.is_demo:
        about = (
            "Checkpoints: the small demo that comes with the pack, because the released ones are not installed.\n"
            "It knows simple drawings at a size of 128 x 192 pixels; the released ones paint far better."
        )
        if is_fast:
            about += "\nIt runs with the settings of --fast, which cost it nothing; --steps 50 takes those of the default workflow."
        return about
    names = f"{checkpoints.single_frame} and {checkpoints.multi_frame}"
    slow = "\nThere is no GPU in use: with checkpoints of this size it takes hours." if is_cpu else ""
    return f"Checkpoints: {names}.{slow}"


def _download(server: ComfyServer, results: list[Json], target: Path) -> list[Path]:
    """Download the video, or the pictures of a sequence into a folder."""
    target = unused_path(target)  # check again, because the run may have taken hours
    if not ending_of(target):
        return [server.client.download(result, target / result["filename"]) for result in results]
    return [server.client.download(results[0], target)]


def download_variants(
    server: ComfyServer, results: list[Json], target: Path, seeds: list[int]
) -> list[list[Path]]:
    """Download the videos of several variants, each under a name with its seed."""
    ending = ending_of(target)
    videos = results_of_videos(results, ending)
    return [
        _download(server, files, beside(target, f"_seed{seed}{ending}"))
        for files, seed in zip(videos, seeds, strict=True)
    ]


def _shown(files: list[Path]) -> Path:
    """What the person asked for: the video, or the folder of the sequence."""
    return files[0].parent if files[0].suffix == ".png" else files[0]


def _report(
    results: list[Path], sheets: list[Path], models: Path, checkpoints: Checkpoints, seconds: float
) -> None:
    print()
    for result, sheet in zip(results, sheets, strict=True):
        print(f"Video:          {result}")
        print(f"Contact sheet:  {sheet}")
    print(f"Time:           {seconds // 60:.0f} min {seconds % 60:.0f} s")
    print("\nNext:")
    print(
        "  python paint.py --serve   opens ComfyUI with these nodes; drop the video on its page to see the graph"
    )
    if checkpoints.is_demo:
        print(
            f"  python paint.py --download   gets the released models, which paint far better, into {models}"
        )
