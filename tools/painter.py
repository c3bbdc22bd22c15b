"""What paint.py does under the host's Python: a picture through the default workflow, and the server by hand."""

import argparse
import contextlib
import hashlib
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .comfy_client import CancelledRunError, ExecutionError, Json, PromptError
from .host import Host, HostError, has_accelerator, tail, work_folder
from .pictures import PictureError, contact_sheet, load_picture, png_bytes
from .progress import RunProgress
from .server import ComfyServer
from .workflow import Workflow, WorkflowError, combo_options

if TYPE_CHECKING:
    from PIL.Image import Image

WORKFLOW = Path("example_workflows", "paintsundo_default.json")
SINGLE_LOADER, MULTI_LOADER = "PaintsUndoSingleFrameLoader", "PaintsUndoMultiFrameLoader"
TAGGER, KEYFRAMES, PAIRS = "PaintsUndoTagger", "PaintsUndoPredictKeyframes", "PaintsUndoKeyframePairs"
INTERPOLATE, VIDEO = "PaintsUndoInterpolate", "PaintsUndoAssembleVideo"

DEMO_CHECKPOINT = "PaintsUndo demo (built in)"
SEEDED_NAME = "seeded-random-weights"
# Noise does not get better with more; and on two CPU cores the real sizes take half an hour.
SEEDED_STEPS, SEEDED_AREA_PX = 4, 128 * 192
SIZE_MULTIPLE = 64  # of keyframes
SUFFIX_FORMATS = {".gif": "gif", ".webm": "webm"}


@dataclass(frozen=True)
class Checkpoints:
    """The two checkpoints of a run, by their names in the loaders; `kind` is "released", "demo" or "seeded"."""

    kind: str
    single_frame: str
    multi_frame: str


def pick_checkpoints(object_info: Json) -> Checkpoints | None:
    """Choose from what the loaders list: installed ones, else the demo's, else seeded ones, else None.

    Both are of one kind: a real model and a make-believe one together paint nothing.
    """
    lists = [combo_options(object_info, loader, "checkpoint") for loader in (SINGLE_LOADER, MULTI_LOADER)]
    kinds = {
        "released": lambda name: name != DEMO_CHECKPOINT and not name.startswith(("(", SEEDED_NAME)),
        "demo": lambda name: name == DEMO_CHECKPOINT,
        "seeded": lambda name: name.startswith(SEEDED_NAME),
    }
    for kind, belongs in kinds.items():
        found = [[name for name in names if belongs(name)] for names in lists]
        if all(found):
            return Checkpoints(kind, found[0][0], found[1][0])
    return None


@contextlib.contextmanager
def server_errors() -> Iterator[None]:
    """Turn what can go wrong in a run into HostError, whose text paint.py shows."""
    try:
        yield
    except (PictureError, PromptError, WorkflowError, ExecutionError, ConnectionError) as error:
        raise HostError(str(error)) from error
    except CancelledRunError as error:
        raise KeyboardInterrupt from error


def serve(root: Path, host: Host, port: int, use_cpu: bool) -> None:
    """Run ComfyUI with the pack until Ctrl-C, and say where."""
    print("Starting ComfyUI ...")
    with make_server(root, host, port=port, use_cpu=use_cpu) as server:
        print(f"ComfyUI with PaintsUndo is at {server.url}")
        print(f"  workflows: in the page's menu, Workflow > Browse Templates > {server.pack_folder}")
        print(f"  models:    {models_folder(root, host) / 'paintsundo'}")
        print(f"  log:       {server.log}")
        print("Ctrl-C ends it.")
        try:
            code = server.wait()
        except KeyboardInterrupt:
            print("\nEnding ComfyUI.")
            return
        raise HostError(f"ComfyUI ended by itself (exit code {code}):\n{tail(server.log, 25)}")


def models_folder(root: Path, host: Host) -> Path:
    """Models folder of the ComfyUI that runs."""
    return (work_folder(root) / "base" if host.is_pinned else host.comfyui) / "models"


def make_server(
    root: Path, host: Host, *, port: int = 0, use_cpu: bool = False, is_painting: bool = False
) -> ComfyServer:
    """The server of both commands: the pinned host with folders in .host, or a user's own with its own folders."""
    work = work_folder(root)
    return ComfyServer(
        host,
        root,
        work / "run",
        base_directory=work / "base" if host.is_pinned else None,
        models=work / "seeded" / "paintsundo" if is_painting and not host.is_pinned else None,
        port=port,
        use_cpu=use_cpu,
        only_pack=is_painting,
    )


