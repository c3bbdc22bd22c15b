"""Runs with different sampling settings, compared on the same pictures and seeds. NumPy only."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

KEYFRAMES, SEGMENTS = "keyframes", "segments"
GUIDED, HALF, UNGUIDED = "all steps", "first half", "none"


@dataclass(frozen=True)
class Setting:
    """A way to sample.

    Attributes:
        kind: KEYFRAMES or SEGMENTS.
        sampler: as in the nodes.
        steps: sampling steps.
        guidance: GUIDED, HALF or UNGUIDED: during which steps guidance is on.
        seeds: how many seeds it is measured with.
        pictures: how many pictures it is measured with at most.
    """

    kind: str
    sampler: str
    steps: int
    guidance: str
    seeds: int = 3
    pictures: int = 1000

    @property
    def name(self) -> str:
        """Say what it is, uniquely."""
        return f"{self.kind}: {self.sampler}, {self.steps} steps, guidance in {self.guidance}"


@dataclass(frozen=True)
class Run:
    """One picture made with one setting.

    Attributes:
        setting: name of the setting.
        picture: number of the held-out picture.
        seed: number of the seed.
        scores: errors against the true states by name, lower is better.
        seconds: processor time.
    """

    setting: str
    picture: int
    seed: int
    scores: dict[str, float]
    seconds: float


class RunFile:
    """A file with a line for each run, so that a measurement that was broken off goes on where it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        if lines and not lines[-1].endswith("\n"):  # the process was ended while it wrote
            lines.pop()
            path.write_text("".join(lines), encoding="utf-8")
        self.runs = [Run(**json.loads(line)) for line in lines]
        self._done = {(run.setting, run.picture, run.seed) for run in self.runs}

    def has(self, setting: Setting, picture: int, seed: int) -> bool:
        """Tell whether this run is there already."""
        return (setting.name, picture, seed) in self._done

    def add(self, run: Run) -> None:
        """Keep a run, on disk at once."""
        self.runs.append(run)
        self._done.add((run.setting, run.picture, run.seed))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")


@dataclass(frozen=True)
class Comparison:
    """How much larger a score is than another setting's, on the pictures and seeds that both were measured on.

    Attributes:
        runs: how many those are.
        mean: the mean difference; below 0 is better.
        standard_error: of that mean, from picture to picture, seeds averaged first.
    """

    runs: int
    mean: float
    standard_error: float

    @property
    def costs_nothing(self) -> bool:
        """Tell whether the score is at most one standard error worse."""
        return self.runs > 0 and self.mean <= self.standard_error


def of_setting(runs: Iterable[Run], setting: Setting) -> list[Run]:
    """Return the runs with one setting."""
    return [run for run in runs if run.setting == setting.name]


def compare(runs: Sequence[Run], setting: Setting, other: Setting, score: str) -> Comparison:
    """Compare two settings by one score."""
    theirs = {(run.picture, run.seed): run.scores[score] for run in of_setting(runs, other)}
    differences: dict[int, list[float]] = {}
    for run in of_setting(runs, setting):
        if (run.picture, run.seed) in theirs:
            difference = run.scores[score] - theirs[run.picture, run.seed]
            differences.setdefault(run.picture, []).append(difference)
    means = [np.mean(values) for values in differences.values()]
    count = sum(map(len, differences.values()))
    if len(means) < 2:
        return Comparison(0, float("nan"), float("nan"))
    return Comparison(count, float(np.mean(means)), float(np.std(means, ddof=1) / np.sqrt(len(means))))


DECIDING = {KEYFRAMES: ("middle", "canvas"), SEGMENTS: ("between",)}
"""The scores of what a video shows of a model: it shows the finished picture itself in place of the keyframe at step 0, and
the decoder knows the two pictures at the ends of a segment."""


def costs_nothing(runs: Sequence[Run], setting: Setting, references: Sequence[Setting]) -> bool:
    """Tell whether no deciding score is more than one standard error worse than that of any measured reference."""
    measured = [other for other in references if other != setting and of_setting(runs, other)]
    return bool(of_setting(runs, setting)) and all(
        compare(runs, setting, other, name).costs_nothing
        for other in measured
        for name in DECIDING[setting.kind]
    )


def cheapest(
    runs: Sequence[Run], settings: Sequence[Setting], references: Sequence[Setting]
) -> Setting | None:
    """Return the setting with the least processor time among those that cost nothing."""
    free = [setting for setting in settings if costs_nothing(runs, setting, references)]
    return min(free, key=lambda setting: seconds_of(runs, setting), default=None)


def seconds_of(runs: Sequence[Run], setting: Setting) -> float:
    """Return the mean processor time of a setting."""
    return float(np.mean([run.seconds for run in of_setting(runs, setting)]))
