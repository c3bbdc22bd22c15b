"""Run the work of a command: turn its result into an exit code, and errors that users can correct into a message."""

import sys
from collections.abc import Callable

FAILED, CANCELLED = 1, 130


class CommandError(RuntimeError):
    """A command cannot go on; the text says what is wrong and what to do."""


def run_command(
    work: Callable[[], int | None], *errors: type[Exception], on_cancel: str = "Cancelled."
) -> int:
    """Do a command's work and return its exit code.

    Args:
        work: returns the exit code; None is 0.
        *errors: further exceptions, besides CommandError, whose message is meant for the user.
        on_cancel: message after Ctrl-C.
    """
    try:
        return work() or 0
    except (CommandError, *errors) as error:
        print(f"\n{error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"\n{on_cancel}", file=sys.stderr)
        return CANCELLED
