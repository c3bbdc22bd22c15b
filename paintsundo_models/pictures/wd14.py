"""The WD14 tagger, which turns a picture into the tags that the single-frame model reads. Runs an ONNX file on the CPU.

Computes what Paints-UNDO's wd14tagger.py computes (own code). It runs on the CPU, as in the original, because a small
network that runs once a picture is fast enough there, its tags are then the same on every machine, and it takes no GPU
memory that ComfyUI does not know about.
"""

from __future__ import annotations

import csv
import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ..errors import (
    CheckpointMismatchError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    UnsupportedCheckpointError,
)
from .inputs import composite_on_white

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DEFAULT_THRESHOLD = 0.35
DEFAULT_CHARACTER_THRESHOLD = 0.85

PUBLISHED = (
    "wd-v1-4-moat-tagger-v2.onnx and wd-v1-4-moat-tagger-v2.csv from lllyasviel/misc on the Hugging Face hub"
)
"""The two files of the original's tagger, and where they are published."""

MOST_WORKING_BYTES = 4 << 30
"""What a tagger may take while it reads a picture, beside its weights; the published ones stay far below."""

LARGEST_INPUT = 4096
"""Largest side of a tagger's input in pixels; the published ones have 448."""

_GENERAL, _CHARACTER = 0, 4  # categories in the csv; ratings (category 9) are never written


@dataclass(frozen=True)
class Tag:
    """One line of the tag list: the name as published, and its category (0 general, 4 character, 9 rating)."""

    name: str
    category: int


@dataclass(frozen=True)
class WD14Tagger:
    """An opened tagger: its file, ONNX session, the side of its square input in pixels, and the tag of each output."""

    path: Path
    session: InferenceSession
    size: int
    tags: list[Tag]

    def probabilities(self, image: Tensor) -> np.ndarray:
        """Return the probability of each tag, (tags,) float32, for one picture (H, W, C) in [0, 1].

        Raises:
            CheckpointMismatchError: the model does not output one number for each line of the tag list.
            CorruptCheckpointError: it cannot run, or not within MOST_WORKING_BYTES; or a number is infinite or not a number.
        """
        name = self.session.get_inputs()[0].name
        pixels = {name: preprocess(image, self.size)}
        try:
            result = np.asarray(self.session.run(None, pixels, _run_options())[0], dtype=np.float32)
        except Exception as error:  # onnxruntime's error classes have no common base
            if isinstance(error, MemoryError) or "Failed to allocate memory" in str(error):
                raise  # the computer's memory is full, and the file may be whole
            raise CorruptCheckpointError(
                f"{self.path.name} cannot read a picture, or asks for more than {MOST_WORKING_BYTES / 1e9:.1f} GB for it, which "
                f"no tagger needs: the file is damaged. Download it again ({PUBLISHED}). onnxruntime says: {_words(error)}"
            ) from error
        if result.shape != (1, len(self.tags)):
            raise CheckpointMismatchError(
                f"{self.path.name} gives probabilities of the shape {result.shape}, but "
                f"{tag_list_path(self.path).name} lists {len(self.tags)} tags: the two files do not belong together. "
                f"Get both from the same place ({PUBLISHED})."
            )
        if not np.isfinite(result).all():
            raise CorruptCheckpointError(
                f"{self.path.name} gives probabilities that are not numbers: the file is damaged. Download it again ({PUBLISHED})."
            )
        return result[0]


def tag_list_path(model_path: Path) -> Path:
    """Return the path of an ONNX file's tag list: in the same folder, with the same name and the ending .csv."""
    return model_path.with_suffix(".csv")


def load_tagger(model_path: Path) -> WD14Tagger:
    """Open an ONNX file and the tag list beside it.

    Raises:
        ImportError: onnxruntime is not installed, or cannot be loaded.
        CheckpointNotFoundError: the tag list is missing.
        CorruptCheckpointError: the file is not an ONNX model, or is truncated.
        UnsupportedCheckpointError: the model's input is not a square RGB picture, or the list is not a tag list.
    """
    tags = read_tags(tag_list_path(model_path))
    session = _open_session(model_path)
    return WD14Tagger(model_path, session, _input_size(session, model_path), tags)


def _open_session(model_path: Path) -> InferenceSession:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f"The tagger needs the Python package onnxruntime, which cannot be loaded ({error}). Install it with "
            f'"{sys.executable}" -m pip install onnxruntime and restart ComfyUI; or leave the tagger out and write '
            "the tags into the prompt by hand."
        ) from error
    if not model_path.is_file():  # opening a pipe would wait for ever
        raise CorruptCheckpointError(f"{model_path} is no file. Download the tagger again ({PUBLISHED}).")
    _limit_memory()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    try:
        # What a file computes from its constants alone is computed when it is used, within the limit.
        return onnxruntime.InferenceSession(
            str(model_path),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["ConstantFolding"],
        )
    except Exception as error:  # onnxruntime's error classes have no common base
        raise CorruptCheckpointError(
            f"{model_path} cannot be opened as an ONNX model: it is truncated or something else. "
            f"Download it again ({PUBLISHED}). onnxruntime says: {_words(error)}"
        ) from error


