"""The work of paint.py under ComfyUI's Python for one picture, and ComfyUI by hand."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .comfy_client import Json
from .command import CommandError
from .destination import beside, ending_of, result_path, try_destination, unused_path
from .installation import Installation
from .painting import Checkpoints, check_options, upload_name
from .pictures import contact_sheet, load_picture, png_bytes
from .pinned_comfyui import tail
from .progress import progress_bar
from .server import ComfyServer
from .studio import (
    GONE,
    download_result,
    download_videos,
    home_of,
    make_server,
    models_folder,
    prepared,
    server_errors,
    shown,
)
from .variants import variants_sheet

if TYPE_CHECKING:
    from PIL.Image import Image


def serve(root: Path, installation: Installation, port: int, use_cpu: bool) -> None:
    """Run ComfyUI with the pack until Ctrl-C, and print its address and folders."""
    print("Starting ComfyUI ...")
    with make_server(
        root, installation, port=port, use_cpu=use_cpu, extra_args=("--preview-method", "auto")
    ) as server:
        print(f"ComfyUI with PaintsUndo is at {server.url}")
        print(f"  workflows: in the page's menu, Workflow > Browse Templates > {server.pack_folder}")
        print(f"  models:    {models_folder(installation) / 'paintsundo'}")
        print(f"  log:       {server.log}")
        print("Ctrl-C ends it.")
        try:
            code = server.wait()
        except KeyboardInterrupt:
            print("\nEnding ComfyUI.")
            return
        raise CommandError(f"ComfyUI ended by itself (exit code {code}):\n{tail(server.log, 25)}")


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
            results = [shown(files) for files in videos]
            sheets = [_sheet_of(files) for files in videos]
    _report(
        results,
        sheets,
        models_folder(installation) / "paintsundo",
        checkpoints,
        time.monotonic() - started,
    )


def _run(
    root: Path, installation: Installation, server: ComfyServer, options: argparse.Namespace, picture: "Image"
) -> tuple[list[list[Path]], Checkpoints]:
    client = server.client
    run = prepared(root, installation, server, options, print)
    data = png_bytes(picture)
    prompt = run.prompt_of(client.upload_image(data, upload_name(options.picture, data)))
    target = result_path(options, root, run.video_format)
    progress = run.progress_of(prompt)
    with progress_bar(progress) as show:

        def follow(kind: str, message: Json) -> None:
            progress.feed(kind, message)
            show()

        if run.seeds:
            sheet = unused_path(beside(target, "_variants.png"))
            variants_sheet(client, prompt, run.seeds, sheet, follow)
            print(f"\nAll variants:   {sheet}\nCtrl-C ends here; --seed makes the one that you like alone.")
        outputs = client.run(prompt, run.workflow.graph, follow)
    results = run.results_in(outputs)
    if not results:
        raise CommandError(f"The workflow ended without a video. The log is {server.log}")
    output = home_of(installation) / "output"

    def save(server: ComfyServer, files: list[Json], path: Path) -> list[Path]:
        return _download(server, files, path, output)

    return download_videos(server, run, results, target, save), run.checkpoints


def _download(server: ComfyServer, results: list[Json], target: Path, output: Path) -> list[Path]:
    """Download the video, or the pictures of a sequence into a folder; `output` is ComfyUI's output folder.

    Raises:
        CommandError: it cannot be written; the text says where ComfyUI has it.
    """
    target = unused_path(target)  # check again, because the run may have taken hours
    try:
        return download_result(server, results, target)
    except GONE:
        raise
    except OSError as error:
        survivor = output / results[0]["subfolder"]
        if ending_of(target):
            survivor /= results[0]["filename"]
        raise CommandError(
            f"{target} could not be written: {error.strerror or error}. ComfyUI has kept what it made: {survivor}"
        ) from error


def _sheet_of(files: list[Path]) -> Path:
    result = shown(files)
    try:
        return contact_sheet(files, unused_path(beside(result, "_frames.png")))
    except OSError as error:
        raise CommandError(
            f"The video is {result}, but its contact sheet could not be written: {error.strerror or error}."
        ) from error


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
