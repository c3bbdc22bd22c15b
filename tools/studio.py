"""One ComfyUI with the pack that paints one picture after the other, each into files in a folder."""

import argparse
import contextlib
import http.client
import urllib.error
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .comfy_client import CancelledRunError, ExecutionError, Json, Prompt, PromptError
from .command import CommandError
from .destination import beside, ending_of
from .installation import Installation, has_accelerator, processor_capabilities
from .painting import PreparedRun, Say, prepare, upload_name
from .pictures import PictureError, contact_sheet, load_picture, png_bytes
from .pinned_comfyui import tail, work_folder
from .progress import RunProgress
from .server import ComfyServer
from .variants import results_of_videos, variants_sheet
from .workflow import WorkflowError

if TYPE_CHECKING:
    from PIL.Image import Image

GONE = (ConnectionError, urllib.error.URLError, http.client.HTTPException)
"""What a client raises when its ComfyUI has ended."""

Watch = Callable[[RunProgress], None]
Result = TypeVar("Result")


class PaintingError(RuntimeError):
    """A picture could not be painted; others may do well."""


@contextlib.contextmanager
def server_errors() -> Iterator[None]:
    """Turn the errors of a run into CommandError, whose text the command shows."""
    try:
        yield
    except (PictureError, PromptError, WorkflowError, ExecutionError, PaintingError, OSError) as error:
        raise CommandError(str(error)) from error
    except CancelledRunError as error:
        raise KeyboardInterrupt from error


def home_of(installation: Installation) -> Path:
    """Return the folder of the models, output and so on of the ComfyUI that runs."""
    return installation.comfyui.parent / "base" if installation.is_pinned else installation.comfyui


def models_folder(installation: Installation) -> Path:
    """Return the models folder of the ComfyUI that runs."""
    return home_of(installation) / "models"


def make_server(
    root: Path,
    installation: Installation,
    *,
    port: int = 0,
    use_cpu: bool = False,
    is_painting: bool = False,
    apart_with: Sequence[Path] | None = None,
    extra_args: Sequence[str] = (),
) -> ComfyServer:
    """Return the server: the pinned ComfyUI with its folders in .host, or the user's ComfyUI with the user's folders."""
    return ComfyServer(
        installation,
        root,
        work_folder(root) / "run",
        base_directory=home_of(installation) if installation.is_pinned else None,
        port=port,
        use_cpu=use_cpu,
        only_pack=is_painting,
        apart_with=apart_with,
        extra_args=extra_args,
    )


def prepared(
    root: Path, installation: Installation, server: ComfyServer, options: argparse.Namespace, say: Say
) -> PreparedRun:
    """Prepare a run on a server; what the server's log says is added if it could not load the pack."""
    is_cpu = options.cpu or not has_accelerator(installation.python)
    try:
        processor = processor_capabilities(installation.python) if is_cpu else None
        return prepare(root, server.client, options, is_cpu, say, processor)
    except CommandError as error:
        raise CommandError(f"{error}\n{tail(server.log, 40)}\nThe log is {server.log}") from error


def download_result(server: ComfyServer, results: list[Json], target: Path) -> list[Path]:
    """Download the video, or the pictures of a sequence into a folder."""
    if not ending_of(target):
        return [server.client.download(result, target / result["filename"]) for result in results]
    return [server.client.download(results[0], target)]


def download_videos(
    server: ComfyServer,
    run: PreparedRun,
    results: list[Json],
    target: Path,
    save: Callable[[ComfyServer, list[Json], Path], list[Path]] = download_result,
) -> list[list[Path]]:
    """Download what a run has made, the files of each video: that of one video as `target`, others with their seeds."""
    if not run.seeds:
        return [save(server, results, target)]
    ending = ending_of(target)
    return [
        save(server, files, beside(target, f"_seed{seed}{ending}"))
        for files, seed in zip(results_of_videos(results, ending), run.seeds, strict=True)
    ]


def shown(files: list[Path]) -> Path:
    """Return what the person asked for: the video, or the folder of the sequence."""
    return files[0].parent if files[0].suffix == ".png" else files[0]