def paint(root: Path, host: Host, options: argparse.Namespace) -> None:
    """Make the painting video of options.picture, show how far it is, and say what came out.

    Raises:
        HostError: anything that went wrong, in words.
    """
    started = time.monotonic()
    with server_errors():
        picture = load_picture(options.picture)
        print(f"{options.picture.name}: {picture.width} x {picture.height} pixels. Starting ComfyUI ...")
        with make_server(root, host, use_cpu=options.cpu, is_painting=True) as server:
            try:
                files, checkpoints = _run(root, host, server, options, picture)
            except ConnectionError as error:
                raise HostError(f"{error}\n{tail(server.log, 25)}\nThe log is {server.log}") from error
            result = _shown(files)
            sheet = contact_sheet(files, result.with_name(result.stem + "_frames.png"))
    _report(result, sheet, models_folder(root, host) / "paintsundo", checkpoints, time.monotonic() - started)


def _run(
    root: Path, host: Host, server: ComfyServer, options: argparse.Namespace, picture: "Image"
) -> tuple[list[Path], Checkpoints]:
    client = server.client
    object_info = client.object_info()
    if VIDEO not in object_info:
        raise HostError(f"ComfyUI could not load this pack:\n{tail(server.log, 40)}\nThe log is {server.log}")
    checkpoints = pick_checkpoints(object_info)
    if checkpoints is None:
        from .seeded_checkpoint import write_seeded_checkpoints

        write_seeded_checkpoints(
            server.models.parent if server.models else models_folder(root, host), name=SEEDED_NAME
        )
        object_info = client.object_info()
        checkpoints = pick_checkpoints(object_info)
        if checkpoints is None:
            raise HostError(f"ComfyUI does not list the seeded checkpoints. The log is {server.log}")
    print(_describe(checkpoints, options.cpu or not has_accelerator(host.python)))
    workflow = Workflow.load(root / WORKFLOW, object_info)
    data = png_bytes(picture)
    workflow.set_widget("LoadImage", "image", client.upload_image(data, upload_name(options.picture, data)))
    apply_options(workflow, options, checkpoints)
    if checkpoints.kind == "seeded":
        width, height = small_size(picture.width, picture.height)
        workflow.set_widget(KEYFRAMES, "width", width)
        workflow.set_widget(KEYFRAMES, "height", height)
        workflow.set_widget(INTERPOLATE, "resolution", "size of the pictures")
    prompt = workflow.to_prompt()
    segments = len(str(workflow.widget(KEYFRAMES, "operation_steps")).split(",")) + 1
    progress = RunProgress(prompt, {KEYFRAMES: 10, INTERPOLATE: 10 * segments}, {INTERPOLATE: segments})
    with progress_bar(progress) as show:

        def follow(kind: str, data: Json) -> None:
            progress.feed(kind, data)
            show()

        outputs = client.run(prompt, workflow.graph, follow)
    (video,) = workflow.nodes_of_type(VIDEO)
    results = outputs.get(str(video["id"]), {}).get("images", [])
    if not results:
        raise HostError(f"The workflow ended without a video. The log is {server.log}")
    return _download(server, results, options, root), checkpoints


def upload_name(path: Path, data: bytes) -> str:
    """Name in the input folder: of one content alone, so that nobody's file is replaced and old graphs stay right."""
    return f"{re.sub(r'[^A-Za-z0-9-]+', '_', path.stem)}_{hashlib.sha256(data).hexdigest()[:8]}.png"


def apply_options(workflow: Workflow, options: argparse.Namespace, checkpoints: Checkpoints) -> None:
    """Set the graph's widgets as the command line says.

    Raises:
        WorkflowError: a value that a node does not offer, with those that it does.
    """
    workflow.set_widget(SINGLE_LOADER, "checkpoint", checkpoints.single_frame)
    workflow.set_widget(MULTI_LOADER, "checkpoint", checkpoints.multi_frame)
    steps = options.steps or (SEEDED_STEPS if checkpoints.kind == "seeded" else None)
    prompt = options.prompt
    if prompt is None and not _installed(combo_options(workflow.object_info, TAGGER, "tagger")):
        prompt = ""
        print("No tagger is installed, so nothing tells the model what the picture shows; --prompt can.")
    if prompt is not None:
        workflow.mute(TAGGER)
    for node_type, widget, value in (
        (KEYFRAMES, "prompt", prompt),
        (KEYFRAMES, "seed", options.seed),
        (KEYFRAMES, "steps", steps),
        (KEYFRAMES, "operation_steps", options.operation_steps),
        (PAIRS, "seed", options.seed),
        (INTERPOLATE, "steps", steps),
        (VIDEO, "format", _format(workflow, options)),
    ):
        if value is not None:
            workflow.set_widget(node_type, widget, value)


