"""Compute the progress of a run from the messages that ComfyUI sends about it, and show it on a terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .comfy_client import Json, Prompt

if TYPE_CHECKING:
    from tqdm import tqdm

LAYOUT = "{percentage:3.0f}% |{bar:30}| {elapsed}<{remaining}  {desc}"


class RunProgress:
    """Progress of a whole prompt; `fraction` is the share that is done, 0 to 1, and never falls.

    Args:
        prompt: the prompt in API format.
        shares: time that one node of a type takes, relative to an ordinary node; 1 if not named.
        repeats: how often a node of a type runs because its inputs are lists; 1 if not named.
    """

    def __init__(self, prompt: Prompt, shares: dict[str, float], repeats: dict[str, int]) -> None:
        self._titles = {
            key: node.get("_meta", {}).get("title", node["class_type"]) for key, node in prompt.items()
        }
        self._shares = {key: shares.get(node["class_type"], 1.0) for key, node in prompt.items()}
        self._repeats = {key: repeats.get(node["class_type"], 1) for key, node in prompt.items()}
        self._sources = {
            key: {value[0] for value in node["inputs"].values() if isinstance(value, list) and value}
            for key, node in prompt.items()
        }
        self._done: set[str] = set()
        self._current: str | None = None
        self._run, self._value, self._maximum = 0, 0.0, 0.0
        self.fraction = 0.0

    def feed(self, kind: str, data: Json) -> None:
        """Update the progress by one message of the server."""
        if kind == "execution_cached":
            self._done.update(key for key in data["nodes"] if key in self._shares)
        elif kind == "executing":
            self._start(data.get("node"))
        elif kind == "progress":
            self._step(data.get("node"), data["value"], data["max"])
        self.fraction = max(self.fraction, self._fraction())

    def _start(self, node: str | None) -> None:
        if node == self._current:  # ComfyUI repeats the message when a node continues after waiting
            return
        # A node that checks its widgets first is started, and again when what it reads is there.
        if self._current is not None and self._sources[self._current] <= self._done:
            self._done.add(self._current)
        self._current = node if node in self._shares else None
        self._run, self._value, self._maximum = 0, 0.0, 0.0

    def _step(self, node: Any, value: float, maximum: float) -> None:
        if node != self._current or maximum <= 0:
            return
        if value < self._value:  # the next run of a list has begun
            self._run = min(self._run + 1, self._repeats[node] - 1)
        self._value, self._maximum = value, maximum

    def _fraction(self) -> float:
        done = sum(self._shares[key] for key in self._done)
        if self._current is not None and self._current not in self._done:
            within = min(self._value / self._maximum, 1.0) if self._maximum else 0.0
            done += self._shares[self._current] * (self._run + within) / self._repeats[self._current]
        return done / sum(self._shares.values())

    @property
    def label(self) -> str:
        """Return text about what runs now: the node, its run of how many, and its step of how many."""
        if self._current is None:
            return ""
        repeats = self._repeats[self._current]
        run = f" {self._run + 1} of {repeats}" if repeats > 1 else ""
        step = f", step {self._value:.0f}/{self._maximum:.0f}" if self._maximum else ""
        return f"{self._titles[self._current]}{run}{step}"


@contextlib.contextmanager
def progress_bar(progress: RunProgress) -> Iterator[Callable[[], None]]:
    """Yield a function that shows the progress: as a bar on a terminal, else as one line for each node."""
    if not sys.stdout.isatty():
        said: list[str] = []

        def say() -> None:
            node = progress.label.split(",")[0]
            if node and node not in said[-1:]:
                said.append(node)
                print(f"{progress.fraction:4.0%}  {node}", flush=True)

        yield say
        print("100%")
        return
    from tqdm import tqdm

    with tqdm(total=1.0, bar_format=LAYOUT, file=sys.stdout, dynamic_ncols=True) as bar:

        def show() -> None:
            bar.n = progress.fraction
            bar.set_description_str(progress.label)

        yield show
        bar.n = 1.0
        bar.set_description_str("done")


class BatchBars:
    """Two bars for many pictures, all of them and the one that is being painted; off a terminal, lines in place of bars."""

    def __init__(self) -> None:
        self._all: tqdm | None = None
        self._total, self._done = 0, 0

    @contextlib.contextmanager
    def shown(self, total: int) -> Iterator[None]:
        """Show the bar of all pictures while the block runs."""
        self._total = total
        if not sys.stdout.isatty():
            yield
            return
        from tqdm import tqdm

        layout = "{n_fmt}/{total_fmt} |{bar:30}| {elapsed}<{remaining}"
        with tqdm(total=total, bar_format=layout, file=sys.stdout, dynamic_ncols=True) as self._all:
            yield
        self._all = None

    @contextlib.contextmanager
    def of_one(self, name: str) -> Iterator[Callable[[RunProgress], None]]:
        """Yield a function that shows how far one picture is."""
        if self._all is None:
            print(f"{self._done + 1}/{self._total}  {name} ...")
            yield lambda progress: None
            return
        from tqdm import tqdm

        with tqdm(
            total=1.0, bar_format=LAYOUT, file=sys.stdout, dynamic_ncols=True, position=1, leave=False
        ) as bar:

            def show(progress: RunProgress) -> None:
                bar.n = progress.fraction
                bar.set_description_str(f"{name}: {progress.label}")

            yield show

    def done(self, count: int, text: str | None) -> None:
        """Show that `count` pictures are dealt with; `text` is a line about the last one."""
        if self._all is not None:
            self._all.update(count - self._done)
        self._done = count
        if text is not None:
            self.say(text if self._all is not None else f"{count}/{self._total}  {text}")

    def say(self, text: str) -> None:
        """Write a line above the bars."""
        if self._all is not None:
            self._all.write(text, file=sys.stdout)
        else:
            print(text)