class Studio:
    """A ComfyUI that paints pictures one after the other; a context manager.

    It is started for the first picture, and again if it has ended: the picture that it had is then begun anew, once.

    Args:
        root: the pack.
        installation: the ComfyUI, and the Python that runs it.
        options: those of paint.py.
        say: told what a person should know about the checkpoints, at the first start.
        more_nodes: folders of custom nodes that ComfyUI loads beside the pack.
    """

    def __init__(
        self,
        root: Path,
        installation: Installation,
        options: argparse.Namespace,
        say: Say = print,
        more_nodes: Sequence[Path] = (),
    ) -> None:
        self._root, self._installation, self._options = root, installation, options
        self._say, self._more_nodes = say, more_nodes
        self._server: ComfyServer | None = None
        self._run: PreparedRun | None = None

    def __enter__(self) -> "Studio":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def checkpoints(self) -> list[str]:
        """Names of the checkpoints, [] before the first start."""
        chosen = self._run.checkpoints if self._run is not None else None
        return [chosen.single_frame, chosen.multi_frame] if chosen else []

    def stop(self) -> None:
        """End ComfyUI; the next picture starts it again."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def start(self) -> tuple[ComfyServer, PreparedRun]:
        """Return the server and the workflow; starts ComfyUI if it is not running.

        Raises:
            CommandError: ComfyUI does not start, or cannot run the workflow with these options.
        """
        if self._server is None or not self._server.is_running or self._run is None:
            self.stop()
            server = make_server(
                self._root,
                self._installation,
                use_cpu=self._options.cpu,
                is_painting=True,
                apart_with=self._more_nodes,
            )
            self._server = server.__enter__()
            with server_errors():
                self._run = prepared(self._root, self._installation, server, self._options, self._say)
            self._say = lambda text: None
        return self._server, self._run

    def paint(self, picture: Path, folder: Path, watch: Watch, note: Say) -> list[Path]:
        """Paint a picture into `folder`; return the files and folders there, the videos last.

        Their names begin with "painting": painting.mp4, painting_frames.png, painting_seed7.mp4.

        Args:
            picture: the file.
            folder: an empty one.
            watch: called with the progress after every message of ComfyUI.
            note: told what was wrong with the file, if it could be read all the same.

        Raises:
            PictureError: the file is no picture.
            ExecutionError: a node failed.
            PaintingError: ComfyUI has ended twice, or made no video.
            CommandError: ComfyUI cannot be started.
        """
        image = load_picture(picture, note=note)
        return self._again_if_ended(lambda: self._paint(image, folder, picture, watch))

    def part(
        self,
        picture: Path,
        change: Callable[[Prompt], Prompt],
        given: Mapping[str, bytes],
        note: Say = lambda text: None,
    ) -> tuple[Json, ComfyServer]:
        """Run a part of the workflow; return its outputs by node id, and the server, which has its files.

        Args:
            picture: the file.
            change: makes the part from the whole prompt.
            given: files that the part reads in ComfyUI's input folder, by name.
            note: as in `paint`.

        Raises:
            As `paint`.
        """
        image = load_picture(picture, note=note)

        def work() -> tuple[Json, ComfyServer]:
            server, run = self.start()
            server.empty()
            prompt = change(self._prompt_of(image, picture))
            for name, content in given.items():
                (server.folder("input") / name).write_bytes(content)
            return server.client.run(prompt, run.workflow.graph), server

        return self._again_if_ended(work)

    def _prompt_of(self, image: "Image", picture: Path) -> Prompt:
        server, run = self.start()
        data = png_bytes(image)
        return run.prompt_of(server.client.upload_image(data, upload_name(picture, data)))

    def _again_if_ended(self, work: Callable[[], Result]) -> Result:
        """Do some work with the server; once more if ComfyUI ends while it is done."""
        try:
            return work()
        except GONE:
            self.stop()
            try:
                return work()
            except GONE as error:
                raise PaintingError(
                    f"ComfyUI has ended twice at this picture. {error}{self._log()}"
                ) from error

    def _log(self) -> str:
        log = self._server.log if self._server is not None else None
        return f"\n{tail(log, 25)}\nThe log is {log}" if log is not None else ""

    def _paint(self, image: "Image", folder: Path, picture: Path, watch: Watch) -> list[Path]:
        server, run = self.start()
        server.empty()
        server.client.forget_history()
        prompt = self._prompt_of(image, picture)
        progress = run.progress_of(prompt)

        def follow(kind: str, message: Json) -> None:
            progress.feed(kind, message)
            watch(progress)

        files: list[Path] = []
        if run.seeds:
            sheet = folder / "painting_variants.png"
            files.append(variants_sheet(server.client, prompt, run.seeds, sheet, follow))
        outputs = server.client.run(prompt, run.workflow.graph, follow)
        return [*files, *self.collect(outputs, folder)]

    def collect(self, outputs: Json, folder: Path) -> list[Path]:
        """Download the videos that a run has made, with a contact sheet of each; return the sheets, then the videos."""
        server, run = self.start()
        results = run.results_in(outputs)
        if not results:
            raise PaintingError(f"The workflow ended without a video. The log is {server.log}")
        videos = download_videos(server, run, results, folder / f"painting{run.ending}")
        sheets = [contact_sheet(files, beside(shown(files), "_frames.png")) for files in videos]
        return [*sheets, *map(shown, videos)]
