"""Servers that are killed at random moments: what the next one still has, and what it clears away."""

import os
import time

from tools.comfy_client import Prompt
from tools.painting import INTERPOLATE

from .bench import Bench, error_of
from .cancels import chain_with_slow_encoder, start_afresh, undisturbed
from .report import Report

SEGMENTS = 3  # of the chain with two keyframes
REUSED = "segment from an earlier run"
SECONDS_OF_THE_NEW = (
    120  # a folder that is younger than a minute may belong to a server that starts; see unfinished.py
)


def torture(bench: Bench, rounds: int) -> Report:
    """Kill the server `rounds` times in the middle of a chain, and give the same prompt to the next server."""
    report, random = Report(bench.say), bench.random_of("kills")
    prompt = chain_with_slow_encoder(bench, "600, 999")
    bench.result(prompt)
    start_afresh(bench)
    times, expected = undisturbed(bench, prompt)
    finished = reused = killed_in_encoder = found = 0
    failed: list[str] = []
    lost: list[str] = []
    others: list[str] = []
    leftovers: list[str] = []
    for number in range(rounds):
        start_afresh(bench)
        in_encoder = number % 2 == 1
        moment = random.uniform(times.chain, times.whole) if in_encoder else random.uniform(0, times.chain)
        bench.server.client.queue(prompt)
        time.sleep(moment)
        bench.server.kill()
        kept = len(list(bench.segments.glob("*.safetensors")))
        found += len(bench.leftovers())
        killed_in_encoder += kept == SEGMENTS
        age_leftovers(bench)
        entry = bench.finish(prompt)
        if message := error_of(entry):
            failed.append(f"kill {number + 1}: {message}")
            continue
        again = reused_segments(prompt, entry)
        finished, reused = finished + kept, reused + again
        lost += [f"kill {number + 1}: {again} of {kept}"] if again < kept else []
        others += [] if bench.digest(prompt, entry) == expected else [f"kill {number + 1}"]
        leftovers += bench.leftovers()
        bench.say(f"    kill {number + 1}: {again} of {kept} segments")
    report.count("servers killed", rounds)
    report.count("of these after the last segment, mostly while the video was encoded", killed_in_encoder)
    report.none_of("prompts that failed on the next server", failed)
    report.figure("finished segments that the next server used", f"{reused} of {finished}")
    report.none_of("kills after which a finished segment was sampled again", lost)
    report.none_of("videos whose frames are not equal to the undisturbed one's bit for bit", others)
    report.count("unfinished folders and files that the killed servers left", found)
    report.none_of("of these still there after the next video", leftovers)
    return report


def reused_segments(prompt: Prompt, entry: dict) -> int:
    """Return how many segments of a finished prompt came from an earlier run, as its node says."""
    (key,) = (key for key, node in prompt.items() if node["class_type"] == INTERPOLATE)
    return list(entry["outputs"][key]["text"]).count(REUSED)


def age_leftovers(bench: Bench) -> None:
    """Make what a killed server left two minutes old, instead of waiting: the pack leaves younger folders alone."""
    then = time.time() - SECONDS_OF_THE_NEW
    for name in bench.leftovers():
        os.utime(bench.base / name, (then, then))
