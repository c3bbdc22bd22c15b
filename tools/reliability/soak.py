"""Many different prompts in one server: memory, open files, threads and temporary folders stay as they are."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.comfy_client import Prompt

from .bench import Bench
from .report import Report

if TYPE_CHECKING:
    import psutil

FIRST = (
    5  # the prompt after which memory is compared: by then everything is loaded, and every format was used
)
MOST_GROWTH = 5.0  # percent
FORMATS = ("png sequence", "mp4 (h264)", "webm (vp9)", "gif", "webm (lossless)")  # of the prompts 0 to 4
SECONDS_OF_CLOSING = 2.0
"""How long a server may take to close a connection; one look in eight at once after an answer finds it still open."""


@dataclass(frozen=True)
class State:
    """What a server holds: resident memory of its own in bytes (not files that are mapped), open files, threads, entries in folders for temporary files."""

    memory: int
    files: int
    threads: int
    temporary: int


def torture(bench: Bench, rounds: int) -> Report:
    """Run `rounds` prompts; the first and the last are the same."""
    report, states = Report(bench.say), []
    different: list[str] = []
    first = ""
    failed: list[str] = []
    for number in range(rounds):
        is_end = number in (0, rounds - 1)
        try:
            digest = bench.result(prompt_of(bench, 0 if is_end else number))
        except RuntimeError as error:
            failed.append(f"prompt {number + 1}: {error}")
            digest = ""
        first = first or digest
        if is_end and digest != first:
            different.append(f"prompt {number + 1}")
        is_compared = number + 1 in (FIRST, rounds)
        if is_compared:
            bench.finish({"trim": {"class_type": "TortureTrim", "inputs": {}}})
        states.append(state_of(bench, SECONDS_OF_CLOSING if is_compared else 0.0))
        bench.say(f"    prompt {number + 1}: {states[-1]}")
    early, last = states[min(FIRST, rounds) - 1], states[-1]
    report.count("prompts in one server", rounds)
    report.none_of("prompts that failed", failed)
    report.figure(f"resident memory of its own after prompt {FIRST}", f"{early.memory / 1e6:.0f} MB")
    report.figure(f"resident memory of its own after prompt {rounds}", f"{last.memory / 1e6:.0f} MB")
    report.at_most("growth between the two", 100 * (last.memory / early.memory - 1), MOST_GROWTH, "%")
    report.none_of("last results that differ from the first one of the same prompt", different)
    for what, name in (
        ("open files", "files"),
        ("threads", "threads"),
        ("temporary folders and files", "temporary"),
    ):
        before, after = getattr(early, name), getattr(last, name)
        report.at_most(f"more {what} than after prompt {FIRST}", max(0, after - before), 0, "")
    return report


def prompt_of(bench: Bench, number: int) -> Prompt:
    """Return a chain; the prompts differ in what `widgets_of` chooses, and some have a node of another kind beside them."""
    prompt = bench.chain(**widgets_of(number))
    if number % 5 == 2:
        (pairs,) = (node for node in prompt.values() if node["class_type"] == "PaintsUndoKeyframePairs")
        sheet = {"images": pairs["inputs"]["keyframes"], "labels": "", "operation_steps": "", "fps": 4.0}
        sheet |= {
            "most": 3,
            "columns": 0,
            "title": f"number {number}",
            "size": "as the pictures",
            "order": "as given",
        }
        prompt["sheet"] = {"class_type": "PaintsUndoStageSheet", "inputs": sheet}
        prompt["shown"] = {"class_type": "TortureSink", "inputs": {"value": ["sheet", 0]}}
    return prompt


def widgets_of(number: int) -> dict[str, object]:
    """Return the widgets of a chain; number 0 is the plainest one, and the others differ in seeds, formats and more."""
    if number == 0:
        return {"seed": 0, "format": FORMATS[0]}
    return {
        "seed": 1
        + number // 2,  # every second prompt takes the segments of the one before, and makes another video
        "format": FORMATS[number % len(FORMATS)],
        "reuse": number // 2 % 3 == 0,
        "loop": ("once", "rewind")[number % 2],
        "pace": ("as made", "equal change")[number // 2 % 2],
        "duration": (0.0, 3.0)[number // 2 % 2],
        "end_card": ("off", "corner note", "end card")[number % 3],
        "cover": number % 4 == 1,
        "cfg": (1.0, 2.0)[number // 2 % 5 == 0],
    }


def state_of(bench: Bench, seconds: float) -> State:
    """Return what the server holds now; of its open files and threads, the fewest in these seconds."""
    import psutil  # one of ComfyUI's requirements

    process = psutil.Process(bench.server.pid)
    files, threads = fewest(process, seconds)
    temporary = [*bench.temporary.iterdir(), *bench.leftovers()]
    temporary += [path for path in (bench.base / "run").rglob("*") if path.is_dir()]  # ComfyUI's own
    return State(process.memory_full_info().uss, files, threads, len(temporary))


def fewest(process: "psutil.Process", seconds: float) -> tuple[int, int]:
    """Return the fewest open files and the fewest threads that a process has within these seconds.

    What it has forgotten to close stays open all the time; a connection that it is just closing does not.
    """
    end = time.monotonic() + seconds
    looks = [_open_now(process)]
    while time.monotonic() < end:
        time.sleep(0.1)
        looks.append(_open_now(process))
    return min(files for files, _ in looks), min(threads for _, threads in looks)


def _open_now(process: "psutil.Process") -> tuple[int, int]:
    # Windows has no num_fds.
    files = process.num_fds() if hasattr(process, "num_fds") else len(process.open_files())
    return files, process.num_threads()
