"""Limits on the server's address space while a prompt runs: it ends well with less memory, or with one message."""

import sys
from dataclasses import dataclass, field

from tools.comfy_client import Prompt
from tools.pinned_comfyui import tail

from .bench import Bench, error_of
from .cancels import start_afresh
from .prompts import is_python
from .report import Report

SMALLEST = 8  # megabytes above what the server has before the run
MOST_DIFFERENCE = 2  # of 255: sums of another number of pictures at once have other last digits
RETRY_WORDS = "trying again"
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_ARENA_MAX": "1"}
"""Variables of the C library: freed memory goes back to the system, so that a limit counts what is in use."""


@dataclass
class Found:
    """What happened under the limits, each a list of sentences; and how many runs ended well or with a message."""

    ended: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    afterwards: list[str] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    said: int = 0


def torture(bench: Bench, rounds: int) -> Report:
    """Run a prompt `rounds` times under a limit between almost nothing and what it needs, and once without after each."""
    report, chance, found = Report(bench.say), bench.random_of("caps"), Found()
    if sys.platform != "linux":
        report.figure("limits on memory", "only tried on Linux")
        return report
    with bench.uses(**GIVES_BACK):
        prompt = bench.chain(steps=1)
        expected = bench.frames(prompt, bench.finish(prompt))
        needed = max(memory(bench.server.pid, "VmPeak") - memory(bench.server.pid, "VmSize"), 2 * SMALLEST)
        for number in range(rounds):
            extra = round(SMALLEST * (needed / SMALLEST) ** chance.random())
            name = f"run {number + 1} with {extra} MB"
            if run_with_limit(bench, prompt, extra, expected, name, found):
                run_without_limit(bench, prompt, expected, name, found)
        logs = [log.read_text("utf-8", "replace") for log in (bench.base / "run").glob("*.log")]
        retries = sum(text.count(RETRY_WORDS) for text in logs)
    report.figure("address space that the prompt needs beyond the idle server's", f"{needed} MB")
    report.count(f"runs with less than that, from {SMALLEST} MB up", rounds)
    report.count("of these ended well", len(found.differences))
    report.count("ended with a message", found.said)
    report.count("lines in the log about another attempt with less at once", retries)
    largest = max(found.differences, default=0.0)
    report.at_most("largest difference to the frames without a limit, of 255", largest, MOST_DIFFERENCE, "")
    report.none_of("messages with words of Python", found.words)
    report.none_of("servers that ended or hung", found.ended)
    report.none_of("next runs without a limit that failed or gave other frames", found.afterwards)
    return report


def run_with_limit(
    bench: Bench, prompt: Prompt, extra: int, expected: list[bytes], name: str, found: Found
) -> bool:
    """Run a prompt with so many megabytes more than the server has now; return whether the server goes on."""
    start_afresh(bench)
    pid, log = bench.server.pid, bench.server.log
    limit(pid, (memory(pid, "VmSize") + extra) * 2**20)
    try:
        entry = bench.finish(prompt)
    except (OSError, TimeoutError) as error:
        found.ended.append(f"{name}: {error}")
        bench.say(f"    {name}, the end of the server's log:\n{tail(log, 20)}")
        bench.close()
        return False
    limit(pid, None)
    if message := error_of(entry):
        found.said += 1
        bench.say(f"    {name}: {message}")
        found.words += [f"{name}: {message}"] if is_python(message) else []
    else:
        bench.say(f"    {name}: ended well")
        found.differences.append(difference(bench.frames(prompt, entry), expected))
    return True


def run_without_limit(bench: Bench, prompt: Prompt, expected: list[bytes], name: str, found: Found) -> None:
    """Run the prompt again, now with all the memory that it wants."""
    start_afresh(bench)
    try:
        entry = bench.finish(prompt)
    except (OSError, TimeoutError) as error:
        found.afterwards.append(f"{name}: {error}")
        return
    message = error_of(entry)
    if message or bench.frames(prompt, entry) != expected:
        found.afterwards.append(f"{name}: {message or 'other frames'}")


def difference(frames: list[bytes], expected: list[bytes]) -> float:
    """Return the largest difference of two videos, 0 to 255; 255 where they have other sizes."""
    import numpy as np

    one, other = (np.frombuffer(b"".join(video), np.uint8).astype(int) for video in (frames, expected))
    return float(np.abs(one - other).max()) if one.shape == other.shape else 255.0


def limit(pid: int, size: int | None) -> None:
    """Limit the address space of a process to so many bytes; None takes the limit away."""
    import resource

    unlimited = resource.RLIM_INFINITY
    resource.prlimit(pid, resource.RLIMIT_AS, (unlimited if size is None else size, unlimited))


def memory(pid: int, name: str) -> int:
    """Return a figure of /proc/PID/status, such as VmSize, in megabytes."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:  # noqa: PTH123
        line = next(line for line in file if line.startswith(name))
    return int(line.split()[1]) // 1024
