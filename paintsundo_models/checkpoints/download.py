"""Getting the released files from the hub into models/paintsundo, and comparing what lies there with the hub's list.

No ComfyUI in here. The work runs in a thread; the caller's `report` is called a few times a second in its own thread,
and ends everything by raising, whatever is being waited for. Nothing gets its final name before its hash is right.
"""

import asyncio
import concurrent.futures
import logging
import shutil
import ssl
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..errors import DownloadError
from .published import PublishedFile, list_published
from .transfer import OnPosition, Patience, fetch, hash_on_disk

if TYPE_CHECKING:
    from aiohttp import ClientSession

Result = TypeVar("Result")

UNFINISHED_FOLDER = ".downloads"
"""Below models/paintsundo: files on their way, each named by its hash, and a lock; hidden from every list."""

ROOM_TO_SPARE = 100_000_000  # bytes that stay free on the disk
REPORTS_PER_S = 5
SPEED_OVER_S = 5.0

MISSING = "is missing"

log = logging.getLogger(__name__)


@dataclass
class Progress:
    """How far a download or a check is.

    Attributes:
        stage: what is being done, such as "Downloading".
        name: the file that it is done to.
        done: bytes that are done in this stage, those of earlier downloads included.
        total: bytes of this stage; 0 where it is not known yet.
    """

    stage: str = "Asking the hub"
    name: str = ""
    done: int = 0
    total: int = 0
    _past: deque[tuple[float, int]] = field(default_factory=deque)

    def begin(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Go on to the next stage."""
        self.stage, self.name, self.done, self.total = stage, "", done, total
        self.forget_speed()

    def forget_speed(self) -> None:
        """Measure it anew from here; a new list, because another thread may be reading the old one."""
        self._past = deque()

    def bytes_per_s(self) -> float:
        """Speed since about five seconds, as seen by the calls of this function."""
        now, past = time.monotonic(), self._past
        past.append((now, self.done))
        while now - past[0][0] > SPEED_OVER_S:
            past.popleft()
        since, done = past[0]
        return max(self.done - done, 0) / (now - since) if now > since else 0.0

    def text(self) -> str:
        """One line for people: stage, bytes, speed and the time that is left."""
        if not self.total:
            return f"{self.stage} ..."
        speed = self.bytes_per_s()
        line = f"{self.stage} {size_text(self.done)} of {size_text(self.total)}"
        if not speed:
            return line
        return f"{line}, {size_text(int(speed))}/s, {_time_text((self.total - self.done) / speed)} left"


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Downloaded:
    """What a download came to: all files that were asked for, and those that had to be fetched."""

    files: list[PublishedFile]
    fetched: list[PublishedFile]

    def text(self) -> str:
        """One sentence for people."""
        total = f"{len(self.files)} files, {size_text(sum(file.size for file in self.files))}"
        if not self.fetched:
            return f"All {total}, were there already and are as published."
        came = f"{len(self.fetched)} of {total}, were fetched" if self.is_mixed else f"{total}, were fetched"
        return f"{came}; all are as published."

    @property
    def is_mixed(self) -> bool:
        """Whether some files were there already."""
        return len(self.fetched) < len(self.files)


def size_text(count: int) -> str:
    """A number of bytes for people, in units of thousands."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.2f} {unit}" if unit == "GB" else f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _time_text(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


@dataclass(frozen=True)
class Request:
    """What is wanted of the hub.

    Attributes:
        what: one of published.WHAT.
        revision: a branch, tag or commit; empty for the newest.
        endpoint: the hub's address; None as HF_ENDPOINT says, else the public one.
    """

    what: str
    revision: str = ""
    endpoint: str | None = None


def download(request: Request, folder: Path, report: Report, patience: Patience | None = None) -> Downloaded:
    """Bring the released files into a folder; what is there and as published is not fetched again.

    Args:
        request: what is wanted.
        folder: models/paintsundo; made where it is not there.
        report: called about five times a second in this thread; cancels everything by raising.
        patience: how long to wait for the hub; None as usual.

    Raises:
        DownloadError: why not, and what to do.
    """
    progress = Progress()
    return _run(_download(request, folder, progress, patience or Patience.usual()), progress, report)


def check(request: Request, folder: Path, report: Report) -> list[tuple[PublishedFile, str]]:
    """Compare the files in a folder with the hub's list: each with what is wrong with it, "" where nothing is.

    Args:
        request: what to compare with.
        folder: models/paintsundo.
        report: as for `download`.

    Raises:
        DownloadError: why not, and what to do.
    """
    progress = Progress()
    return _run(_check(request, folder, progress), progress, report)


async def _download(request: Request, folder: Path, progress: Progress, patience: Patience) -> Downloaded:
    published = await _in_thread(list_published, request.what, request.revision, request.endpoint)
    unfinished = folder / UNFINISHED_FOLDER
    with _disk_errors(folder):
        unfinished.mkdir(parents=True, exist_ok=True)
        async with _one_at_a_time(unfinished / "lock", progress):
            lacking = [file for file, wrong in await _compare(published, folder, progress) if wrong]
            _ask_for_room(lacking, unfinished)
            await _fetch_all(lacking, folder, progress, patience)
    return Downloaded(published, lacking)


async def _check(request: Request, folder: Path, progress: Progress) -> list[tuple[PublishedFile, str]]:
    published = await _in_thread(list_published, request.what, request.revision, request.endpoint)
    with _disk_errors(folder):
        return await _compare(published, folder, progress)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Say in words what the disk refused."""
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"{error.filename or folder} cannot be used ({error.strerror or error}): check its permissions, and whether a "
            "program has it open (ComfyUI, where the model is loaded), and start again."
        ) from error


async def _compare(
    published: Sequence[PublishedFile], folder: Path, progress: Progress
) -> list[tuple[PublishedFile, str]]:
    """What is wrong with each file; hashes are read only of files that have the right size."""
    there = {file: path for file in published if (path := file.path_in(folder)).is_file()}
    progress.begin("Checking", total=sum(file.size for file in there))
    found = []
    for file in published:
        wrong, before = "", progress.done
        progress.name = file.name
        if file not in there:
            wrong = MISSING
        elif (size := there[file].stat().st_size) != file.size:
            wrong = f"has {size:,} bytes, not {file.size:,}"
        elif await hash_on_disk(file, there[file], _shifted(progress, before)) != file.digest:
            wrong = "has the right size and other content"
        if file in there:
            progress.done = before + file.size
        found.append((file, wrong))
    return found


def _shifted(progress: Progress, before: int) -> OnPosition:
    """Turn a position in one file into the bytes done of all; bytes that were there already tell nothing of speed."""

    def show(position: int, is_resumed: bool = False) -> None:
        progress.done = before + position
        if is_resumed:
            progress.forget_speed()

    return show


def _part_path(file: PublishedFile, unfinished: Path) -> Path:
    return unfinished / f"{file.digest}.part"


def _ask_for_room(lacking: Sequence[PublishedFile], unfinished: Path) -> None:
    """Raise where the disk cannot take the files."""
    parts = [(file, _part_path(file, unfinished)) for file in lacking]
    needed = sum(max(file.size - (part.stat().st_size if part.exists() else 0), 0) for file, part in parts)
    free = shutil.disk_usage(unfinished).free
    if needed and needed + ROOM_TO_SPARE > free:
        raise DownloadError(
            f"{unfinished.parent} needs room for {size_text(needed)} more and its disk has {size_text(free)} free: make room, "
            "or replace the folder by a link to one on another disk."
        )


async def _fetch_all(
    lacking: Sequence[PublishedFile], folder: Path, progress: Progress, patience: Patience
) -> None:
    progress.begin("Downloading", total=sum(file.size for file in lacking))
    async with _session(patience) as session:
        for file in lacking:
            before, progress.name = progress.done, file.name
            part = _part_path(file, folder / UNFINISHED_FOLDER)
            await fetch(session, file, part, file.path_in(folder), patience, _shifted(progress, before))


def _session(patience: Patience) -> "ClientSession":
    """What requests the bytes: with the hub's token, which aiohttp does not send on to another host."""
    import aiohttp
    import certifi
    from huggingface_hub.utils import build_hf_headers

    # The system's certificates know a company's own proxy; some Pythons on macOS have none but those of certifi.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return aiohttp.ClientSession(
        # A compressed answer could not be gone on with in its middle.
        headers={**build_hf_headers(library_name="comfyui-paintsundo"), "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(
            total=None, connect=2 * patience.timeout_s, sock_read=patience.timeout_s
        ),
        connector=aiohttp.TCPConnector(ssl=context),
    )


@asynccontextmanager
async def _one_at_a_time(lock: Path, progress: Progress) -> AsyncIterator[None]:
    """Wait until no other download into this folder runs, in this program or another."""
    from filelock import FileLock, Timeout

    held = FileLock(lock)
    progress.begin("Waiting for another download into the same folder")
    while True:
        try:
            held.acquire(timeout=0)
            break
        except Timeout:
            await asyncio.sleep(1 / REPORTS_PER_S)
        except (
            NotImplementedError
        ):  # a network disk without locks; two downloads at once would only spoil parts
            log.warning("PaintsUndo: %s cannot be locked; run one download at a time.", lock)
            break
    try:
        yield
    finally:
        held.release()


async def _in_thread(work: Callable[..., Result], *arguments: object) -> Result:
    """Await a blocking call in a thread that nobody waits for, should this be cancelled."""
    future: concurrent.futures.Future[Result] = concurrent.futures.Future()

    def run() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001  raised again where it is awaited
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)


def _run(work: Coroutine[object, object, Result], progress: Progress, report: Report) -> Result:
    """Run `work` in a thread while this one reports; when reporting raises, end the work first."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        while not concurrent.futures.wait([future], timeout=1 / REPORTS_PER_S).done:
            report(progress)
        report(progress)
        return future.result()
    finally:
        asyncio.run_coroutine_threadsafe(_end_the_others(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_the_others() -> None:
    """Cancel what else runs in this loop, and wait until its files are closed."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
