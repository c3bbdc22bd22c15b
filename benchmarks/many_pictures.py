"""How paint.py grows with pictures and workers: `python benchmarks/many_pictures.py`; see benchmarks/RESULTS.md.

The command's own part is measured, with the painting replaced by a video of a given size, and then with everything there
already. Throughput for up to 1,000 workers is simulated from the times that are measured or given.
"""

import argparse
import asyncio
import heapq
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent

if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("many_pictures.py")

from tools.markdown import figures_table  # noqa: E402
from tools.under_comfyui import run_command_under_comfyui  # noqa: E402

COUNTS = (1_000, 10_000, 100_000)
WORKERS = (1, 2, 8, 64, 256, 1000)
VIDEO_BYTES = 1_000_000
PICTURES_A_WORKER = 20  # in the simulation, so that the start counts little


class Load(NamedTuple):
    """Seconds of one picture, and of a worker's start."""

    start: float
    painting: float
    out: float  # the command reads a picture and hands it over; nothing else of it runs meanwhile
    back: float  # the command takes a result and keeps it


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="many_pictures.py", description=(__doc__ or "").partition(":")[0] + "."
    )
    parser.add_argument(
        "--pictures", type=int, nargs="+", default=COUNTS, help="numbers of pictures to measure with"
    )
    parser.add_argument("--start", type=float, default=10.0, help="seconds until a worker is ready")
    parser.add_argument(
        "--painting",
        type=float,
        nargs="+",
        default=[60.0],
        help="seconds of one picture; several are several columns",
    )
    parser.add_argument("--video", type=int, default=VIDEO_BYTES, help="bytes of one video")
    options = parser.parse_args(argv)
    return run_command_under_comfyui(__file__, ROOT / "requirements-cluster.txt", lambda _: measure(options))


def measure(options: argparse.Namespace) -> None:
    """Print the tables."""
    rows = [driver_row(count) for count in options.pictures]
    head = [
        "pictures",
        "painted, CPU ms each",
        "there already, CPU ms each",
        "memory, MB more",
        "manifest, MB",
    ]
    print(figures_table(head, rows), end="\n\n")
    out, back = asyncio.run(transfer_seconds(options.video))
    print(
        f"Handing a picture over takes {out * 1e3:.1f} ms, taking a video of {options.video / 1e6:g} MB back {back * 1e3:.1f} ms.\n"
    )
    loads = [Load(options.start, painting, out, back) for painting in options.painting]
    head = ["workers", *(f"pictures an hour at {load.painting:g} s each" for load in loads)]
    rows = [[str(count), *(f"{pictures_an_hour(count, load):,.0f}" for load in loads)] for count in WORKERS]
    print(figures_table(head, rows))


def driver_row(count: int) -> list[str]:
    """Measure the command with `count` pictures of some bytes, first painted and then there already."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "pictures")
        pictures.mkdir()
        for number in range(count):
            (pictures / f"{number:06}.png").write_bytes(b"%d" % number)
        painted, _ = in_own_process(pictures, Path(folder, "out"))
        there, more = in_own_process(pictures, Path(folder, "out"))
        size = Path(folder, "out", "paintsundo.jsonl").stat().st_size
    return [
        f"{count:,}",
        f"{painted / count * 1e3:.2f}",
        f"{there / count * 1e3:.2f}",
        f"{more / 1e6:.1f}",
        f"{size / 1e6:.1f}",
    ]


def in_own_process(pictures: Path, output: Path) -> tuple[float, float]:
    """Deal with all pictures in a process of its own; return its processor seconds, and the bytes that its memory grew by."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, " ".join(map(str, deal_with_all(pictures, output))).encode())
        os._exit(0)
    os.waitpid(child, 0)
    seconds, grown = os.read(reading, 1000).decode().split()
    os.close(reading)
    os.close(writing)
    return float(seconds), float(grown)


def deal_with_all(pictures: Path, output: Path) -> tuple[float, float]:
    """Do what the command does, with painting replaced by a file of one byte."""
    from tools.batch import Batch
    from tools.progress import BatchBars

    class Silent(BatchBars):
        def say(self, text: str) -> None:
            pass

    output.mkdir(exist_ok=True)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    batch = Batch(ROOT, argparse.Namespace(pictures=[pictures], hold=2.0), output, Silent())
    batch.count()
    batch.manifest.hidden.mkdir(exist_ok=True)
    result = batch.manifest.hidden / "painting.mp4"
    for due, _ in batch.due():
        result.write_bytes(b"0")
        batch.keep(due, [result], {})
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return time.process_time() - started, grown * (1 if sys.platform == "darwin" else 1024)


async def transfer_seconds(video: int, repeats: int = 30) -> tuple[float, float]:
    """Measure what Ray takes to hand a picture of 2 MB to a worker of this machine, and its video back into a file."""
    import ray

    @ray.remote
    class Echo:
        def paint(self, data: bytes, size: int) -> bytes:
            return bytes(size)

    ray.init("local", log_to_driver=False, include_dashboard=False)
    try:
        worker: Any = Echo.remote()
        await worker.paint.remote(b"", 1)
        outs, backs = [], []
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(repeats):
                data = os.urandom(2_000_000)
                started = time.monotonic()
                done = worker.paint.remote(ray.put(data), video)
                outs.append(time.monotonic() - started)
                await asyncio.to_thread(ray.wait, [done])
                started = time.monotonic()
                Path(folder, "video").write_bytes(await done)
                backs.append(time.monotonic() - started)
    finally:
        ray.shutdown()
    return statistics.median(outs), statistics.median(backs)


def pictures_an_hour(workers: int, load: Load) -> float:
    """Simulate a run: workers paint side by side, while the command hands out and takes back one picture at a time."""
    left = workers * PICTURES_A_WORKER
    events: list[tuple[float, int]] = [
        (load.start, 0)
    ] * workers  # when a worker is free, and whether it has a result
    free = 0.0  # when the command is
    finished = 0.0
    for at, result in drained(events):
        free = max(free, at) + result * load.back
        finished = max(finished, free)
        if left > 0:
            left -= 1
            free += load.out
            heapq.heappush(events, (free + load.painting, 1))
    return workers * PICTURES_A_WORKER / finished * 3600


def drained(events: list[tuple[float, int]]) -> Iterator[tuple[float, int]]:
    """Yield the events in order of time, with those that are added meanwhile."""
    heapq.heapify(events)
    while events:
        yield heapq.heappop(events)


if __name__ == "__main__":
    sys.exit(main())
