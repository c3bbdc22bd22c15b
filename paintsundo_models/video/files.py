"""Files from the frames of a painting video: ffmpeg (imageio-ffmpeg) through a pipe, PNG through Pillow.

Frames come as played, in [0, 1]: a tensor (T, H, W, 3), or `Frames`, of which each is made when its turn comes. They go
to ffmpeg one at a time as 8-bit RGB. A file or folder gets its name only when it is whole, and nothing is ever overwritten.
Every video and every frame of a sequence says what it is (see `mark`).
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import VideoEncodingError
from . import mark
from .cover import cover_filters, cover_options
from .credentials import sign_file, signing_key
from .encoder import NO_CONSOLE, run_encoder
from .frames import BatchFrames, Frames, JoinedFrames, as_frames
from .unfinished import full_disk, unfinished_folder

GIF_MAX_FPS = 50
"""GIF counts in 1/100 s, and browsers slow a delay of 1/100 s down to 1/10 s."""

DEFAULT_QUALITY = 75

Progress = Callable[[int], None]
"""Called with the number of frames handed over so far, and again while ffmpeg finishes; may raise to cancel."""

_WORDS_SHOWN = 12  # lines of what ffmpeg said, in a message


@dataclass(frozen=True)
class VideoFormat:
    """How one format is written.

    Attributes:
        extension: of the file, with the dot; "" for a folder of PNG files.
        is_even_sized: colour is stored at half size (4:2:0), so both sides must be even.
        min_side: the encoder cannot take fewer pixels a side.
        filters: ffmpeg's filters for the frames, separated by commas.
        output_options: from (quality 0...100, path of ffmpeg) to ffmpeg's other options.
        can_have_cover: a file can have a cover (see `cover`).
    """

    extension: str
    is_even_sized: bool = False
    min_side: int = 1
    filters: str = ""
    output_options: Callable[[int, str], list[str]] = lambda quality, ffmpeg: []
    can_have_cover: bool = False


# Convert by BT.709 and say so: untagged, players guess BT.601 at these sizes, and colours shift.
_YUV_FILTERS = (
    "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd,format=yuv420p,"
    "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
)
_YUV_TAGS = [
    *("-colorspace", "bt709", "-color_primaries", "bt709"),
    *("-color_trc", "bt709", "-color_range", "tv"),
]


def _h264_options(quality: int, ffmpeg: str) -> list[str]:
    # crf 1...41: crf 0 would switch to a lossless profile that browsers cannot play.
    crf = round(41 - 0.4 * quality)
    flags = "+faststart+use_metadata_tags"  # the page reads our keys only from the latter's "mdta" boxes
    return [*_YUV_TAGS, "-c:v", "libx264", "-crf", str(crf), "-movflags", flags]


def _vp9_options(quality: int, ffmpeg: str) -> list[str]:
    crf = round(54 - 0.5 * quality)
    speed = ["-deadline", "good", "-cpu-used", "2", "-row-mt", "1"]
    return [*_YUV_TAGS, "-c:v", "libvpx-vp9", "-b:v", "0", "-crf", str(crf), *speed]


def _av1_options(quality: int, ffmpeg: str) -> list[str]:
    listing = subprocess.run(
        [ffmpeg, "-hide_banner", "-encoders"],
        capture_output=True,
        text=True,
        check=False,
        creationflags=NO_CONSOLE,
    ).stdout
    crf = str(round(54 - 0.5 * quality))
    if "libsvtav1" in listing:
        encoder = ["-c:v", "libsvtav1", "-preset", "6", "-crf", crf]
    elif "libaom-av1" in listing:
        encoder = [
            "-c:v",
            "libaom-av1",
            "-strict",
            "experimental",
            "-cpu-used",
            "6",
            "-row-mt",
            "1",
            "-b:v",
            "0",
            "-crf",
            crf,
        ]
    else:
        raise VideoEncodingError(
            f"This ffmpeg has no AV1 encoder (libsvtav1 or libaom-av1): {ffmpeg}. Choose another format."
        )
    return [*_YUV_TAGS, *encoder]


def _lossless_options(quality: int, ffmpeg: str) -> list[str]:
    return ["-c:v", "libvpx-vp9", "-lossless", "1", "-cpu-used", "4", "-row-mt", "1"]


def _gif_options(quality: int, ffmpeg: str) -> list[str]:
    # A palette for each frame: exact white and few colours early on, and ffmpeg need not hold the whole video.
    colors = min(256, 32 + 3 * quality)
    palette = f"palettegen=stats_mode=single:max_colors={colors}"
    use = "paletteuse=new=1:dither=sierra2_4a"
    # ffmpeg's transparent differences mix up the palettes of frames, and white pictures get specks.
    whole = ["-gifflags", "-transdiff"]
    return [
        "-filter_complex",
        f"split[a][b];[a]{palette}[p];[b][p]{use}",
        "-c:v",
        "gif",
        *whole,
        "-loop",
        "0",
    ]


PNG_SEQUENCE = "png sequence"
GIF = "gif"
VIDEO_FORMATS = {
    "mp4 (h264)": VideoFormat(".mp4", True, 1, _YUV_FILTERS, _h264_options, can_have_cover=True),
    "webm (vp9)": VideoFormat(".webm", True, 1, _YUV_FILTERS, _vp9_options, can_have_cover=True),
    "webm (av1)": VideoFormat(".webm", True, 64, _YUV_FILTERS, _av1_options, can_have_cover=True),
    "webm (lossless)": VideoFormat(".webm", False, 1, "format=gbrp", _lossless_options, can_have_cover=True),
    GIF: VideoFormat(".gif", output_options=_gif_options),
    PNG_SEQUENCE: VideoFormat(""),
}
"""All formats by name; the first is the default."""


def _ffmetadata(metadata: dict[str, str]) -> str:
    """Format metadata as ffmpeg's ffmetadata file; a file, because command lines end at 32767 characters on Windows."""

    def escape(text: str) -> str:
        return re.sub(r"([=;#\\\n])", r"\\\1", text)

    return "\n".join([";FFMETADATA1", *(f"{escape(k)}={escape(v)}" for k, v in metadata.items()), ""])


