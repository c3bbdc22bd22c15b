"""Reading checkpoints from disk: the released folder of sub-folders, or our single safetensors file. No ComfyUI in here.

A single file holds the same tensors as the folder, each named `<part>.<released name>` (parts: parts.PARTS), with the
parts' config.json texts in the header under CONFIGS_KEY. Tensors are memory-mapped: nothing is read before it is used.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import CheckpointMismatchError, CheckpointNotFoundError, CorruptCheckpointError, UnsupportedCheckpointError
from .parts import MULTI_FRAME, PARTS, SINGLE_FRAME, identify_part

CONFIGS_KEY = "paintsundo_configs"
"""Header entry of a single file: JSON of {part: config}."""

PUBLISHED_AT = {
    SINGLE_FRAME: "https://huggingface.co/lllyasviel/paints_undo_single_frame",
    MULTI_FRAME: "https://huggingface.co/lllyasviel/paints_undo_multi_frame",
}

UNREADABLE = "unreadable"

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
        raise CheckpointNotFoundError(f"There is no checkpoint at {path}. The {kind} model is published at {PUBLISHED_AT[kind]}.")
    parts, configs, kinds = {}, {}, set()
    for name, tensors, config in _read_folder(path) if path.is_dir() else _read_file(path):
        signature = identify_part(tensors)
        if signature is None:
            log.info("PaintsUndo: %s is no part of the %s model; it is left alone.", name, kind)
            continue
        if signature.part in parts:
            raise UnsupportedCheckpointError(
                f"{path} has two parts that are a {signature.part} (the second is {name}). Keep one model in a folder."
            )
        parts[signature.part], configs[signature.part] = tensors, config
        if signature.kind is not None:
            kinds.add(signature.kind)
    _check_parts(path, kind, parts, kinds)
    return Checkpoint(path, kind, parts, configs)


def _check_parts(path: Path, kind: str, parts: dict, kinds: set[str]) -> None:
    wanted = ", ".join(PARTS[kind])
    if not parts:
        raise UnsupportedCheckpointError(
            f"{path} is no Paints-UNDO checkpoint: none of the parts {wanted} was found in it. "
            f"The {kind} model is published at {PUBLISHED_AT[kind]}."
        )
    if kinds and kind not in kinds:
        raise UnsupportedCheckpointError(
            f"{path} is the {' and '.join(sorted(kinds))} model, and the {kind} model is needed here. "
            f"Choose it in the other loader, or get the {kind} model from {PUBLISHED_AT[kind]}."
        )
    missing = [part for part in PARTS[kind] if part not in parts]
    if missing:
        raise CheckpointNotFoundError(
            f"{path} lacks {', '.join(missing)} (found: {', '.join(sorted(parts)) or 'nothing'}; needed: {wanted}). "
            f"Download the missing sub-folders from {PUBLISHED_AT[kind]}."
        )


def _read_folder(folder: Path) -> Iterator[tuple[str, dict[str, Tensor], dict]]:
    for sub_folder in sorted(p for p in folder.iterdir() if p.is_dir()):
        files = sorted(sub_folder.glob("*.safetensors"))
        if files:
            yield sub_folder.name, _merge_files(files), _read_config(sub_folder / "config.json")


def _merge_files(files: list[Path]) -> dict[str, Tensor]:
    """The tensors of one part: shards are joined; of variants with the same tensors the widest type is taken."""
    merged: dict[str, Tensor] = {}
    for file in files:
        for name, tensor in read_tensors(file).items():
            if name not in merged or tensor.element_size() > merged[name].element_size():
                merged[name] = tensor
    return merged


def _read_config(file: Path) -> dict:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        log.warning("PaintsUndo: %s is no JSON (%s); the shapes of the tensors are used instead.", file, error)
        return {}


def _read_file(file: Path) -> Iterator[tuple[str, dict[str, Tensor], dict]]:
    grouped: dict[str, dict[str, Tensor]] = {}
    for name, tensor in read_tensors(file).items():
        part, _, tail = name.partition(".")
        grouped.setdefault(part, {})[tail] = tensor
    configs = json.loads(read_metadata(file).get(CONFIGS_KEY, "{}"))
    for part, tensors in grouped.items():
        yield part, tensors, configs.get(part, {})


def read_tensors(file: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, memory-mapped.

    Raises:
        CorruptCheckpointError: the file is truncated or no safetensors file.
    """
    with _opened(file) as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  no mapping


