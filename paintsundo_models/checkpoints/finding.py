"""Find the checkpoints in model folders, and what keeps one from being loaded, from headers alone."""

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .files import UNREADABLE, weight_files
from .headers import read_header
from .parts import PART_NAMES, PARTS, groups_of, identify_part

_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.safetensors")
_INDEX = "*.safetensors.index.json"
_LONGEST_INDEX = 10_000_000  # bytes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A checkpoint in a model folder; `trouble` says why it cannot be loaded, as a sentence, or is None."""

    path: Path
    trouble: str | None


def find_checkpoints(roots: Iterable[str], kind: str) -> dict[str, Found]:
    """Return the checkpoints of this kind below these folders: {displayed name: what was found}, sorted by name.

    Only headers are read. Unreadable and incomplete ones are included, so that people who choose one are told what is
    wrong with it.
    """
    found: dict[str, Found] = {}
    for root in map(Path, roots):
        for path in _candidates(root):
            if kind_on_disk(path) in (kind, UNREADABLE):
                name = path.relative_to(root).as_posix() if path != root else root.name
                found.setdefault(name, Found(path, trouble_with(path, kind)))
    return dict(sorted(found.items()))


def _candidates(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield folders that contain a unet, and safetensors files, except for those in a part of such a folder."""
    real = os.path.realpath(folder)
    if real in above or not os.path.isdir(folder):  # a link to a folder above would never end
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:  # list the others although this folder cannot be read
        log.warning("PaintsUndo: %s cannot be searched for checkpoints: %s", folder, error)
        return
    has_parts = folder / "unet" in entries and bool(weight_files(folder / "unet"))
    if has_parts:
        yield folder
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if os.path.isdir(entry):
            if not (has_parts and entry.name in PART_NAMES):
                yield from _candidates(entry, above | {real})
        elif entry.suffix == ".safetensors":
            yield entry


def kind_on_disk(path: Path) -> str | None:
    """Return SINGLE_FRAME, MULTI_FRAME, UNREADABLE, or None for any other model. Reads only the headers of the unet."""
    # os.path.isdir, because Path.is_dir raises an error where a path is too long or its folder is closed.
    is_folder = os.path.isdir(path)
    headers = [read_header(file) for file in (weight_files(path / "unet") if is_folder else [path])]
    names = {name for header in headers for name in header.names}
    found = [signature for group in groups_of(names) if (signature := identify_part(group))]
    for signature in found:
        if signature.part == "unet" and (is_folder or not identify_part(names)):
            return signature.kind
    return UNREADABLE if any(not header.is_readable for header in headers) else None


def trouble_with(path: Path, kind: str) -> str | None:
    """Return why a checkpoint of this kind cannot be loaded, as a sentence without its full stop, or None."""
    parts: set[str] = set()
    is_folder = os.path.isdir(path)
    if is_folder:
        for folder in sorted(path.iterdir()):
            files = weight_files(folder) if os.path.isdir(folder) else []
            headers = {file: read_header(file) for file in files}
            names = {name for header in headers.values() for name in header.names}
            found = {part.part for group in groups_of(names) if (part := identify_part(group))}
            if not found and folder.name not in PARTS[kind]:
                continue  # read_checkpoint passes over other folders
            for file, header in headers.items():
                if header.trouble:
                    return f"{folder.name}/{file.name} {header.trouble}"
            if shard := _missing_shard(folder, files):
                return f"{folder.name}: {shard}"
            parts.update(found or ([folder.name] if files else []))
    else:
        header = read_header(path)
        if header.trouble:
            return f"{path.name} {header.trouble}"
        parts = {part.part for group in groups_of(header.names) if (part := identify_part(group))}
    missing = [part for part in PARTS[kind] if part not in parts]
    if not missing:
        return None
    # What ComfyUI's Save Model, Save CLIP and Save VAE write can be put together.
    how = "" if is_folder else ". Put this file and those of the missing parts into sub-folders of one folder"
    return f"{', '.join(missing)} missing{how}"


def _missing_shard(folder: Path, files: list[Path]) -> str | None:
    """Return which shard of a part is missing by the names of the others or by the index beside them, or None."""
    names = {file.name for file in files}
    for shard in filter(None, map(_SHARD.fullmatch, sorted(names))):
        count = int(shard[3])
        for number in range(1, count + 1):
            if f"{shard[1]}-{number:05}-of-{shard[3]}.safetensors" not in names:
                return f"shard {number} of {count} missing"
    for index in sorted(folder.glob(_INDEX)):
        expected = _files_in_index(index)
        for number, name in enumerate(expected, start=1):
            # Without any of its files the index belongs to another form of the part that was not downloaded.
            if name not in names and not names.isdisjoint(expected):
                return f"shard {number} of {len(expected)} missing ({name})"
    return None


def _files_in_index(index: Path) -> list[str]:
    """Return the sorted names of the shards that an index lists; [] if it cannot be read."""
    try:
        if not index.is_file() or index.stat().st_size > _LONGEST_INDEX:
            return []
        return sorted({str(name) for name in json.loads(index.read_bytes())["weight_map"].values()})
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return []
