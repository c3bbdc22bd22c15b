"""Read operation steps from text. Uses the standard library only, because paint.py reads them without ComfyUI."""

import re

from .constants import DEFAULT_OPERATION_STEPS, OPERATION_STEP_MAX


def read_operation_steps(text: str) -> list[int]:
    """Return the operation steps in a text such as "400, 600, 999", in the order of the text.

    Args:
        text: whole numbers from 0 to 999, separated by commas (also "，" and "、"), semicolons or white space.

    Raises:
        ValueError: the text is empty, or a word in it is not a whole number from 0 to 999.
    """
    words = [word for word in re.split(r"[\s,;，、]+", text) if word]
    if not words:
        raise ValueError(
            f'No operation step is given. Write at least one, such as "{DEFAULT_OPERATION_STEPS}".'
        )
    for word in words:
        if not re.fullmatch(r"0{0,9}\d{1,3}", word):
            raise ValueError(
                f"{word[:40]!r} is no operation step. Write whole numbers from 0 (the finished picture) to "
                f"{OPERATION_STEP_MAX} (the first stroke), separated by commas."
            )
    return [int(word) for word in words]


def parse_operation_steps(text: str) -> list[int]:
    """Return the operation steps in a text, sorted and without repetitions; see read_operation_steps."""
    return sorted(set(read_operation_steps(text)))
