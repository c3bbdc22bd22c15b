"""Read checkpoints from disk: the released folder of sub-folders, or this pack's single safetensors file. Without ComfyUI.

A single file holds the same tensors as the folder, each named `<part>.<released name>` (parts: parts.PARTS), with the
parts' config.json texts in the header under CONFIGS_KEY; a file ending in CONFIGS_SUFFIX may add to them. Tensors are memory-mapped: nothing is read before it is used.
"""

import json
import logging
import os
import reprlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..constants import WEIGHT_TYPES
from ..errors import (
    CheckpointMismatchError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    UnsupportedCheckpointError,
)
from .host_names import CONFIGS_TENSOR, grouped
from .parts import MULTI_FRAME, PARTS, SINGLE_FRAME, expected_signature, identify_part

CONFIGS_KEY = "paintsundo_configs"
"""Entry in the header of a single file: JSON of {part: content of its config.json}."""

CONFIGS_SUFFIX = ".configs.json"
"""Ending of a file beside a single file that adds to its configs, in the same form, so that the weights need not change."""

PUBLISHED_AT = {
    SINGLE_FRAME: "https://huggingface.co/lllyasviel/paints_undo_single_frame",
    MULTI_FRAME: "https://huggingface.co/lllyasviel/paints_undo_multi_frame",
}

WEIGHT_DTYPES: dict[str, torch.dtype | None] = {
    "default": None,
    **{name: getattr(torch, torch_name) for name, torch_name in WEIGHT_TYPES.items()},
}
"""Choices of weight_dtype -> torch's type. None: keep the types of the file when writing, let ComfyUI choose when loading."""

LONGEST_CONFIG = 1_000_000
"""Bytes; the released files have up to 3,000."""

UNREADABLE = "unreadable"
PICKLED = (
    ".bin",
    ".ckpt",
    ".pt",
    ".pth",
)  # endings of pickle files, which can run code when they are opened and are never read

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """The parts of one model as they are stored on disk."""

    path: Path
    kind: str  # SINGLE_FRAME or MULTI_FRAME
    parts: dict[str, dict[str, Tensor]]  # part -> released tensor name -> memory-mapped tensor
    configs: dict[str, dict]  # part -> its config.json, {} where there is none


def read_checkpoint(path: str | os.PathLike, kind: str) -> Checkpoint:
    """Read a released folder or a single file.

    Args:
        path: a folder with one sub-folder for each part, or a .safetensors file written by save_single_file.
        kind: SINGLE_FRAME or MULTI_FRAME, the model that is wanted.

    Raises:
        CheckpointNotFoundError: the path does not exist, or a part is missing.
        UnsupportedCheckpointError: the checkpoint belongs to another model.
        CorruptCheckpointError: a file is truncated or is not a safetensors file.
    """
    path = Path(path)
    if not path.exists():
        raise CheckpointNotFoundError(
            f"There is no checkpoint at {path}. The {kind} model is published at {PUBLISHED_AT[kind]}."
        )
    parts, configs, kinds, unknown, inside = {}, {}, {}, {}, {}
    for source, everything, config_of in _read_folder(path) if path.is_dir() else _read_file(path):
        inside.update(_configs_inside(everything.pop(CONFIGS_TENSOR, None), path))
        for name, tensors in grouped(everything, source):
            signature = identify_part(tensors)
            if signature is None:
                unknown[name] = tensors
                continue
            part = signature.part
            if part in parts:
                raise UnsupportedCheckpointError(
                    f"{path} has two parts that are a {part} (the second is {name}). Keep one model in a folder."
                )
            parts[part], configs[part], kinds[part] = tensors, config_of(part), signature.kind
    _check_parts(path, kind, kinds, unknown)
    return Checkpoint(path, kind, parts, {part: merged(inside.get(part), configs[part]) for part in parts})