def _words(error: Exception) -> str:
    """Return what onnxruntime says, without the name and the number of its error in front."""
    return str(error).rpartition(" : ")[2]


@functools.cache
def _limit_memory() -> None:
    """Tell onnxruntime, once, how much the sessions that this module opens may take."""
    import onnxruntime

    package: Any = onnxruntime  # its stubs lack most names
    memory = package.OrtMemoryInfo(
        "Cpu", package.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, package.OrtMemType.DEFAULT
    )
    package.create_and_register_allocator(
        memory,
        package.OrtArenaCfg(
            {
                "max_mem": MOST_WORKING_BYTES,
                "arena_extend_strategy": 1,  # as much as is asked for
                "initial_chunk_size_bytes": -1,  # -1: onnxruntime's default
                "max_dead_bytes_per_chunk": -1,
            }
        ),
    )


def _run_options() -> Any:
    """Return options with which a run gives its memory back."""
    import onnxruntime

    package: Any = onnxruntime
    options = package.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _input_size(session: InferenceSession, model_path: Path) -> int:
    shape = session.get_inputs()[0].shape
    is_square_rgb = len(shape) == 4 and shape[1] == shape[2] and shape[3] == 3
    if not is_square_rgb or not isinstance(shape[1], int):
        raise UnsupportedCheckpointError(
            f"{model_path.name} is not a WD14 tagger: its input has the shape {shape}, a tagger's is "
            f"[1, size, size, 3]. Use {PUBLISHED}."
        )
    if not 1 <= shape[1] <= LARGEST_INPUT:
        raise UnsupportedCheckpointError(
            f"{model_path.name} reads pictures of {shape[1]:,} pixels a side, and a tagger reads at most {LARGEST_INPUT}. "
            f"Use {PUBLISHED}."
        )
    return shape[1]


def read_tags(path: Path) -> list[Tag]:
    """Read a WD14 tag list: a csv with a header and at least the columns "name" and "category".

    Raises:
        CheckpointNotFoundError: there is no such file.
        UnsupportedCheckpointError: it is not such a list.
    """
    if not path.is_file():
        raise CheckpointNotFoundError(
            f"The tag list {path.name} is missing: it has to lie in {path.parent}, beside the ONNX file and with the "
            f"same name up to the ending. Published: {PUBLISHED}."
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            tags = [Tag(row["name"], int(row["category"])) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UnsupportedCheckpointError(
            f'{path} is not a tag list: each line needs a "name" and a number as "category", named in the first '
            f"line. Download it again ({PUBLISHED})."
        ) from error
    if not tags:
        raise UnsupportedCheckpointError(f"{path} lists no tags. Download it again ({PUBLISHED}).")
    return tags


def preprocess(image: Tensor, size: int) -> np.ndarray:
    """Fit one picture into the tagger's square: longer side to `size` (Lanczos), centred on white.

    Args:
        image: (H, W, C) in [0, 1]; alpha is laid on white.
        size: the square's side in pixels.

    Returns:
        (1, size, size, 3) float32, 0...255, channels blue, green, red.
    """
    from PIL import Image

    pixels = (composite_on_white(image[None], "image")[0].float().clamp(0, 1) * 255).round()
    picture = Image.fromarray(pixels.cpu().numpy().astype(np.uint8))
    scale = size / max(picture.size)
    width, height = (max(1, int(side * scale)) for side in picture.size)
    square = Image.new("RGB", (size, size), (255, 255, 255))
    square.paste(
        picture.resize((width, height), Image.Resampling.LANCZOS), ((size - width) // 2, (size - height) // 2)
    )
    return np.asarray(square, dtype=np.float32)[None, :, :, ::-1].copy()


def tags_to_text(
    tags: list[Tag], probabilities: np.ndarray, threshold: float, character_threshold: float, exclude: str
) -> str:
    """Write the tags whose probability is over the threshold, as the single-frame model was trained on them.

    Characters first, then general tags, each in the list's order; underscores become spaces, parentheses are
    escaped by a backslash, joined with ", ". A probability equal to the threshold (in float32) is not over it.

    Args:
        tags: N tags.
        probabilities: (N,) float32.
        threshold: for general tags, 0...1.
        character_threshold: for characters, 0...1.
        exclude: tags to leave out, separated by commas or lines; any case, with underscores or spaces, with or
            without escaped parentheses.
    """
    excluded = {_plain(re.sub(r"\\([()])", r"\1", name)) for name in re.split(r"[,\n]", exclude)}

    def chosen(category: int, least: float) -> list[str]:
        over = probabilities > np.float32(least)
        return [
            tag.name for tag, is_over in zip(tags, over, strict=True) if is_over and tag.category == category
        ]

    names = chosen(_CHARACTER, character_threshold) + chosen(_GENERAL, threshold)
    kept = [name.replace("_", " ") for name in names if _plain(name) not in excluded]
    return ", ".join(name.replace("(", r"\(").replace(")", r"\)") for name in kept)


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", " ")
