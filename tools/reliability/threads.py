"""The same prompt with one and with two processor threads, on two servers."""

from .bench import Bench, error_of
from .report import Report

MOST_DIFFERENCE = (
    2  # of 255: sums in another order, rounded to eight bits once for the keyframes and once for the frames
)


def torture(bench: Bench, rounds: int) -> Report:
    """Compare the frames of `rounds` prompts that differ in their seed."""
    import numpy as np

    report, frames = Report(bench.say), {}
    prompts = [bench.chain(seed=100 + number, steps=4) for number in range(rounds)]
    failed: list[str] = []
    for threads in ("1", "2"):
        with bench.uses(OMP_NUM_THREADS=threads, MKL_NUM_THREADS=threads, OMP_WAIT_POLICY="passive"):
            for number, prompt in enumerate(prompts):
                entry = bench.finish(prompt)
                failed += [f"{threads} threads: {message}"] if (message := error_of(entry)) else []
                made = [] if message else bench.frames(prompt, entry)
                frames[threads, number] = [np.frombuffer(frame, np.uint8).astype(int) for frame in made]
    differences = [
        np.abs(one - two)
        for number in range(rounds)
        for one, two in zip(frames["1", number], frames["2", number], strict=True)
    ]
    report.count("prompts", rounds)
    report.none_of("prompts that failed", failed)
    report.count("frames compared", len(differences))
    share = 100 * np.mean([(difference > 0).mean() for difference in differences]) if differences else 0.0
    report.figure("numbers that differ at all", f"{share:.3g} %")
    largest = max((difference.max() for difference in differences), default=0)
    report.at_most("largest difference of a number from 0 to 255", float(largest), MOST_DIFFERENCE, "")
    return report
