"""Reading checkpoints from disk: the released folder of sub-folders, or our single safetensors file. No ComfyUI in here.

A single file holds the same tensors as the folder, each named `<part>.<released name>` (parts: parts.PARTS), with the
parts' config.json texts in the header under CONFIGS_KEY. Tensors are memory-mapped: nothing is read before it is used.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import (
    CheckpointMismatchError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    UnsupportedCheckpointError,
)
from .parts import MULTI_FRAME, PART_NAMES, PARTS, SINGLE_FRAME, expected_signature, identify_part

CONFIGS_KEY = "paintsundo_configs"
"""Header entry of a single file: JSON of {part: config}."""

PUBLISHED_AT = {
    SINGLE_FRAME: "https://huggingface.co/lllyasviel/paints_undo_single_frame",
    MULTI_FRAME: "https://huggingface.co/lllyasviel/paints_undo_multi_frame",
}

WEIGHT_DTYPES = {
    "default": None,
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}
"""Names that people choose from; None keeps a file's types when writing, and leaves the choice to the host when loading."""

UNREADABLE = "unreadable"
PICKLED = (".bin", ".ckpt", ".pt", ".pth")  # formats that can run code when they are opened: never read

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """One model's parts as they lie on disk."""

    path: Path
    kind: str  # SINGLE_FRAME or MULTI_FRAME
    parts: dict[str, dict[str, Tensor]]  # part -> released tensor name -> memory-mapped tensor
    configs: dict[str, dict]  # part -> its config.json, {} where there is none


def read_checkpoint(path: str | os.PathLike, kind: str) -> Checkpoint:
    """Read a released folder or a single file.

    Args:
        path: folder with one sub-folder a part, or a .safetensors file written by save_single_file.
        kind: SINGLE_FRAME or MULTI_FRAME, what the caller wants.

    Raises:
        CheckpointNotFoundError: there is nothing at the path, or a part is not there.
        UnsupportedCheckpointError: it is another model.
        CorruptCheckpointError: a file is truncated or no safetensors file.
    """
    path = Path(path)
    if not path.exists():
        raise CheckpointNotFoundError(
            f"There is no checkpoint at {path}. The {kind} model is published at {PUBLISHED_AT[kind]}."
        )
    parts, configs, kinds, strangers = {}, {}, {}, {}
    for name, tensors, config in _read_folder(path) if path.is_dir() else _read_file(path):
        signature = identify_part(tensors)
        if signature is None:
            strangers[name] = tensors
            continue
        part = signature.part
        if part in parts:
            raise UnsupportedCheckpointError(
                f"{path} has two parts that are a {part} (the second is {name}). Keep one model in a folder."
            )
        parts[part], configs[part], kinds[part] = tensors, config, signature.kind
    _check_parts(path, kind, kinds, strangers)
    return Checkpoint(path, kind, parts, configs)


def _check_parts(
    path: Path, kind: str, kinds: dict[str, str | None], strangers: dict[str, dict[str, Tensor]]
) -> None:
    """Raise unless every part of this kind is there; `strangers` are named as in the file, and no part of any model."""
    where = f"The {kind} model is published at {PUBLISHED_AT[kind]}."
    for part in PARTS[kind]:
        if part in strangers and part not in kinds:
            names = strangers[part].keys()
            lacking = [name for name in expected_signature(part, kind).tensors if name not in names]
            raise UnsupportedCheckpointError(
                f"The {part} in {path} is not the {kind} model's, or is damaged: among its {len(names)} tensors there is "
                f"no {', '.join(lacking)}. Choose another checkpoint, or download this part again. {where}"
            )
    if not kinds:
        raise UnsupportedCheckpointError(
            f"{path} is no Paints-UNDO checkpoint: none of the parts {', '.join(PARTS[kind])} was found in it"
            f"{_other_contents(path, strangers)}. {where}"
        )
    foreign = [part for part in PARTS[kind] if kinds.get(part) not in (kind, None)]
    if foreign:
        raise UnsupportedCheckpointError(
            f"{path} holds the {kinds[foreign[0]]} model's {', '.join(foreign)}, and the {kind} model is needed here. "
            f"Choose it in the other loader, or another checkpoint in this one. {where}"
        )
    missing = [part for part in PARTS[kind] if part not in kinds]
    if missing:
        raise CheckpointNotFoundError(
            f"{path} lacks {', '.join(missing)} (found: {', '.join(sorted(kinds))}{_other_contents(path, strangers)}; "
            f"needed: {', '.join(PARTS[kind])}). Download what is missing into sub-folders of these names. {where}"
        )


