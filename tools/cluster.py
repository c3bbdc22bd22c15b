"""Many pictures on the machines of a Ray cluster: Ray starts the workers, restarts them, and moves pictures and results."""

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from . import by_segment
from .batch import FAILURES, Batch, Due, paint_all, paint_one
from .command import CommandError
from .installation import Installation, ensure_installation, is_comfyui
from .studio import PaintingError, Studio

ROOT = Path(__file__).resolve().parent.parent
CORES = 2  # of a worker without a GPU
ATTEMPTS = 3  # workers that may end at one picture before it counts as failed
START_TRIES, RETURN_TRIES = (
    3,
    300,
)  # one a second, until a worker that does not start, or come back, is left out
NOT_SENT = [
    ".git",
    ".host",
    "output",
    "tests",
    "docs",
    "assets",
    "training",
    "benchmarks",
    "**/__pycache__",
    "*.jpg",
]
"""What the workers do not need of the pack; its copy is sent to every machine."""


class Outcome(NamedTuple):
    """What a worker has made of a picture."""

    files: dict[str, bytes]  # by their paths, the videos last
    about: dict[str, Any]  # what the manifest says of them
    notes: list[str]  # what was wrong with the file, though it could be read


class Worker:
    """The actor: one ComfyUI with the pack on one machine. Its methods take the bytes of a picture file and its name.

    Args:
        options: those of paint.py.
        of_driver: the installation of the machine that gives the work out.
    """

    def __init__(self, options: argparse.Namespace, of_driver: str) -> None:
        self._options, self._of_driver = options, of_driver
        self._told: list[str] = []
        self._studio: Studio | None = None

    def ready(self) -> tuple[str, list[str]]:
        """Start ComfyUI; return the machine's name, and what a person should know about the checkpoints.

        Raises:
            CommandError: there is no ComfyUI, or it cannot run the workflow.
        """
        self._open().start()
        return socket.gethostname(), self._told

    def stop(self) -> None:
        """End ComfyUI."""
        if self._studio is not None:
            self._studio.stop()

    def paint(self, name: str, data: bytes) -> Outcome:
        """Paint a whole picture. Raises PaintingError: this picture cannot be painted; CommandError: no picture can."""
        notes: list[str] = []
        with _picture(name, data) as picture:
            folder = picture.parent.with_name("results")
            painted = paint_one(self._open(), picture, folder, lambda progress: None, notes.append)
            return Outcome(_packed(painted.files), painted.about, notes)

    def keyframes(self, name: str, data: bytes) -> tuple[int, bytes]:
        """Make the keyframes; return the number of segments, and the keyframes. Raises as `paint`."""
        with _picture(name, data) as picture:
            outputs, server = self._open().part(picture, by_segment.keyframes_part, {})
            kept = server.folder("output") / by_segment.KEPT
            return by_segment.count_of_segments(outputs), kept.read_bytes()

    def segment(self, name: str, data: bytes, number: int, keyframes: bytes) -> tuple[None, bytes]:
        """Make one segment; return its frames. Raises as `paint`."""
        with _picture(name, data) as picture:
            given = {by_segment.KEYFRAMES_FILE: keyframes}
            _, server = self._open().part(
                picture, lambda prompt: by_segment.segment_part(prompt, number), given
            )
            return None, (server.folder("output") / by_segment.KEPT).read_bytes()

    def video(self, name: str, data: bytes, keyframes: bytes, *segments: bytes) -> Outcome:
        """Make the video of all segments. Raises as `paint`."""
        files = {f"segment{number:05}.safetensors": content for number, content in enumerate(segments)}
        with _picture(name, data) as picture:
            studio = self._open()
            given = {by_segment.KEYFRAMES_FILE: keyframes, **files}
            notes: list[str] = []
            outputs, _ = studio.part(
                picture, lambda prompt: by_segment.video_part(prompt, list(files)), given, notes.append
            )
            folder = picture.parent.with_name("results")
            folder.mkdir()
            painted = studio.collect(outputs, folder)
            return Outcome(_packed(painted), {"checkpoints": studio.checkpoints}, notes)

    def _open(self) -> Studio:
        if self._studio is None:
            installation = installation_here(Installation.decode(self._of_driver))
            more = [by_segment.NODES] if self._options.by == "segment" else []
            self._studio = Studio(ROOT, installation, self._options, self._told.append, more)
        return self._studio