def _check_parts(
    path: Path, kind: str, kinds: dict[str, str | None], unknown: dict[str, dict[str, Tensor]]
) -> None:
    """Raise an error unless all parts of this kind are there.

    Args:
        path: of the checkpoint.
        kind: the model that is wanted.
        kinds: the recognised parts, with the model that each belongs to; None where both models share its format.
        unknown: tensors of the groups that are no part of either model, by sub-folder or prefix.
    """
    where = f"The {kind} model is published at {PUBLISHED_AT[kind]}."
    for part in PARTS[kind]:
        if part in unknown and part not in kinds:
            names = unknown[part].keys()
            lacking = [name for name in expected_signature(part, kind).tensors if name not in names]
            raise UnsupportedCheckpointError(
                f"The {part} in {path} is not the {kind} model's, or is damaged: among its {len(names)} tensors there is "
                f"no {', '.join(lacking)}. Choose another checkpoint, or download this part again. {where}"
            )
    if not kinds:
        raise UnsupportedCheckpointError(
            f"{path} is no Paints-UNDO checkpoint: none of the parts {', '.join(PARTS[kind])} was found in it"
            f"{_other_contents(path, unknown)}. {where}"
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
            f"{path} lacks {', '.join(missing)} (found: {', '.join(sorted(kinds))}{_other_contents(path, unknown)}; "
            f"needed: {', '.join(PARTS[kind])}). Download what is missing into sub-folders of these names. {where}"
        )


def _other_contents(path: Path, unknown: dict[str, dict[str, Tensor]]) -> str:
    """Return text for a message: which unknown groups of tensors the checkpoint has, and files that are never read."""
    pickled = sorted(
        file.relative_to(path).as_posix() for ending in PICKLED for file in path.glob(f"*/*{ending}")
    )
    unread = f"; {', '.join(pickled[:3])} cannot be read, only .safetensors files are" if pickled else ""
    names = f"; unknown: {', '.join(sorted(unknown)[:5])}" if unknown else ""
    return names + unread


Source = tuple[str | None, dict[str, Tensor], Callable[[str], dict]]
"""A sub-folder's name, or None for a file; the tensors; and a function that returns the config of a part in them."""


def _read_folder(folder: Path) -> Iterator[Source]:
    for sub_folder in sorted(p for p in folder.iterdir() if p.is_dir()):
        files = weight_files(sub_folder)
        if files:
            config = _read_config(sub_folder / "config.json")
            yield sub_folder.name, _merge_files(files), lambda part, config=config: config


def checkpoint_files(path: Path) -> list[Path]:
    """Return the files of a checkpoint that loading reads: weights, and the configurations beside them."""
    if not path.is_dir():
        return [path, *(beside for beside in [path.with_suffix(CONFIGS_SUFFIX)] if beside.is_file())]
    return [
        file
        for folder in sorted(p for p in path.iterdir() if p.is_dir())
        if (weights := weight_files(folder))
        for file in (*weights, folder / "config.json")
        if file.is_file()
    ]


def checkpoint_identity(path: Path) -> list[tuple[str, int, int]]:
    """Return what changes when a file that loading reads is replaced: (path, bytes, time in ns) of each."""
    return [
        (str(file), (status := file.stat()).st_size, status.st_mtime_ns) for file in checkpoint_files(path)
    ]


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of one part, without hidden ones such as macOS's ._model.safetensors, which is no model."""
    return sorted(file for file in folder.glob("*.safetensors") if not file.name.startswith("."))


def _merge_files(files: list[Path]) -> dict[str, Tensor]:
    """Return the tensors of one part: join shards; where files contain the same tensor, take the one of the widest type."""
    joined: dict[str, Tensor] = {}
    for file in files:
        for name, tensor in read_tensors(file).items():
            if name not in joined or tensor.element_size() > joined[name].element_size():
                joined[name] = tensor
    return joined


def _read_config(file: Path) -> dict:
    if not file.is_file():
        return {}
    return _parsed(file.read_bytes(), file) if _is_short_enough(file.stat().st_size, file) else {}