def _other_contents(path: Path, strangers: dict[str, dict[str, Tensor]]) -> str:
    """What else lies there, for a message: unknown groups of tensors, and weights in formats that are not read."""
    pickled = sorted(
        file.relative_to(path).as_posix() for ending in PICKLED for file in path.glob(f"*/*{ending}")
    )
    unread = f"; {', '.join(pickled[:3])} cannot be read, only .safetensors files are" if pickled else ""
    unknown = f"; unknown: {', '.join(sorted(strangers)[:5])}" if strangers else ""
    return unknown + unread


def _read_folder(folder: Path) -> Iterator[tuple[str, dict[str, Tensor], dict]]:
    for sub_folder in sorted(p for p in folder.iterdir() if p.is_dir()):
        files = _weight_files(sub_folder)
        if files:
            yield sub_folder.name, _merge_files(files), _read_config(sub_folder / "config.json")


def _weight_files(folder: Path) -> list[Path]:
    """The safetensors files of one part; hidden ones are other systems' litter, such as macOS's ._model.safetensors."""
    return sorted(file for file in folder.glob("*.safetensors") if not file.name.startswith("."))


def _merge_files(files: list[Path]) -> dict[str, Tensor]:
    """The tensors of one part: shards are joined; of variants with the same tensors the widest type is taken."""
    merged: dict[str, Tensor] = {}
    for file in files:
        for name, tensor in read_tensors(file).items():
            if name not in merged or tensor.element_size() > merged[name].element_size():
                merged[name] = tensor
    return merged


def _read_config(file: Path) -> dict:
    return _parsed(file.read_bytes(), file) if file.is_file() else {}


def _parsed(text: str | bytes, source: Path) -> dict:
    """A JSON object, or {} with a warning: a checkpoint is usable without."""
    try:
        parsed = json.loads(text)
    except ValueError as error:
        parsed = error
    if isinstance(parsed, dict):
        return parsed
    log.warning(
        "PaintsUndo: the configuration in %s is no JSON object (%r); the tensors' shapes are used instead.",
        source,
        parsed,
    )
    return {}


def _read_file(file: Path) -> Iterator[tuple[str, dict[str, Tensor], dict]]:
    grouped: dict[str, dict[str, Tensor]] = {}
    for name, tensor in read_tensors(file).items():
        part, _, tail = name.partition(".")
        grouped.setdefault(part, {})[tail] = tensor
    with _opened(file) as opened:
        configs = _parsed((opened.metadata() or {}).get(CONFIGS_KEY, "{}"), file)
    for part, tensors in grouped.items():
        config = configs.get(part)
        yield part, tensors, config if isinstance(config, dict) else {}


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, memory-mapped.

    Raises:
        CorruptCheckpointError: the file is truncated or no safetensors file.
    """
    with _opened(file) as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  no mapping


@contextmanager
def _opened(file: Path) -> Iterator[safe_open]:
    try:
        with safe_open(file, framework="pt", device="cpu") as opened:
            yield opened
    except (SafetensorError, OSError) as error:
        size = f"{file.stat().st_size:,} bytes" if file.is_file() else "no file"
        raise CorruptCheckpointError(
            f"{file} ({size}) cannot be read: {error}. It is truncated or no safetensors file; download it again and "
            "compare its size with the published one."
        ) from error


def find_checkpoints(roots: Iterable[str], kind: str) -> dict[str, Path]:
    """Checkpoints below these folders that are, or may be, of this kind: {name to show: path}, sorted by name.

    Only headers are read. A broken file is listed too, so that choosing it tells what is wrong with it.
    """
    found = {}
    for root in map(Path, roots):
        for path in _candidates(root):
            if kind_on_disk(path) in (kind, UNREADABLE):
                found.setdefault(path.relative_to(root).as_posix() if path != root else root.name, path)
    return dict(sorted(found.items()))


def _candidates(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Folders with a unet, and safetensors files outside of their parts."""
    real = os.path.realpath(folder)
    if real in above or not os.path.isdir(folder):  # a link back up would go round for ever
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:  # one closed folder must not take all lists away
        log.warning("PaintsUndo: %s cannot be searched for checkpoints: %s", folder, error)
        return
    has_parts = folder / "unet" in entries and bool(_weight_files(folder / "unet"))
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
    """SINGLE_FRAME, MULTI_FRAME, UNREADABLE, or None for some other model; from the headers of the diffusion network."""
    files, prefix = (_weight_files(path / "unet"), "") if path.is_dir() else ([path], "unet.")
    names: set[str] = set()
    try:
        for file in files:
            with _opened(file) as opened:
                names.update(opened.keys())
    except CorruptCheckpointError:
        return UNREADABLE
    signature = identify_part(name[len(prefix) :] for name in names if name.startswith(prefix))
    return signature.kind if signature is not None and signature.part == "unet" else None


