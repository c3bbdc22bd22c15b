"""Folders for files that are being written: hidden, beside the result, and cleared away even after a killed server."""

import contextlib
import errno
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import VideoEncodingError

PREFIX = ".paintsundo_"
_LOCK = "lock"
_NEW_SECONDS = 60  # a folder that is this young may not be locked yet


@contextmanager
def unfinished_folder(parent: Path) -> Iterator[Path]:
    """Make a hidden folder for the time of the block; clear away those that killed processes have left in `parent`.

    The folder is locked while the block runs. The system unlocks it when the process ends, however it ends.

    Raises:
        VideoEncodingError: the disk is full.
    """
    from filelock import FileLock

    clear_abandoned(parent)
    with _full_disk_said(parent):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = FileLock(folder / _LOCK)
        try:
            with contextlib.suppress(
                NotImplementedError
            ):  # a network disk without locks; nothing is cleared there
                lock.acquire()
            yield folder
        finally:
            lock.release()
            shutil.rmtree(folder, ignore_errors=True)


def clear_abandoned(parent: Path) -> None:
    """Remove the folders whose process has ended; those of a process that still runs are locked, and stay."""
    from filelock import FileLock, Timeout

    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout, NotImplementedError):
            if not folder.is_dir() or folder.is_symlink():
                continue
            if time.time() - folder.stat().st_mtime < _NEW_SECONDS:
                continue
            with FileLock(folder / _LOCK, timeout=0):
                pass
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _full_disk_said(parent: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise
        raise VideoEncodingError(full_disk(parent)) from error


def full_disk(folder: Path) -> str:
    """Return the message for a full disk, with the room that is left."""
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free
        return f"The disk of {folder} is full ({free / 1e6:.0f} MB are free). Make room there, and run again."
    return f"The disk of {folder} is full. Make room there, and run again."
