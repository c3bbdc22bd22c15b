"""Read texts that give every segment its own seed, prompt or number of steps. No host, no tensors."""

import re

from .constants import DEFAULT_SEGMENT_PROMPT, DEFAULT_SEGMENT_STEPS, MAX_SAMPLING_STEPS, SEED_MAX

AS_OTHERWISE = "-"
"""An entry that leaves a segment as it is without the list."""


def _numbers(text: str, name: str, low: int, high: int) -> list[int | None]:
    words = [word for word in re.split(r"[\s,;，、]+", text) if word]
    for word in words:
        if word != AS_OTHERWISE and not (re.fullmatch(r"\d{1,20}", word) and low <= int(word) <= high):
            raise ValueError(
                f"{word!r} in {name} is no whole number from {low} to {high}. Write one for each segment, separated by commas; "
                f'"{AS_OTHERWISE}" leaves a segment as it is.'
            )
    return [None if word == AS_OTHERWISE else int(word) for word in words]


def read_seeds(text: str) -> list[int | None]:
    """Return the seed of each segment in a text such as "5, -, 7"; None for "-".

    Raises:
        ValueError: a word is neither "-" nor a whole number from 0 to SEED_MAX.
    """
    return _numbers(text, "seeds", 0, SEED_MAX)


def read_steps(text: str) -> list[int | None]:
    """Return the sampling steps of each segment in a text such as "50, -, 20"; None for "-".

    Raises:
        ValueError: a word is neither "-" nor a whole number from 1 to 1000.
    """
    return _numbers(text, "steps", 1, MAX_SAMPLING_STEPS)


def read_prompts(text: str) -> list[str | None]:
    """Return the prompt of each segment in a text with one prompt on each line; None for a line with "-"."""
    lines = [line.strip() for line in text.strip().splitlines()]
    return [None if line == AS_OTHERWISE else line for line in lines]


def check_counts(seeds: str, prompts: str, steps: str) -> None:
    """Check that the lists that are not empty can be read and have equally many entries.

    Raises:
        ValueError: they have not, or one cannot be read.
    """
    counts = {
        name: len(entries)
        for name, entries in (
            ("seeds", read_seeds(seeds)),
            ("prompts", read_prompts(prompts)),
            ("steps", read_steps(steps)),
        )
        if entries
    }
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise ValueError(
            f"Each list needs one entry for each segment, and {found}. Empty a list or fill it up."
        )


def _filled(entries: list, otherwise: list, name: str) -> list:
    if entries and len(entries) != len(otherwise):
        raise ValueError(
            f"{name} has {len(entries)} entries, and there are {len(otherwise)} segments. Write one for each segment, from the "
            f'finished picture to the canvas; "{AS_OTHERWISE}" leaves a segment as it is.'
        )
    return [
        default if entry is None else entry
        for entry, default in zip(entries or otherwise, otherwise, strict=True)
    ]


def seeds_of_segments(seeds: str, first: int, count: int) -> list[int]:
    """Return the seed of each of `count` segments: from the list, or else counted up from `first`.

    Raises:
        ValueError: the list has another number of entries than there are segments, or cannot be read.
    """
    return _filled(read_seeds(seeds), [(first + i) % (SEED_MAX + 1) for i in range(count)], "seeds")


def prompts_of_segments(prompts: str, count: int) -> list[str]:
    """Return the prompt of each of `count` segments: from the list, or else the general one.

    Raises:
        ValueError: the list has another number of entries than there are segments.
    """
    return _filled(read_prompts(prompts), [DEFAULT_SEGMENT_PROMPT] * count, "prompts")


def steps_of_segments(steps: str, count: int) -> list[int]:
    """Return the sampling steps of each of `count` segments: from the list, or else the original program's.

    Raises:
        ValueError: the list has another number of entries than there are segments, or cannot be read.
    """
    return _filled(read_steps(steps), [DEFAULT_SEGMENT_STEPS] * count, "steps")
