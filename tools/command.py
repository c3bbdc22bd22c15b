"""How every command ends: with an exit code, and where a user can put it right with a message instead of a traceback."""

import sys
from collections.abc import Callable

FAILED, CANCELLED = 1, 130


class CommandError(RuntimeError):
    """A command cannot go on; the text tells the person at the keyboard what is wrong and what to do."""


def run_command(
    work: Callable[[], int | None], *errors: type[Exception], on_cancel: str = "Cancelled."
) -> int:
    """Do a command's work and return its exit code.

    Args:
        work: returns the exit code; None is 0.
        *errors: what the work raises with a message for the user, beside CommandError.
        on_cancel: what to say after Ctrl-C.
    """
    try:
        return work() or 0
    except (CommandError, *errors) as error:
        print(f"\n{error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"\n{on_cancel}", file=sys.stderr)
        return CANCELLED
