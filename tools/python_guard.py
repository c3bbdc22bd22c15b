"""End a command with a message if Python is too old for the other files; this file works in any Python 3."""

import sys

OLDEST = (3, 10)


def require_python(command):  # noqa: ANN001, ANN201  an old Python could fail on annotations before it shows the message
    """Exit with a message unless this Python is new enough; `command` is the name of the file that was started."""
    if sys.version_info < OLDEST:
        sys.exit(
            "{} needs Python {}.{} or newer; this is {}.{}.".format(command, *(OLDEST + sys.version_info[:2]))
        )