def small_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of keyframes of SEEDED_AREA_PX in about a picture's shape."""
    scale = math.sqrt(SEEDED_AREA_PX / (width * height))
    sides = (round(side * scale / SIZE_MULTIPLE) * SIZE_MULTIPLE for side in (width, height))
    short, long = SIZE_MULTIPLE, 16 * SIZE_MULTIPLE
    wide, high = (min(max(side, short), long) for side in sides)
    return wide, high


def _format(workflow: Workflow, options: argparse.Namespace) -> str | None:
    offered = combo_options(workflow.object_info, VIDEO, "format")
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
    return [name for name in names if not name.startswith("(")]  # "(none found)" stands in an empty list


def _describe(checkpoints: Checkpoints, is_cpu: bool) -> str:
    names = f"{checkpoints.single_frame} and {checkpoints.multi_frame}"
    if checkpoints.kind == "released":
        slow = "\nThere is no GPU in use: with checkpoints of this size it takes hours." if is_cpu else ""
        return f"Checkpoints: {names}.{slow}"
    if checkpoints.kind == "demo":
        return "Checkpoints: the small demo that comes with the pack. The released ones paint far better."
    return (
        "No PaintsUndo checkpoints are installed, so this run uses tiny ones made on the spot.\n"
        "Their weights are random numbers: the video shows that the pipeline works, not a painting."
    )


@contextlib.contextmanager
def progress_bar(progress: RunProgress) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; where the output is no terminal, a line for each node."""
    if not sys.stdout.isatty():
        said: list[str] = []

        def say() -> None:
            node = progress.label.split(",")[0]
            if node and node not in said[-1:]:
                said.append(node)
                print(f"{progress.fraction:4.0%}  {node}", flush=True)

        yield say
        print("100%")
        return
    from tqdm import tqdm

    layout = "{percentage:3.0f}% |{bar:30}| {elapsed}<{remaining}  {desc}"
    with tqdm(total=1.0, bar_format=layout, file=sys.stdout, dynamic_ncols=True) as bar:

        def show() -> None:
            bar.n = progress.fraction
            bar.set_description_str(progress.label)

        yield show
        bar.n = 1.0
        bar.set_description_str("done")


def _download(
    server: ComfyServer, results: list[Json], options: argparse.Namespace, root: Path
) -> list[Path]:
    """Fetch the video, or the pictures of a sequence into a folder."""
    first = Path(results[0]["filename"])
    is_sequence = first.suffix == ".png"
    suffix = "" if is_sequence else first.suffix
    if options.output:
        target = options.output.resolve().with_suffix(suffix)
    else:
        target = unused_path(root / "output" / f"{options.picture.stem}_painting{suffix}")
    if is_sequence:
        return [server.client.download(result, target / result["filename"]) for result in results]
    return [server.client.download(results[0], target)]


def unused_path(path: Path) -> Path:
    """`path`, or the first of path-2, path-3, ... that does not exist."""
    number = 1
    candidate = path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate


def _shown(files: list[Path]) -> Path:
    """What the person asked for: the video, or the folder of the sequence."""
    return files[0].parent if files[0].suffix == ".png" else files[0]


def _report(result: Path, sheet: Path, models: Path, checkpoints: Checkpoints, seconds: float) -> None:
    print(f"\nVideo:          {result}")
    print(f"Contact sheet:  {sheet}")
    print(f"Time:           {seconds // 60:.0f} min {seconds % 60:.0f} s")
    print("\nNext:")
    print(
        "  python paint.py --serve   opens ComfyUI with these nodes; drop the video on its page to see the graph"
    )
    if checkpoints.kind != "released":
        print(f"  README.md, Models         says which files to put into {models}")