def installation_here(of_driver: Installation) -> Installation:
    """Return this machine's ComfyUI: the one that COMFYUI_PATH names, else that of the driver if it is here too.

    Raises:
        CommandError: there is none.
    """
    if os.environ.get("COMFYUI_PATH"):
        return ensure_installation(ROOT)
    if of_driver.python.is_file() and is_comfyui(of_driver.comfyui):
        return of_driver
    raise CommandError(
        f"{socket.gethostname()} has no ComfyUI: COMFYUI_PATH is not set there, and {of_driver.comfyui} is not there. "
        "Set COMFYUI_PATH before `ray start` on that machine."
    )


@contextlib.contextmanager
def _picture(name: str, data: bytes) -> Iterator[Path]:
    """Yield a file with the content and the name of a picture; what is wrong with one picture becomes a PaintingError."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "picture", PurePosixPath(name).name)
        picture.parent.mkdir()
        picture.write_bytes(data)
        try:
            yield picture
        except FAILURES as error:
            # As a plain text, for an error with parts does not get through to the driver.
            raise PaintingError(str(error).replace(str(picture), name)) from None


def _packed(paths: list[Path]) -> dict[str, bytes]:
    """Return the content of files, and of the files in folders, by their paths below the common folder."""
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    top = paths[0].parent
    return {file.relative_to(top).as_posix(): file.read_bytes() for file in files}


def _unpacked(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write packed files into a folder, which is made or emptied first; return what lies at its top, in the same order."""
    shutil.rmtree(folder, ignore_errors=True)
    tops: dict[Path, None] = {}
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        tops[folder / PurePosixPath(name).parts[0]] = None
    return list(tops)


class Crew:
    """The workers, seen from the driver: who is free, who has ended and is expected back, and who is left out.

    Args:
        workers: handles of the actors.
        batch: where what happens is told.
    """

    def __init__(self, workers: list[Any], batch: Batch) -> None:
        self.batch, self.size = batch, len(workers)
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        self._left = len(workers)
        self._trouble = ""
        self._is_described = False
        self._known: set[Any] = set()
        self._coming = {asyncio.create_task(self._expect(worker)) for worker in workers}

    async def call(self, method: str, *arguments: object, parts: int = 1) -> Any:
        """Let a free worker do something; another one if it ends meanwhile.

        Args:
            method: of Worker.
            *arguments: values, or references to values that workers have made.
            parts: 2: of a pair of results only the first comes here, and the second stays on the machine that made it.

        Returns:
            The result, or (first, reference to the second).

        Raises:
            PaintingError: this picture cannot be painted.
            CommandError: no worker is left.
        """
        from ray.exceptions import RayActorError, RayTaskError

        for _ in range(ATTEMPTS):
            worker = await self._free.get()
            if worker is None:
                self._free.put_nowait(None)
                raise CommandError(f"No worker could start its ComfyUI. The last one says: {self._trouble}")
            try:
                done = getattr(worker, method).options(num_returns=parts).remote(*arguments)
                first = await (done if parts == 1 else done[0])
            except RayActorError:  # its process or its machine has ended; Ray starts it again
                self._coming.add(asyncio.create_task(self._expect(worker)))
                continue
            except RayTaskError as error:
                if isinstance(error.cause, CommandError):  # its ComfyUI does not start any more
                    self._leave_out(str(error.cause))
                    continue
                self._free.put_nowait(worker)
                raise PaintingError(str(error.cause)) from error
            self._free.put_nowait(worker)
            return first if parts == 1 else (first, done[1])
        raise PaintingError(f"{ATTEMPTS} workers have ended at this picture.")

    async def _expect(self, worker: Any) -> None:
        """Wait until a worker can work, at the start and after its end, and count it as free then."""
        from ray.exceptions import RayActorError, RayTaskError

        patience = RETURN_TRIES if worker in self._known else START_TRIES
        while True:
            try:
                host, told = await worker.ready.remote()
            except RayActorError as error:  # not yet started again, or a machine for it is still missing
                patience -= 1
                if patience == 0:
                    self._leave_out(str(error))
                    return
                await asyncio.sleep(1)
            except RayTaskError as error:
                self._leave_out(str(error.cause))
                return
            else:
                break
        self._known.add(worker)
        if not self._is_described:
            self._is_described = True
            self.batch.bars.say("\n".join([*told, f"The first of {self.size} workers is ready, on {host}."]))
        self._free.put_nowait(worker)

    def _leave_out(self, reason: str) -> None:
        self._left -= 1
        self._trouble = reason
        self.batch.bars.say(f"A worker is left out. {reason}")
        if self._left == 0:
            self._free.put_nowait(None)


