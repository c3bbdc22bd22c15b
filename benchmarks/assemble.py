"""Time and memory of the last node against the number of keyframes and the size of the video: `python benchmarks/assemble.py`.

Each case runs in a process of its own, whose peak is read from the operating system, and writes a file that is deleted.
Runs under ComfyUI's Python, like run.py; no model is loaded.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("assemble.py")

from tools.markdown import figures_table  # noqa: E402
from tools.under_comfyui import prepare, run_command_under_comfyui  # noqa: E402

SEGMENT = (512, 320)


@dataclass(frozen=True)
class Case:
    """A video to assemble.

    Attributes:
        keyframes: number of them; there is one segment more.
        segment: (height, width) of its frames.
        finished: (height, width) of the finished picture, None for a video as large as the segments.
        frames: how many frames to write of it; 0 for all.
        is_connected: the node's outputs are connected, so that all frames are held.
    """

    keyframes: int
    segment: tuple[int, int] = SEGMENT
    finished: tuple[int, int] | None = None
    frames: int = 0
    is_connected: bool = False


COUNTS = [Case(count, is_connected=connected) for connected in (False, True) for count in (1, 6, 30, 64)]
SIZES = [
    Case(6, (512, 384), None),
    Case(1, (512, 384), (2048, 1536)),
    Case(6, (512, 384), (2048, 1536)),
    Case(1, (512, 384), (8192, 6144), frames=6),
]
CASES = [*COUNTS, *SIZES]
QUICK = [Case(1, (64, 48)), Case(1, (64, 48), (256, 192), is_connected=True)]


@dataclass(frozen=True)
class Figures:
    """What one case took; bytes.

    Attributes:
        frames: written.
        size: (height, width) of the video.
        segments: memory of the segments.
        working: the most memory beyond the segments and the finished picture.
        seconds: from the segments to the file.
    """

    frames: int
    size: tuple[int, int]
    segments: int
    working: int
    seconds: float


def peak_bytes() -> int:
    """Return the most memory that this process has held."""
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def assemble_one(case: Case) -> Figures:
    """Assemble and write one video in this process."""
    import torch

    from paintsundo_models.pictures.resizing import resize_and_center_crop
    from paintsundo_models.video import files
    from paintsundo_models.video.assembly import AssemblySettings, assemble
    from paintsundo_models.video.frames import RecordedFrames, TimedFrames
    from paintsundo_models.video.timeline import frame_rate

    generator = torch.Generator().manual_seed(1)
    height, width = case.segment
    noise = torch.rand(1, height // 8, width // 8, 3, generator=generator)
    picture = resize_and_center_crop(noise, width, height)[0]
    segments = [torch.empty(16, height, width, 3) for _ in range(case.keyframes + 1)]
    count = 16 * len(segments)
    for number, frame in enumerate(frame for segment in segments for frame in segment):
        frame.copy_(picture.lerp(torch.ones(()), number / count))
    finished = None
    if case.finished is not None:
        finished = resize_and_center_crop(noise, case.finished[1], case.finished[0])
    rate = frame_rate(24)
    with tempfile.TemporaryDirectory() as folder:
        before, started = peak_bytes(), time.monotonic()
        settings = AssemblySettings(rate, longest_side=max(case.finished or case.segment))
        frames = assemble(segments, settings, finished=finished).played
        if case.frames:
            frames = TimedFrames(frames, range(len(frames) - case.frames, len(frames)))
        if case.is_connected:
            frames = RecordedFrames(frames)
        files.encode_video(frames, Path(folder, "video.mp4"), rate, next(iter(files.VIDEO_FORMATS)))
        seconds = time.monotonic() - started
    held = sum(segment.nbytes for segment in segments)
    return Figures(len(frames), (frames.height, frames.width), held, peak_bytes() - before, seconds)


def table(cases: list[Case], figures: list[Figures]) -> str:
    """Return the figures as a table in Markdown."""
    rows = []
    for case, found in zip(cases, figures, strict=True):
        size = f"{found.size[1]}x{found.size[0]}"
        made = f"{found.segments / 1e9:.2f}", f"{found.working / 1e9:.2f}", f"{found.seconds:.1f}"
        connected = "yes" if case.is_connected else "no"
        rows.append((f"{case.keyframes}", f"{found.frames}", size, connected, *made))
    return figures_table(
        ("keyframes", "frames", "video", "outputs connected", "segments GB", "beyond them GB", "s"), rows
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="assemble.py", description=(__doc__ or "").split(":")[0] + ".")
    parser.add_argument("--quick", action="store_true", help="the least of everything, to see that it works")
    parser.add_argument("--threads", type=int, help="processor threads; by default as many as torch likes")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    requirements = ROOT / "benchmarks" / "requirements.txt"
    return run_command_under_comfyui(
        __file__, requirements, lambda _: run(options), ValueError, is_optional=True
    )


def run(options: argparse.Namespace) -> None:
    """Measure all cases, or one in this process."""
    prepare(options.threads)
    if options.case:
        found = assemble_one(Case(**json.loads(options.case)))
        print(json.dumps(asdict(found)))
        return
    cases = QUICK if options.quick else CASES
    figures = []
    for case in cases:
        command = [sys.executable, __file__, "--case", json.dumps(asdict(case))]
        command += ["--threads", str(options.threads)] if options.threads else []
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        figures.append(Figures(**json.loads(answer.splitlines()[-1])))
        print(table([case], figures[-1:]).splitlines()[-1], flush=True)
    print(f"\n{table(cases, figures)}")


if __name__ == "__main__":
    sys.exit(main())