def _ffmpeg_path() -> str:
    try:
        import imageio_ffmpeg

        path = imageio_ffmpeg.get_ffmpeg_exe()
        if shutil.which(path) is None:  # the package takes IMAGEIO_FFMPEG_EXE without a look
            raise RuntimeError(f"no program at {path}, which IMAGEIO_FFMPEG_EXE names")
        return path
    except (ImportError, RuntimeError) as error:
        raise VideoEncodingError(
            "Saving a video needs ffmpeg, which the Python package imageio-ffmpeg brings. Install it into ComfyUI's "
            f'Python with "python -m pip install imageio-ffmpeg", or choose "{PNG_SEQUENCE}". ({error})'
        ) from error


def check_format(video_format: str, fps: Fraction | None = None) -> None:
    """Check what can be known of a format before there are frames; fps is None where it is not known yet.

    Raises:
        ValueError: no such format, or a frame rate that it cannot hold.
        VideoEncodingError: the ffmpeg that it needs is missing, or lacks its encoder; or files are to be signed, and what
            that needs is not there.
    """
    if video_format not in VIDEO_FORMATS:
        raise ValueError(f'Unknown format "{video_format}"; accepted are: {", ".join(VIDEO_FORMATS)}.')
    if video_format == GIF and fps is not None and fps > GIF_MAX_FPS:
        raise ValueError(f"A GIF plays at most {GIF_MAX_FPS} frames a second; got {float(fps):g}. Lower fps.")
    if video_format != PNG_SEQUENCE:
        VIDEO_FORMATS[video_format].output_options(DEFAULT_QUALITY, _ffmpeg_path())
    signing_key()


