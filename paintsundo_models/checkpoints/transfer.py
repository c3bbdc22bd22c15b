"""The bytes of one published file: hashed from disk, or fetched from the hub and gone on with where they broke off.

The hub's own client keeps nothing of a download that was cancelled, and only looks between pieces of 10 MB whether it
was. aiohttp, which ComfyUI requires, can be cancelled at any moment, so it fetches the bytes. The hub sends every file over plain HTTP too, so it makes no
difference whether hf_xet is installed.
"""

import asyncio
import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..errors import DownloadError
from .published import PublishedFile, refused, too_many_requests

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

READ_BYTES = 4 << 20  # hashed in about 10 ms, after which cancelling is possible
RECEIVED_BYTES = 256 << 10
SYNC_BYTES = (
    64 << 20
)  # written to the disk at a time; all at the end would take seconds, in which nothing can be cancelled
WORTH_TRYING_AGAIN = (408, 429, 500, 502, 503, 504)


class OnPosition(Protocol):
    """Told how many bytes of a file are done, and whether an earlier download had got them."""

    def __call__(self, position: int, is_resumed: bool = False) -> None:
        """Take note."""


@dataclass(frozen=True)
class Patience:
    """How long a download waits.

    Attributes:
        timeout_s: without a single byte, until the connection counts as broken.
        attempts: in a row that gain nothing, until the download fails.
        first_wait_s: after the first failed attempt; doubled at each following one.
        longest_wait_s: what the hub may ask to wait; more ends the download.
    """

    timeout_s: float
    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0

    @classmethod
    def usual(cls) -> "Patience":
        """As the environment variable HF_HUB_DOWNLOAD_TIMEOUT says, 10 s where it is not set."""
        from huggingface_hub import constants

        return cls(constants.HF_HUB_DOWNLOAD_TIMEOUT, first_wait_s=constants.HF_HUB_DOWNLOAD_TIMEOUT / 10)