def left_out(options: argparse.Namespace) -> str | None:
    """Return what the options promise and this way of painting does not make, or None."""
    if options.by == "segment" and options.variants:
        return "No sheet of the variants' keyframes is made with --by segment; --by picture makes it."
    return None


def paint_on_cluster(root: Path, installation: Installation, options: argparse.Namespace) -> int:
    """Paint all pictures with the workers of a cluster; return the exit code."""

    def work(batch: Batch, unfinished: Path) -> None:
        if installation.is_pinned:  # else a worker on this machine would take it for a ComfyUI of the user
            os.environ.pop("COMFYUI_PATH", None)
        if said := left_out(options):
            batch.bars.say(said)
        with _connection(root, options) as workers:
            asyncio.run(_paint_due(batch, unfinished, workers(installation), options.by == "segment"))

    return paint_all(root, options, work)


async def _paint_due(batch: Batch, unfinished: Path, workers: list[Any], is_by_segment: bool) -> None:
    """Give out all pictures that are due, as many at once as there are workers, and keep what comes back."""
    import ray

    crew = Crew(workers, batch)
    running: set[asyncio.Task[None]] = set()
    for due, data in batch.due():
        reference = ray.put(data)  # not in this process's memory
        running.add(asyncio.create_task(_paint(crew, due, reference, unfinished, is_by_segment)))
        del data, reference
        while len(running) > crew.size:
            running = await _some_done(running)
    while running:
        running = await _some_done(running)


async def _some_done(running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()  # raises what ends the whole run
    return running


async def _paint(crew: Crew, due: Due, data: Any, unfinished: Path, is_by_segment: bool) -> None:
    source = due.source
    try:
        if is_by_segment:
            outcome = await _by_segment(crew, source.name, data)
        else:
            outcome = await crew.call("paint", source.name, data)
    except PaintingError as error:
        crew.batch.failed(source, str(error))
        return
    for note in outcome.notes:
        crew.batch.bars.say(f"{source.name}: {note}")
    crew.batch.keep(due, _unpacked(outcome.files, unfinished / "now"), outcome.about)


async def _by_segment(crew: Crew, name: str, data: Any) -> Outcome:
    """Make one video with several workers; its frames go from worker to worker and never come here."""
    count, keyframes = await crew.call("keyframes", name, data, parts=2)
    made = await asyncio.gather(
        *(crew.call("segment", name, data, number, keyframes, parts=2) for number in range(count))
    )
    return await crew.call("video", name, data, keyframes, *(frames for _, frames in made))


@contextlib.contextmanager
def _connection(root: Path, options: argparse.Namespace) -> Iterator[Any]:
    """Connect to the cluster; yield a function that starts the workers for an installation.

    Raises:
        CommandError: there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports nothing to its makers
    import ray

    try:
        _require_answer(options.cluster)
        ray.init(
            options.cluster,
            runtime_env={"working_dir": str(root), "excludes": NOT_SENT},
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # Ray raises Exception itself where it does not start in time
        raise CommandError(
            f"There is no Ray cluster at {options.cluster}: {error}\nStart one with `ray start --head`, or use --cluster local "
            "(docs/cluster.md)."
        ) from error

    def workers(installation: Installation) -> list[Any]:
        count, needs = workers_of(ray.nodes(), options.cpu)
        sent = argparse.Namespace(**{**vars(options), "pictures": [], "output": None})
        actor = ray.remote(Worker).options(max_restarts=-1, **needs)
        return [actor.remote(sent, installation.encode()) for _ in range(count)]

    try:
        yield workers
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise OSError if nothing answers at HOST:PORT, for which Ray itself would wait for minutes."""
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def workers_of(nodes: list[dict[str, Any]], use_cpu: bool) -> tuple[int, dict[str, int]]:
    """Return how many workers a cluster has room for, and what each needs: a GPU, or two cores where there is no GPU.

    Args:
        nodes: the machines, as ray.nodes() tells them.
        use_cpu: leave the GPUs alone.

    Raises:
        CommandError: there is room for none.
    """
    has = [node.get("Resources", {}) for node in nodes if node.get("Alive")]
    gpus = sum(int(resources.get("GPU", 0)) for resources in has)
    if gpus and not use_cpu:
        return gpus, {"num_gpus": 1}
    cores = [int(resources.get("CPU", 0)) for resources in has]
    each = min(CORES, max(cores, default=0))
    if each == 0:
        raise CommandError("The cluster has neither a GPU nor a processor core for a worker.")
    return sum(count // each for count in cores), {"num_cpus": each}
