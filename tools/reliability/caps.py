"""Limits on the server's address space while a prompt runs: it ends well with less memory, or with one message."""

import sys
from dataclasses import dataclass, field

from tools.comfy_client import Prompt

from .bench import Bench, error_of
from .cancels import start_afresh
from .prompts import is_python
from .report import Report

SIDE = 128  # pixels; large enough that the tensors of a segment are most of what a run needs
SMALLEST = 8  # megabytes above what the server has before the run


@dataclass
class Found:
    """What happened under the limits, each a list of sentences; and how many runs ended well or with a message."""

    ended: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    afterwards: list[str] = field(default_factory=list)
    well: int = 0
    said: int = 0


def torture(bench: Bench, rounds: int) -> Report:
    """Run a prompt `rounds` times under a limit between almost nothing and what it needs, and once without after each."""
    report, chance, found = Report(bench.say), bench.random_of("caps"), Found()
    if sys.platform != "linux":
        report.figure("limits on memory", "only tried on Linux")
        return report
    bench.close()  # a new server, whose memory is not in pieces
    prompt = bench.chain(steps=1, width=SIDE, height=SIDE)
    expected = bench.result(prompt)
    needed = max(memory(bench.server.pid, "VmPeak") - memory(bench.server.pid, "VmSize"), 2 * SMALLEST)
    for number in range(rounds):
        extra = round(SMALLEST * (needed / SMALLEST) ** chance.random())
        name = f"run {number + 1} with {extra} MB"
        if run_with_limit(bench, prompt, extra, expected, name, found):
            run_without_limit(bench, prompt, expected, name, found)
    report.figure("address space that the prompt needs beyond the idle server's", f"{needed} MB")
    report.count("runs with less than that, from 8 MB up", rounds)
    report.count("of these ended well", found.well)
    report.count("ended with a message", found.said)
    report.none_of("results that differ from the one without a limit", found.different)
    report.none_of("messages with words of Python", found.words)
    report.none_of("servers that ended or hung", found.ended)
    report.none_of("next runs without a limit that failed or gave another result", found.afterwards)
    return report


def run_with_limit(bench: Bench, prompt: Prompt, extra: int, expected: str, name: str, found: Found) -> bool:
    """Run a prompt with so many megabytes more than the server has now; return whether the server goes on."""
    start_afresh(bench)
    pid = bench.server.pid
    limit(pid, (memory(pid, "VmSize") + extra) * 2**20)
    try:
        entry = bench.finish(prompt)
    except (OSError, TimeoutError) as error:
        found.ended.append(f"{name}: {error}")
        bench.close()
        return False
    limit(pid, None)
    if message := error_of(entry):
        found.said += 1
        bench.say(f"    {name}: {message}")
        found.words += [f"{name}: {message}"] if is_python(message) else []
    else:
        found.well += 1
        found.different += [] if bench.digest(prompt, entry) == expected else [name]
    return True


def run_without_limit(bench: Bench, prompt: Prompt, expected: str, name: str, found: Found) -> None:
    """Run the prompt again, now with all the memory that it wants."""
    start_afresh(bench)
    try:
        found.afterwards += [] if bench.result(prompt) == expected else [f"{name}: another result"]
    except (RuntimeError, OSError, TimeoutError) as error:
        found.afterwards.append(f"{name}: {error}")


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