def _is_short_enough(size: int, source: Path) -> bool:
    if size <= LONGEST_CONFIG:
        return True
    log.warning(
        "PaintsUndo: the configuration in %s has %d bytes, more than any needs, and is not read.",
        source,
        size,
    )
    return False


def _parsed(text: str | bytes, source: Path) -> dict:
    """Parse a JSON object; if it is none, log a warning and return {}, because a checkpoint works without it."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        parsed = error
    if isinstance(parsed, dict):
        return parsed
    log.warning(
        "PaintsUndo: the configuration in %s is no JSON object (%s); the tensors' shapes are used instead.",
        source,
        reprlib.repr(parsed),
    )
    return {}


def _read_file(file: Path) -> Iterator[Source]:
    with _opened(file) as opened:
        text = (opened.metadata() or {}).get(CONFIGS_KEY, "{}")
    inside = _parsed(text, file) if _is_short_enough(len(text), file) else {}
    beside = _read_config(file.with_suffix(CONFIGS_SUFFIX))
    yield None, read_tensors(file), lambda part: merged(inside.get(part), beside.get(part))


def merged(*configs: object) -> dict:
    """Join the entries of these configs; later ones win, and what is no object is passed over."""
    return {key: value for config in configs if isinstance(config, dict) for key, value in config.items()}


def _configs_inside(text: Tensor | None, source: Path) -> dict:
    """Return the configs that a Save node of ComfyUI has kept among the tensors, or {}."""
    if text is None or text.dtype != torch.uint8 or text.ndim != 1 or len(text) > LONGEST_CONFIG:
        return {}
    return _parsed(bytes(text.tolist()), source)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return all tensors of a safetensors file, memory-mapped.

    Raises:
        CorruptCheckpointError: the file is truncated or is not a safetensors file.
    """
    with _opened(file) as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  safe_open is not a mapping


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


def check_new_file(file: Path) -> None:
    """Check that save_single_file may write this file.

    Raises:
        FileExistsError: the file exists; it is not overwritten.
        ValueError: the file does not end in .safetensors, or nothing can be written in its folder.
    """
    if file.suffix != ".safetensors":
        raise ValueError(
            f"{file.name} does not end in .safetensors, by which ComfyUI finds it. Choose another name."
        )
    if file.exists():
        raise FileExistsError(
            f"{file} exists already and is left as it is. Choose another name, or delete it first."
        )
    nearest = next(folder for folder in file.parents if os.path.lexists(folder))
    if not os.path.isdir(nearest):
        raise ValueError(
            f"{file.name} would lie in the folder {nearest}, and there is a file of that name. Choose another name."
        )
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise ValueError(
            f"Nothing can be written in {nearest}: {error.strerror or error}. Allow ComfyUI to write there, or choose "
            "another folder."
        ) from error


def save_single_file(checkpoint: Checkpoint, file: Path, dtype: torch.dtype | None = None) -> None:
    """Write a checkpoint as one safetensors file.

    Args:
        checkpoint: from read_checkpoint.
        file: the new file, ending in .safetensors; missing folders are created.
        dtype: type of the floating-point tensors; None keeps the type of each. With an fp8 type only the matrices of the
            unet are stored in it, because fp8 is precise enough for them, and all other tensors in float16.

    Raises:
        FileExistsError: the file exists; it is not overwritten.
        OSError: the file cannot be written, for example because the disk is full; no partial file remains.
        ValueError: as check_new_file.
    """
    check_new_file(file)
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
    """Check that a file's tensors fit a network.

    Args:
        part: name of the part, for the message.
        path: of the checkpoint, for the message.
        expected: {tensor name: shape} of the network.
        found: {tensor name: shape} of the file.
        optional: names of tensors that may be missing.

    Raises:
        CheckpointMismatchError: tensors are missing, unexpected or of another shape.
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