def read_metadata(file: Path) -> dict[str, str]:
    """The header's metadata; {} where there is none."""
    with _opened(file) as opened:
        return opened.metadata() or {}


def _opened(file: Path) -> safe_open:
    try:
        return safe_open(file, framework="pt", device="cpu")
    except SafetensorError as error:
        raise CorruptCheckpointError(
            f"{file} ({file.stat().st_size:,} bytes) cannot be read: {error}. It is truncated or no safetensors file; "
            "download it again and compare its size with the published one."
        ) from error


def find_checkpoints(roots: Iterable[str], kind: str) -> dict[str, Path]:
    """Checkpoints below these folders that are, or may be, of this kind: {name to show: path}, sorted by name.

    Only headers are read. A broken file is listed too, so that choosing it tells what is wrong with it.
    """
    found = {}
    for root in map(Path, roots):
        for folder, sub_folders, files in os.walk(root, followlinks=True):
            here = Path(folder)
            if next((here / "unet").glob("*.safetensors"), None):
                sub_folders.clear()
                candidates = [here]
            else:
                candidates = [here / file for file in files if file.endswith(".safetensors")]
            for path in candidates:
                if kind_on_disk(path) in (kind, UNREADABLE):
                    found.setdefault(path.relative_to(root).as_posix(), path)
    return dict(sorted(found.items()))


def kind_on_disk(path: Path) -> str | None:
    """SINGLE_FRAME, MULTI_FRAME, UNREADABLE, or None for some other model; from the header of one file."""
    file, prefix = (next((path / "unet").glob("*.safetensors")), "") if path.is_dir() else (path, "unet.")
    try:
        with _opened(file) as opened:
            names = list(opened.keys())
    except CorruptCheckpointError:
        return UNREADABLE
    signature = identify_part(name[len(prefix) :] for name in names if name.startswith(prefix))
    return signature.kind if signature else None


def save_single_file(checkpoint: Checkpoint, file: Path, dtype: torch.dtype | None = None) -> None:
    """Write a checkpoint as one safetensors file.

    Args:
        checkpoint: as read from disk.
        file: the new file, ending in .safetensors; folders on the way are made.
        dtype: type of the floating tensors; None keeps each as it is. An fp8 type is used for the matrices of the
            diffusion network, which fp8 is good enough for; everything else becomes float16.

    Raises:
        FileExistsError: the file is there already; nothing is overwritten.
        ValueError: another ending.
    """
    if file.suffix != ".safetensors":
        raise ValueError(f"{file.name} does not end in .safetensors, by which ComfyUI finds it. Choose another name.")
    if file.exists():
        raise FileExistsError(f"{file} exists already and is left as it is. Choose another name, or delete it first.")
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
    finally:
        unfinished.unlink(missing_ok=True)


def _converted(tensor: Tensor, part: str, dtype: torch.dtype | None) -> Tensor:
    if dtype is None or not tensor.is_floating_point():
        return tensor.contiguous()
    if dtype.itemsize == 1 and (part != "unet" or tensor.ndim < 2):
        dtype = torch.float16
    return tensor.to(dtype).contiguous()


def check_tensors(part: str, path: Path, expected: dict[str, tuple], found: dict[str, tuple], optional: tuple = ()) -> None:
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
        for label, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshaped))
        if names
    ]
    if problems:
        raise CheckpointMismatchError(
            f"The {part} in {path} is not the one of the Paints-UNDO model. Of {len(expected)} tensors expected and "
            f"{len(found)} found, {'; '.join(problems)}. Download this part again, or choose another checkpoint."
        )
