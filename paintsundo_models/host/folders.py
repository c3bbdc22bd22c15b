"""Where checkpoints are found: in ComfyUI's model folders with the keys `paintsundo` and `diffusers`."""

import os
from pathlib import Path

import folder_paths

from ..checkpoints.files import PUBLISHED_AT
from ..checkpoints.finding import Found, find_checkpoints
from ..constants import DEMO_NAME, UNUSABLE
from ..errors import CheckpointNotFoundError, CorruptCheckpointError
from ..file_names import trouble_with

FOLDER_KEY = "paintsundo"
SEARCHED_KEYS = (FOLDER_KEY, "diffusers")
DOWNLOAD_NODE = "Download PaintsUndo Models"
DEMO_FOLDER = Path(__file__).resolve().parents[1] / "demo"
"""Folder of the two small trained checkpoints that come with the pack: <kind>.safetensors each."""


def register_folder() -> None:
    """Register models/paintsundo with ComfyUI as the first folder of its key; creates no folder and lists no files.

    It precedes the folders of extra_model_paths.yaml, because new files are written to the first folder of a key, and
    those others may be shared or read-only.
    """
    own = os.path.join(folder_paths.models_dir, FOLDER_KEY)
    folder_paths.add_model_folder_path(FOLDER_KEY, own, is_default=True)
    paths, extensions = folder_paths.folder_names_and_paths[FOLDER_KEY]
    # ComfyUI creates the key without file extensions, and would then list files of every kind.
    folder_paths.folder_names_and_paths[FOLDER_KEY] = (paths, {*extensions, ".safetensors", ".onnx"})


def list_checkpoints(kind: str) -> list[str]:
    """Return the names of the checkpoints of this kind: those in ComfyUI's folders, the demo, and what cannot be used.

    The first one is what a new node chooses, so unreadable and incomplete ones come last, marked by UNUSABLE.
    """
    found = _found(kind)
    whole = [name for name, entry in found.items() if entry.trouble is None]
    return whole + [name + UNUSABLE for name, entry in found.items() if entry.trouble is not None]


def checkpoint_path(name: str, kind: str) -> Path:
    """Return the path of a checkpoint by the name that `list_checkpoints` returns.

    Raises:
        CheckpointNotFoundError: there is no such checkpoint; the message says where to get it and where to put it.
        CorruptCheckpointError: it is incomplete or cannot be read.
    """
    found = _found(kind)
    wanted = name.removesuffix(UNUSABLE)
    if wanted not in found:
        wanted = wanted.replace("\\", "/")  # as a workflow from Windows names it
    if wanted not in found:
        raise CheckpointNotFoundError(
            f"There is no {kind} checkpoint {name!r}; found: {', '.join(list_checkpoints(kind)) or 'none'}. Choose one of these, or get the "
            f"released files: run the node {DOWNLOAD_NODE}, or put those of {PUBLISHED_AT[kind]} (keep the sub-folders) in a "
            f"folder of their own in {folder_paths.get_folder_paths(FOLDER_KEY)[0]}; then press R to refresh the lists."
        )
    trouble = found[wanted].trouble
    if trouble is not None:
        raise CorruptCheckpointError(
            f"The {kind} checkpoint {wanted} cannot be used: {trouble}. Choose another one, or download it again "
            f"({PUBLISHED_AT[kind]}; the node {DOWNLOAD_NODE} completes its own downloads)."
        )
    return found[wanted].path


def single_file_path(name: str) -> Path:
    """Return the path for a new single file of this name, in models/paintsundo.

    Raises:
        ValueError: the name is empty, begins with a dot (a hidden file), leads out of that folder or cannot be stored.
    """
    # Links are not followed: a sub-folder may be a link to another drive, as for the lists.
    root = Path(os.path.abspath(folder_paths.get_folder_paths(FOLDER_KEY)[0]))
    stem = name.removesuffix(".safetensors").replace("\\", "/")
    trouble = trouble_with(f"{os.path.splitdrive(stem)[1]}.safetensors")
    if trouble:
        raise ValueError(f"{name!r}, the name of the new file, {trouble}.")
    path = Path(os.path.abspath(root / f"{stem}.safetensors"))
    if not name.strip() or path.name.startswith(".") or not path.is_relative_to(root):
        raise ValueError(
            f"{name!r} is no file name inside {root}. Write a name such as paints_undo_single_frame_fp16."
        )
    return path


def _found(kind: str) -> dict[str, Found]:
    roots = [root for key in SEARCHED_KEYS for root in folder_paths.get_folder_paths(key)]
    demo = DEMO_FOLDER / f"{kind}.safetensors"
    return {**find_checkpoints(roots, kind), **({DEMO_NAME: Found(demo, None)} if demo.is_file() else {})}
