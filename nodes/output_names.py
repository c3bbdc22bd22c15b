"""Check the start of a file's name below ComfyUI's output folder before anything is computed."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import folder_paths

from ..paintsundo_models.file_names import trouble_with, with_dates, with_widgets

DEFAULT_PREFIX = "PaintsUndo/painting"
LONGEST_ADDED = len("_00001_00001_.webm")
"""Most bytes that a saved file's name has more than the last part of its prefix: numbers and ending."""

_ANY_SIDE = 10000  # stands for %width% and %height%, which are not known before the run


def clean_prefix(text: str, prompt: object = None, extra_pnginfo: object = None) -> str:
    """Return the start of a file's path below the output folder, or the default if the text holds no name.

    ComfyUI's own function decides what lies in the output folder, and makes the folders; those that are new are removed.

    Args:
        text: what was given; %date:...% and %Node.widget% are replaced.
        prompt: the running graph, of which %Node.widget% is read; None before the run.
        extra_pnginfo: ComfyUI's hidden input, which holds the graph of the page.

    Raises:
        ValueError: no file can have this name, or it cannot be saved there.
    """
    workflow = extra_pnginfo.get("workflow") if isinstance(extra_pnginfo, Mapping) else None
    prefix = with_widgets(with_dates(text, datetime.now()), prompt, workflow).replace("\\", "/")
    # Without a name, a folder would get hidden files, and the host would not count their numbers up.
    prefix = prefix.strip().rstrip("/. ") or DEFAULT_PREFIX
    trouble = trouble_with(os.path.splitdrive(prefix)[1], LONGEST_ADDED) or _trouble_in_folder(prefix)
    if trouble:
        shown = "".join(
            letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:80]
        )
        raise ValueError(f'filename_prefix is "{shown}{"…" if len(text) > 80 else ""}", which {trouble}.')
    return prefix


def _trouble_in_folder(prefix: str) -> str | None:
    """Return why no file can be saved under this prefix, or None. Leaves no folder behind."""
    output = folder_paths.get_output_directory()
    wanted = Path(os.path.abspath(os.path.join(output, prefix))).parent
    new = [folder for folder in (wanted, *wanted.parents) if not os.path.lexists(folder)]
    try:
        folder = folder_paths.get_save_image_path(prefix, output, _ANY_SIDE, _ANY_SIDE)[0]
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (FileExistsError, NotADirectoryError):
        return "would lie in a folder, and there is a file of that folder's name. Choose another name"
    except OSError as error:
        return f"cannot be saved in {wanted}: {error.strerror}. Choose another folder, or allow ComfyUI to write there"
    except Exception:  # noqa: BLE001  ComfyUI's function raises Exception itself
        return (
            f"leads out of ComfyUI's output folder ({output}). Write a name, with folders before it if you want, such "
            f'as "{DEFAULT_PREFIX}"'
        )
    finally:
        for folder in new:
            with contextlib.suppress(OSError):  # another run may have saved a file there by now
                folder.rmdir()
    return None
