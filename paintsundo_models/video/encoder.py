"""The ffmpeg process: pictures go in through a pipe, its messages come out, and it can be cancelled while it hangs."""

import contextlib
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import IO

NO_CONSOLE = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Flag for Windows, which would flash a console window for every process."""

_WAITING = 2  # pictures between the one that is made and the one that ffmpeg reads
_POLL_SECONDS = 0.2  # how often a cancel is looked for while ffmpeg works
_WORDS = 4096  # the last bytes of what ffmpeg says


def run_encoder(
    command: list[str], pictures: Iterable[bytes], on_progress: Callable[[int], None]
) -> tuple[int, str]:
    """Run ffmpeg on raw pictures; it never outlives this call.

    The pictures are written by a thread, so that a cancel is seen while ffmpeg takes none. What ffmpeg says is kept in
    memory, because a full disk takes no log.

    Args:
        command: the program and its arguments; reads the pictures from its standard input.
        pictures: the bytes of each picture, made one at a time.
        on_progress: called with the number of pictures handed over so far, and again while ffmpeg works; may raise to
            cancel.

    Returns:
        ffmpeg's exit code, and the last of what it said.
    """
    environment = {**os.environ, "SVT_LOG": "1"}  # SVT-AV1 ignores -loglevel; 1 leaves its errors only
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        creationflags=NO_CONSOLE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    waiting: queue.Queue[bytes | None] = queue.Queue(_WAITING)
    words = bytearray()
    threads = [
        threading.Thread(target=_write_pictures, args=(process.stdin, waiting), daemon=True),
        threading.Thread(target=_read_words, args=(process.stderr, words), daemon=True),
    ]
    for thread in threads:
        thread.start()
    done = 0
    try:
        for done, picture in enumerate(pictures, start=1):
            if not _hand_over(picture, waiting, process, partial(on_progress, done - 1)):
                break  # ffmpeg ended early; its exit code and words say why
            on_progress(done)
        _hand_over(None, waiting, process, partial(on_progress, done))
        while process.poll() is None:
            on_progress(done)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        with contextlib.suppress(queue.Full):
            waiting.put_nowait(None)
        for thread in threads:
            thread.join()
        process.stderr.close()
    return process.returncode, words.decode("utf-8", "replace").strip()


def _hand_over(
    picture: bytes | None,
    waiting: "queue.Queue[bytes | None]",
    process: subprocess.Popen[bytes],
    on_wait: Callable[[], None],
) -> bool:
    """Put a picture, or None as the end, into the queue; return False where ffmpeg has ended and takes no more."""
    while process.poll() is None:
        try:
            waiting.put(picture, timeout=_POLL_SECONDS)
            return True
        except queue.Full:
            on_wait()
    return False


def _write_pictures(pipe: IO[bytes], waiting: "queue.Queue[bytes | None]") -> None:
    """Write pictures until the end comes or ffmpeg has ended, and close the pipe."""
    with contextlib.suppress(OSError):
        while (picture := waiting.get()) is not None:
            pipe.write(picture)
    with contextlib.suppress(OSError):
        pipe.close()


def _read_words(pipe: IO[bytes], words: bytearray) -> None:
    """Keep the last of what ffmpeg says, so that it never waits for a reader."""
    while chunk := pipe.read1(_WORDS):  # pyright: ignore[reportAttributeAccessIssue]  a buffered pipe has it
        words += chunk
        del words[:-_WORDS]