def save_single_file(checkpoint: Checkpoint, file: Path, dtype: torch.dtype | None = None) -> None:
    """Write a checkpoint as one safetensors file.

    Args:
        checkpoint: as read from disk.
        file: the new file, ending in .safetensors; folders on the way are made.
        dtype: type of the floating tensors; None keeps each as it is. An fp8 type is used for the matrices of the
            diffusion network, which fp8 is good enough for; everything else becomes float16.

    Raises:
        FileExistsError: the file is there already; nothing is overwritten.
        OSError: the file cannot be written, say because the disk is full; nothing is left of it.
        ValueError: another ending.
    """
    if file.suffix != ".safetensors":
        raise ValueError(
            f"{file.name} does not end in .safetensors, by which ComfyUI finds it. Choose another name."
        )
    if file.exists():
        raise FileExistsError(
            f"{file} exists already and is left as it is. Choose another name, or delete it first."
        )
    tensors = {
        f"{part}.{name}": _converted(tensor, part, dtype)
        for part, named in checkpoint.parts.items()
        for name, tensor in named.items()
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    try:
        save_file(tensors, unfinished, metadata={"format": "pt", CONFIGS_KEY: json.dumps(checkpoint.configs)})
        os.replace(unfinished, file)
    except SafetensorError as error:
        raise OSError(f"{file} could not be written: {error}. Is there room for it?") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _converted(tensor: Tensor, part: str, dtype: torch.dtype | None) -> Tensor:
    if dtype is None or not tensor.is_floating_point():
        return tensor.contiguous()
    if dtype.itemsize == 1 and (part != "unet" or tensor.ndim < 2):
        dtype = torch.float16
    return tensor.to(dtype).contiguous()


def check_tensors(
    part: str, path: Path, expected: dict[str, tuple], found: dict[str, tuple], optional: tuple = ()
) -> None:
    """Compare {tensor name: shape} of a network with a file's.

    Raises:
        CheckpointMismatchError: tensors are missing (and not optional), unexpected or of another shape.
    """
    missing = sorted(expected.keys() - found.keys() - set(optional))
    unexpected = sorted(found.keys() - expected.keys())
    misshaped = [
        f"{name} is {found[name]}, not {expected[name]}"
        for name in sorted(expected.keys() & found.keys())
        if tuple(found[name]) != tuple(expected[name])
    ]
    problems = [
        f"{len(names)} {label}: {', '.join(names[:4])}{', …' if len(names) > 4 else ''}"
        for label, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshaped),
        )
        if names
    ]
    if problems:
        raise CheckpointMismatchError(
            f"The {part} in {path} is not the one of the Paints-UNDO model. Of {len(expected)} tensors expected and "
            f"{len(found)} found, {'; '.join(problems)}. Download this part again, or choose another checkpoint."
        )
