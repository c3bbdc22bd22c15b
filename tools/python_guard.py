"""End a command at once under a Python that is too old to read the other files; this one reads in any Python 3."""

import sys

OLDEST = (3, 10)


def require_python(command):  # noqa: ANN001, ANN201  annotations that an old Python cannot read would hide the message
    """Exit with a message unless this Python is new enough; `command` is the name of the file that was started."""
    if sys.version_info < OLDEST:
        sys.exit(
            "{} needs Python {}.{} or newer; this is {}.{}.".format(command, *(OLDEST + sys.version_info[:2]))
        )
