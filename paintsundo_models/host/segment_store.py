"""Latents of finished segments on disk, so that a run that was broken off goes on where it was.

One safetensors file a segment, named by the key of all that the segment depends on (identity.sampling_key). The least
recently used files go first when there are more than the limit allows.
"""

import contextlib
import logging
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import folder_paths
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

LIMIT_VARIABLE = "PAINTSUNDO_SEGMENTS_MB"
"""Environment variable: how many megabytes of latents are kept; 0 keeps none."""

DEFAULT_LIMIT_MB = 1000
"""About 1400 segments of 384 x 448 pixels."""

_NAME = "samples"
_UNFINISHED = ".unfinished"
_WRITTEN_WITHIN_S = 3600

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentStore:
    """A folder of latents.

    Attributes:
        folder: made for the first latent.
        limit: bytes that all files together may have.
    """

    folder: Path
    limit: int

    def load(self, key: str, shape: tuple[int, ...]) -> Tensor | None:
        """Return the latent that was saved under a key, float32 of this shape, or None where there is none."""
        file = self._file(key)
        if not self._is_private() or not file.is_file():
            return None
        try:
            samples = load_file(file)[_NAME]
        except (OSError, KeyError, SafetensorError):
            samples = torch.empty(0)
        if (
            tuple(samples.shape) != tuple(shape)
            or samples.dtype != torch.float32
            or not samples.isfinite().all()
        ):
            log.warning("PaintsUndo: %s is damaged and is made anew.", file)
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):  # the time of its last use
            os.utime(file)
        return samples

    def save(self, key: str, samples: Tensor) -> None:
        """Keep a latent under its key; a full or closed disk costs only a line in the log."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_private():
                log.warning(
                    "PaintsUndo: finished segments are not kept, because others can write to %s.", self.folder
                )
                return
            self._remove_abandoned()
            descriptor, unfinished = tempfile.mkstemp(suffix=_UNFINISHED, dir=self.folder)
            os.close(descriptor)
            try:
                save_file({_NAME: samples.detach().cpu().float().contiguous()}, unfinished)
                os.replace(unfinished, self._file(key))
            finally:
                Path(unfinished).unlink(missing_ok=True)
            self._remove_oldest()
        except (OSError, SafetensorError) as error:
            log.warning("PaintsUndo: a finished segment could not be kept in %s: %s", self.folder, error)

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _is_private(self) -> bool:
        """Tell whether only this user can write to the folder: a file that another user placed there would be shown."""
        try:
            status = os.stat(self.folder)
        except OSError:
            return False
        if not hasattr(os, "getuid"):  # Windows keeps a user's folders from other users
            return True
        return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def _remove_abandoned(self) -> None:
        """Remove what a process has begun to write and was killed over; writing takes far less than the time."""
        for file in self.folder.glob(f"*{_UNFINISHED}"):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _WRITTEN_WITHIN_S:
                    file.unlink()

    def _remove_oldest(self) -> None:
        found = []
        for file in self.folder.glob("*.safetensors"):
            with contextlib.suppress(OSError):  # another ComfyUI may remove files too
                status = file.stat()
                found.append((status.st_mtime_ns, status.st_size, file))
        total = sum(size for _, size, _ in found)
        for _, size, file in sorted(found, key=lambda entry: entry[:2]):
            if total <= self.limit:
                break
            file.unlink(missing_ok=True)
            total -= size


def users_store() -> SegmentStore | None:
    """Return the store in the host's user folder, which no web request reaches, or None where it is switched off."""
    text = os.environ.get(LIMIT_VARIABLE, "")
    megabytes = int(text) if text.isdecimal() else DEFAULT_LIMIT_MB
    if megabytes == 0:
        return None
    return SegmentStore(
        Path(folder_paths.get_system_user_directory("paintsundo")) / "segments", megabytes * 1_000_000
    )