class _BrokenTransferError(Exception):
    """The connection broke, or the hub is busy: worth another attempt after `wait_s` (None: the usual time)."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


async def hash_on_disk(file: PublishedFile, path: Path, on_position: OnPosition) -> str:
    """The digest that a published file has at `path`."""
    digest = file.new_hash()
    position = 0
    with path.open("rb") as opened:
        while data := opened.read(READ_BYTES):
            digest.update(data)
            position += len(data)
            on_position(position)
            await asyncio.sleep(0)  # here it can be cancelled
    return digest.hexdigest()


async def fetch(
    session: "ClientSession",
    file: PublishedFile,
    part: Path,
    target: Path,
    patience: Patience,
    on_position: OnPosition,
) -> None:
    """Fetch a file, check its hash, and only then give it its name.

    Args:
        session: sends the headers of the hub's client.
        file: what to fetch.
        part: where the bytes are collected; what an earlier download left there is not fetched again.
        target: its name when it is whole; what lies there is replaced. On the same disk as `part`.
        patience: how long to wait.
        on_position: told how many bytes are there.

    Raises:
        DownloadError: why the file is not there; `part` keeps what came, unless it is wrong.
    """
    with _Part(file, part, on_position) as collected:
        had_bytes = await collected.read_back()
        await _collect(session, file, collected, patience)
        if collected.hexdigest() != file.digest and had_bytes:
            collected.clear()  # the old bytes may be the wrong ones
            await _collect(session, file, collected, patience)
        is_right = collected.hexdigest() == file.digest
        if is_right:
            collected.sync()
    if not is_right:
        part.unlink()
        raise DownloadError(
            f"{file.name} came with other content than the hub's list says (hash {collected.hexdigest()[:12]}…, not "
            f"{file.digest[:12]}…) and was thrown away: start again, and if HF_ENDPOINT is set, try without that mirror."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, target)


class _Part:
    """The bytes of an unfinished file, and their hash."""

    def __init__(self, file: PublishedFile, path: Path, on_position: OnPosition) -> None:
        self._file, self._path, self._on_position = file, path, on_position
        self._hash = file.new_hash()
        self.position = self._synced = 0

    def __enter__(self) -> "_Part":
        self._path.touch()
        # Without a buffer, which would try to write once more while the file is closed on a full disk.
        self._opened = self._path.open("r+b", buffering=0)
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    async def read_back(self) -> bool:
        """Take over what an earlier download left; return whether there was anything."""
        while data := self._opened.read(READ_BYTES):
            self._hash.update(data)
            self.position += len(data)
            self._on_position(self.position, is_resumed=True)
            await asyncio.sleep(0)
        if self.position > self._file.size:
            self.clear()
        return self.position > 0

    def append(self, data: bytes) -> None:
        """Write what came.

        Raises:
            DownloadError: the disk takes no more.
        """
        unwritten = memoryview(data)
        try:
            while unwritten:
                unwritten = unwritten[self._opened.write(unwritten) :]
        except OSError as error:
            raise DownloadError(
                f"{self._file.name} could not be written to {self._path.parent} ({error.strerror}): make room there and "
                "start again; what has come is kept and not fetched anew."
            ) from error
        self._hash.update(data)
        self.position += len(data)
        self._on_position(self.position)
        if self.position - self._synced > SYNC_BYTES:
            self.sync()

    def clear(self) -> None:
        """Begin anew."""
        self._opened.seek(0)
        self._opened.truncate()
        self._hash = self._file.new_hash()
        self.position = self._synced = 0
        self._on_position(0)

    def hexdigest(self) -> str:
        """The digest of what is there."""
        return self._hash.hexdigest()

    def sync(self) -> None:
        """Wait until the bytes are on the disk: a power cut must not leave a final name without them."""
        os.fsync(self._opened.fileno())
        self._synced = self.position


async def _collect(session: "ClientSession", file: PublishedFile, part: _Part, patience: Patience) -> None:
    """Ask for what is missing until it is there."""
    failures = 0
    while part.position < file.size:
        before = part.position
        try:
            await _ask(session, file, part)
        except _BrokenTransferError as broken:
            failures = 1 if part.position > before else failures + 1
            wait_s = patience.first_wait_s * 2 ** (failures - 1) if broken.wait_s is None else broken.wait_s
            if wait_s > patience.longest_wait_s and broken.wait_s is not None:
                raise DownloadError(too_many_requests(file.url, wait_s)) from broken
            if failures >= patience.attempts:
                raise DownloadError(
                    f"{file.url} broke off {failures} times in a row ({broken}): start again later, which goes on from "
                    f"{part.position:,} of {file.size:,} bytes, or set HF_ENDPOINT to a mirror."
                ) from broken
            await asyncio.sleep(wait_s)


async def _ask(session: "ClientSession", file: PublishedFile, part: _Part) -> None:
    """One request for the rest of the file."""
    import aiohttp

    headers = {"Range": f"bytes={part.position}-"} if part.position else {}
    try:
        async with session.get(file.url, headers=headers, proxy=_proxy_for(file.url)) as response:
            _check_answer(response, file, part)
            async for data in response.content.iter_chunked(RECEIVED_BYTES):
                if part.position + len(data) > file.size:
                    part.clear()
                    raise _BrokenTransferError("more bytes came than the file has")
                part.append(data)
    except asyncio.TimeoutError as error:
        raise _BrokenTransferError("nothing came any more") from error
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
        raise _BrokenTransferError(" ".join(str(error).split()) or type(error).__name__) from error
    except aiohttp.ClientError as error:
        raise DownloadError(f"{file.url} cannot be fetched ({error}): check HF_ENDPOINT.") from error
    if part.position < file.size:
        raise _BrokenTransferError("the answer ended too early")


def _proxy_for(url: str) -> str | None:
    """The proxy of the environment or the system; aiohttp's own search would also put a .netrc in the token's place."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _check_answer(response: "ClientResponse", file: PublishedFile, part: _Part) -> None:
    """Raise where the answer holds no bytes of the file; begin anew where it begins at the file's first byte."""
    status = response.status
    if status in WORTH_TRYING_AGAIN:
        raise _BrokenTransferError(f"error {status}", _asked_wait(response.headers.get("Retry-After")))
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.clear()
        raise _BrokenTransferError(f"error {status}")
    if status in (401, 403, 404):
        raise DownloadError(refused(status, file.url))
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise DownloadError(f"{file.url} answered with the error {status}: try again later.")
    if part.position and status == HTTPStatus.OK:  # the server sends whole files only
        part.clear()
    elif part.position and not response.headers.get("Content-Range", "").startswith(
        f"bytes {part.position}-"
    ):
        part.clear()
        raise _BrokenTransferError("the answer begins at another byte")


def _asked_wait(retry_after: str | None) -> float | None:
    """Seconds that the hub asks to wait; None where it does not say (or gives a date, which it does not)."""
    return float(retry_after) if retry_after and retry_after.isdigit() else None
