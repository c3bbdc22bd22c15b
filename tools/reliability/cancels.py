"""Cancels at random moments of a chain, half of them while the video is encoded."""

import statistics
import time
from dataclasses import dataclass

from tools.comfy_client import Prompt
from tools.painting import INTERPOLATE, KEYFRAMES, VIDEO

from .bench import Bench, error_of
from .report import Report

SECONDS_TO_STOP = 2.0  # of the processor
# Slow enough to be cancelled in the middle.
ENCODING = {"format": "webm (av1)", "duration": 60.0, "fps": 24.0, "quality": 100}


@dataclass(frozen=True)
class Times:
    """Seconds of an undisturbed run: until the video node starts, and until the end."""

    chain: float
    whole: float


@dataclass(frozen=True)
class Wait:
    """From a cancel to the end of the run: seconds of a clock, and of the processor, which other programs do not lengthen."""

    seconds: float
    processor: float


def torture(bench: Bench, rounds: int) -> Report:
    """Cancel `rounds` runs; run each prompt again afterwards and compare it with an undisturbed run."""
    report, random = Report(bench.say), bench.random_of("cancels")
    bench.result(prompt_of(bench, 0))  # the first run also loads the libraries
    times, expected = undisturbed(bench, prompt_of(bench, 1))
    waits: list[Wait] = []
    late = in_encoder = 0
    others: list[str] = []
    half: list[str] = []
    leftovers: list[str] = []
    for number in range(2 * rounds):
        if len(waits) == rounds:
            break
        prompt, is_in_encoder = prompt_of(bench, 2 + number), len(waits) % 2 == 1
        before = set(bench.output.rglob("*"))
        span = times.whole - times.chain if is_in_encoder else times.chain
        wait = cancel(bench, prompt, is_in_encoder, random.uniform(0, span))
        if wait is None:
            late += 1  # the run was quicker than the undisturbed one
            continue
        waits.append(wait)
        in_encoder += is_in_encoder
        half += [str(path.name) for path in set(bench.output.rglob("*")) - before]
        leftovers += bench.leftovers()
        others += [] if bench.result(prompt) == expected else [f"cancel {len(waits)}"]
        bench.say(f"    cancel {len(waits)}: {wait}")
    report.count("runs cancelled", len(waits))
    report.count("of these while the video was encoded", in_encoder)
    report.count("runs that ended before the cancel came", late)
    seconds = [wait.seconds for wait in waits]
    report.figure("from the cancel to the end, median", f"{statistics.median(seconds):.2f} s")
    report.figure("from the cancel to the end, longest", f"{max(seconds):.2f} s")
    longest = max(wait.processor for wait in waits)
    report.at_most("processor time of the server in this span, longest", longest, SECONDS_TO_STOP, "s")
    report.none_of("next runs whose frames are not equal to the undisturbed run's bit for bit", others)
    report.none_of("files in the output folder after a cancel", half)
    report.none_of("unfinished folders and files after a cancel", leftovers)
    return report


def prompt_of(bench: Bench, number: int) -> Prompt:
    """Return a prompt that runs from the keyframes on, because its text is new, and gives the same video as every other.

    Without guidance (cfg 1) the negative prompt changes nothing, but ComfyUI and the kept segments do not know that.
    """
    prompt = chain_with_slow_encoder(bench)
    for node in prompt.values():
        if node["class_type"] in (INTERPOLATE, KEYFRAMES):
            node["inputs"] |= {"negative_prompt": f"number {number}", "cfg": 1.0}
    return prompt


def chain_with_slow_encoder(bench: Bench, operation_steps: str = "999") -> Prompt:
    """Return the chain with a video that takes the encoder seconds, and with segments that are kept."""
    return bench.chain(reuse=True, operation_steps=operation_steps, **ENCODING)


def start_afresh(bench: Bench) -> None:
    """Forget results and kept segments, so that the next run does everything."""
    bench.forget()
    for file in bench.segments.glob("*"):
        file.unlink()
    time.sleep(0.3)  # ComfyUI forgets in the pause between two prompts


def undisturbed(bench: Bench, prompt: Prompt) -> tuple[Times, str]:
    """Run a prompt; return its times and the digest of its video."""
    chain = 0.0
    start = time.monotonic()
    with bench.server.client.events() as events:
        prompt_id = bench.server.client.queue(prompt, client_id=events.client_id)
        while True:
            kind, data = events.next(300)
            if kind == "executing" and data.get("node") is None:
                break
            if kind == "executing" and prompt[data["node"]]["class_type"] == VIDEO:
                chain = time.monotonic() - start
    times = Times(chain, time.monotonic() - start)
    return times, bench.digest(prompt, bench.server.client.history(prompt_id))


def cancel(bench: Bench, prompt: Prompt, in_encoder: bool, delay: float) -> Wait | None:
    """Cancel a run so long after its start, or after the start of its video node; return None if it had ended before."""
    client = bench.server.client
    with client.events() as events:
        prompt_id = client.queue(prompt, client_id=events.client_id)
        while in_encoder:
            kind, data = events.next(300)
            if kind == "executing" and data.get("node") and prompt[data["node"]]["class_type"] == VIDEO:
                break
    time.sleep(delay)
    start, worked = time.monotonic(), bench.processor_time()
    client.interrupt()
    while not (entry := client.history(prompt_id)):
        time.sleep(0.01)
    wait = Wait(time.monotonic() - start, bench.processor_time() - worked)
    return wait if error_of(entry) == "cancelled" else None
