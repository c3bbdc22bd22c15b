"""Where checkpoints are found: in ComfyUI's model folders with the keys `paintsundo` and `diffusers`."""

import os
from pathlib import Path

import folder_paths

from ..checkpoints.files import PUBLISHED_AT, find_checkpoints
from ..constants import DEMO_NAME
from ..errors import CheckpointNotFoundError

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
    """Return the names of the checkpoints of this kind: those in ComfyUI's folders, then the built-in demo."""
    return list(_found(kind))


def checkpoint_path(name: str, kind: str) -> Path:
    """Return the path of a checkpoint by the name that `list_checkpoints` returns.

    Raises:
        CheckpointNotFoundError: there is no such checkpoint; the message says where to get it and where to put it.
    """
    found = _found(kind)
    if name not in found:
        raise CheckpointNotFoundError(
            f"There is no {kind} checkpoint {name!r}; found: {', '.join(found) or 'none'}. Choose one of these, or get the "
            f"released files: run the node {DOWNLOAD_NODE}, or put those of {PUBLISHED_AT[kind]} (keep the sub-folders) in a "
            f"folder of their own in {folder_paths.get_folder_paths(FOLDER_KEY)[0]}; then press R to refresh the lists."
        )
    return found[name]


def single_file_path(name: str) -> Path:
    """Return the path for a new single file of this name, in models/paintsundo.

    Raises:
        ValueError: the name is empty, begins with a dot (a hidden file) or leads out of that folder.
    """
    root = Path(folder_paths.get_folder_paths(FOLDER_KEY)[0]).resolve()
    path = (root / f"{name.removesuffix('.safetensors')}.safetensors").resolve()
    if not name.strip() or path.name.startswith(".") or not path.is_relative_to(root):
        raise ValueError(
            f"{name!r} is no file name inside {root}. Write a name such as paints_undo_single_frame_fp16."
        )
    return path


def _found(kind: str) -> dict[str, Path]:
    roots = [root for key in SEARCHED_KEYS for root in folder_paths.get_folder_paths(key)]
    demo = DEMO_FOLDER / f"{kind}.safetensors"
    return {**find_checkpoints(roots, kind), **({DEMO_NAME: demo} if demo.is_file() else {})}
