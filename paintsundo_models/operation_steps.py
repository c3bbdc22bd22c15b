"""Operation steps as people write them. Standard library only: the command line reads them too, without the host."""

import re

from .constants import OPERATION_STEP_MAX


def parse_operation_steps(text: str) -> list[int]:
    """The operation steps in a text such as "400, 600, 999": sorted, each once.

    Args:
        text: whole numbers from 0 to 999, separated by commas (also "，" and "、"), semicolons or white space.

    Raises:
        ValueError: nothing in it, no whole number, or out of range.
    """
    words = [word for word in re.split(r"[\s,;，、]+", text) if word]
    if not words:
        raise ValueError(
            'No operation step is given. Write at least one, such as "400, 600, 800, 900, 950, 999".'
        )
    for word in words:
        if not re.fullmatch(r"\d+", word) or int(word) > OPERATION_STEP_MAX:
            raise ValueError(
                f"{word!r} is no operation step. Write whole numbers from 0 (the finished picture) to "
                f"{OPERATION_STEP_MAX} (the first stroke), separated by commas."
            )
    return sorted({int(word) for word in words})