def _to_bytes(frame: Tensor) -> np.ndarray:
    return (frame.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def publish(*finished: tuple[Path, Path]) -> None:
    """Give finished files or folders their names: all of them, or none.

    Args:
        finished: where each lies and where it is to lie, on the same disk.

    Raises:
        FileExistsError: there is one already; nothing is overwritten.
        OSError: one could not be moved.
    """
    for _, path in finished:
        if path.exists():
            raise FileExistsError(f"{path} exists already; it is not overwritten. Choose another name.")
    moved: list[tuple[Path, Path]] = []
    try:
        for part, path in finished:
            part.rename(path)
            moved.append((part, path))
    except OSError:
        for part, path in moved:
            path.rename(part)
        raise


def encode_video(
    frames: Frames | Tensor,
    path: Path,
    fps: Fraction,
    video_format: str,
    quality: int = DEFAULT_QUALITY,
    metadata: dict[str, str] | None = None,
    on_progress: Progress = lambda done: None,
    statement: mark.Statement = mark.BY_MODELS,
    cover: Tensor | None = None,
) -> None:
    """Write frames as a video file through ffmpeg.

    Odd sides are made even for 4:2:0 formats by repeating the last row or column; nothing is cut.

    Args:
        frames: as played, in [0, 1].
        path: of the new file, with the format's extension; its folder exists.
        fps: frames a second.
        video_format: a name in `VIDEO_FORMATS` that stands for a file.
        quality: 0 (small) ... 100 (best). H.264: crf 41...1; VP9 and AV1: crf 54...4; GIF: 32...256 colours, the
            most from 75 on; lossless: no effect.
        metadata: texts to store under their names; GIF cannot hold any.
        on_progress: see `Progress`.
        statement: what the file says of itself.
        cover: picture of a frame's size, (H, W, 3) in [0, 1], that the file shows where it does not play (see `cover`);
            None: no cover. Formats without `can_have_cover` ignore it.

    Raises:
        ValueError: no such format, or a frame rate or a size that it cannot hold.
        FileExistsError: the path exists.
        VideoEncodingError: ffmpeg is missing or failed; the message ends with its words.
    """
    check_format(video_format, fps)
    key = signing_key()
    spec = VIDEO_FORMATS[video_format]
    frames, has_cover = as_frames(frames), cover is not None and spec.can_have_cover
    height, width = frames.height, frames.width
    if min(height, width) < spec.min_side:
        raise ValueError(
            f'"{video_format}" needs frames of at least {spec.min_side} pixels a side; got {width}x{height}. '
            "Choose another format or larger frames."
        )
    ffmpeg = _ffmpeg_path()
    pad = ((0, height % 2), (0, width % 2), (0, 0)) if spec.is_even_sized else ((0, 0),) * 3
    size = f"{width + pad[1][1]}x{height + pad[0][1]}"
    with unfinished_folder(path.parent) as folder:
        part, metadata_file = folder / path.name, folder / "metadata.txt"
        metadata_file.write_text(
            _ffmetadata({**(metadata or {}), **mark.tags(statement)}), encoding="utf-8", newline="\n"
        )
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-framerate", str(fps), "-i", "pipe:0"]
        command = [ffmpeg, "-hide_banner", "-loglevel", "error", *source]
        command += ["-f", "ffmetadata", "-i", str(metadata_file), "-map_metadata", "1"]
        command += [*_output_options(spec, fps, quality, ffmpeg, has_cover), str(part)]
        shown = frames
        if cover is not None and has_cover:
            shown = JoinedFrames([BatchFrames(cover[None]), frames])
        pictures = (np.pad(_to_bytes(frame), pad, mode="edge").tobytes() for frame in shown)
        code, words = run_encoder(command, pictures, lambda done: on_progress(max(0, done - has_cover)))
        if code != 0 or not part.is_file() or not part.stat().st_size:
            what = f"{path.name} ({video_format}, {len(frames)} frames of {size}, exit code {code})"
            raise VideoEncodingError(_failure(what, words, path.parent))
        mark.complete_file(part, statement)
        if key is not None:
            sign_file(part, statement, key)  # last: a signature holds for every byte before it
        publish((part, path))


def _failure(what: str, words: str, folder: Path) -> str:
    """Say why there is no video: the full disk where ffmpeg met one, else ffmpeg's own last words."""
    if "No space left" in words or "not enough space" in words:
        return full_disk(folder)
    lines = words.splitlines()[-_WORDS_SHOWN:] or ["(nothing)"]
    said = "\n".join(lines)
    return f"ffmpeg could not write {what}. Choose another format, or look at what ffmpeg said:\n{said}"


def _output_options(
    spec: VideoFormat, fps: Fraction, quality: int, ffmpeg: str, has_cover: bool
) -> list[str]:
    filters = [*(cover_filters(fps) if has_cover else []), *([spec.filters] if spec.filters else [])]
    return [
        *(["-vf", ",".join(filters)] if filters else []),
        *spec.output_options(quality, ffmpeg),
        *(cover_options(fps, spec.extension) if has_cover else []),
    ]


def save_png(
    frame: Tensor, path: Path, metadata: dict[str, str], statement: mark.Statement | None = None
) -> None:
    """Write one frame (H, W, 3) as PNG with the metadata as text chunks, as ComfyUI's Save Image does.

    Without a statement it says nothing of itself: for a picture that somebody gave.

    Raises:
        FileExistsError: the path exists.
    """
    with unfinished_folder(path.parent) as folder:
        _write_png(frame, folder / path.name, metadata, statement)
        publish((folder / path.name, path))


def _write_png(frame: Tensor, path: Path, metadata: dict[str, str], statement: mark.Statement | None) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    for name, text in metadata.items():
        texts.add_text(name, text)
    if statement is not None:
        mark.add_png_texts(texts, statement)
    Image.fromarray(_to_bytes(frame)).save(path, pnginfo=texts, compress_level=4)
    if statement is not None and (key := signing_key()) is not None:
        sign_file(path, statement, key)


def save_png_sequence(
    frames: Frames | Tensor,
    folder: Path,
    metadata: dict[str, str],
    on_progress: Progress = lambda done: None,
    statement: mark.Statement = mark.BY_MODELS,
) -> list[str]:
    """Write frames as numbered PNG files into a new folder, each with the metadata and the statement.

    Returns:
        The names in order.

    Raises:
        FileExistsError: the folder exists.
    """
    # Video editors find the number of a picture right before the ending.
    names = [f"{folder.name.rstrip('_')}_{i:05}.png" for i in range(1, len(frames) + 1)]
    with unfinished_folder(folder.parent) as work:
        part = work / folder.name
        part.mkdir()
        for done, (name, frame) in enumerate(zip(names, as_frames(frames), strict=True), start=1):
            _write_png(frame, part / name, metadata, statement)
            on_progress(done)
        publish((part, folder))
    return names
