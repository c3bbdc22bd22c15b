"""Where a painting video is saved below ComfyUI's output folder, and what the node shows of it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import comfy.model_management
import comfy.utils
import folder_paths
from comfy_api.latest import io, ui
from torch import Tensor

from ..paintsundo_models.errors import VideoEncodingError
from ..paintsundo_models.video import files as video_files
from ..paintsundo_models.video import mark
from ..paintsundo_models.video.frames import Frames
from ..paintsundo_models.video.unfinished import unfinished_folder
from .progress_text import say_on_node

READ_OF_WEBM = 2 * 1024**2
"""Bytes of a WebM that ComfyUI's page searches for a workflow."""

log = logging.getLogger(__name__)


def trouble_with_format(name: str) -> str | None:
    """Return why no video can be saved in this format here, or None."""
    try:
        video_files.check_format(name)
    except (ValueError, VideoEncodingError) as error:
        return str(error)
    return None


def unused_stem(prefix: str, width: int, height: int) -> tuple[Path, str]:
    """Return the path, without ending, of a video that does not exist yet, and its folder below the output folder."""
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory(), width, height
    )
    endings = {".png", *(spec.extension for spec in video_files.VIDEO_FORMATS.values())}
    while any(Path(folder, f"{name}_{counter:05}_{ending}").exists() for ending in endings):
        counter += 1
    return Path(folder, f"{name}_{counter:05}_"), subfolder


@dataclass(frozen=True)
class VideoToSave:
    """Everything about a video file but its frames.

    Attributes:
        prefix: start of its path below the output folder, from `output_names.clean_prefix`.
        format: a name in `VIDEO_FORMATS`.
        quality: 0 to 100, see `encode_video`.
        rate: frames a second.
        metadata: texts to store in the file.
        has_own_end: True if the video ends with the user's picture. The file says so, and a PNG of that picture
            beside it is not called AI-made.
        cover: (H, W, 3), see `encode_video`; None: no cover.
    """

    prefix: str
    format: str
    quality: int
    rate: Fraction
    metadata: dict[str, str]
    has_own_end: bool
    cover: Tensor | None = None

    @property
    def statement(self) -> mark.Statement:
        """The statement in the file on how it was made."""
        return mark.WITH_PICTURE if self.has_own_end else mark.BY_MODELS


def shown_together(shown: Sequence[ui.SavedImages | ui.PreviewVideo]) -> ui.SavedImages | ui.PreviewVideo:
    """Join what the node shows of several videos of one format."""
    if len(shown) == 1:
        return shown[0]
    entries = [entry for one in shown for entry in one.as_dict()["images"]]
    first = shown[0]
    return (
        ui.PreviewVideo(entries)
        if isinstance(first, ui.PreviewVideo)
        else ui.SavedImages(entries, is_animated=first.is_animated)
    )


def save_video(
    frames: Frames, to_save: VideoToSave, picture: Callable[[], Tensor]
) -> ui.SavedImages | ui.PreviewVideo:
    """Write frames as a new file or folder, with a progress bar, and return what the node shows.

    Args:
        frames: the frames as played; each is read once, in order.
        to_save: everything but the frames.
        picture: makes the picture (H, W, 3) of the PNG beside a GIF, which carries the workflow.
    """
    bar = comfy.utils.ProgressBar(len(frames))

    def on_progress(done: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done)

    stem, subfolder = unused_stem(to_save.prefix, frames.width, frames.height)

    def saved(file: str, inner: str = subfolder) -> ui.SavedResult:
        return ui.SavedResult(file, inner, io.FolderType.output)

    if to_save.format == video_files.PNG_SEQUENCE:
        names = video_files.save_png_sequence(frames, stem, to_save.metadata, on_progress, to_save.statement)
        return ui.SavedImages([saved(file, str(Path(subfolder, stem.name))) for file in names])
    path = stem.with_name(stem.name + video_files.VIDEO_FORMATS[to_save.format].extension)

    def encode(file: Path) -> None:
        video_files.encode_video(
            frames,
            file,
            to_save.rate,
            to_save.format,
            to_save.quality,
            to_save.metadata,
            on_progress,
            to_save.statement,
            to_save.cover,
        )

    if to_save.format != video_files.GIF:
        encode(path)
        _warn_of_long_texts(path, to_save.metadata)
        return ui.PreviewVideo([saved(path.name)])
    # A GIF cannot carry the workflow, so a PNG beside it does. The PNG also makes the page show both as pictures:
    # with the GIF alone, the page would try to play a video and show nothing. So they appear together or not at all.
    companion = stem.with_name(stem.name + ".png")
    of_picture = None if to_save.has_own_end else to_save.statement
    with unfinished_folder(stem.parent) as folder:
        both = [(folder / file.name, file) for file in (companion, path)]
        encode(folder / path.name)
        video_files.save_png(picture(), folder / companion.name, to_save.metadata, of_picture)
        video_files.publish(*both)
    return ui.SavedImages([saved(path.name), saved(companion.name)], is_animated=True)


def _warn_of_long_texts(path: Path, texts: dict[str, str]) -> None:
    """Say it if the page will not find the workflow in a WebM, of which it reads only the start."""
    size = sum(len(text) for text in texts.values())
    if path.suffix != ".webm" or size <= READ_OF_WEBM:
        return
    said = (
        f"The workflow in {path.name} has {size / 1e6:.1f} MB, and the page reads the first {READ_OF_WEBM / 1e6:.1f} MB of a "
        "webm, so dropping the file on the page opens nothing. The video is whole; choose mp4 to keep the workflow."
    )
    log.warning("PaintsUndo: %s", said)
    say_on_node(said)
