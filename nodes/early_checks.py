"""Checks at the beginning of a run, before the models are loaded: of widgets that have to fit each other, and of linked ones.

ComfyUI reports the answer of `validate_inputs` at every input that this function names. So each node names at most one
input there, whose text is checked when Run is pressed. The other widgets are checked in `check_lazy_status`, which
ComfyUI calls before it makes what comes through the sockets that are `lazy`; nodes that show or save something are the
first whose turn it is.
"""

from collections.abc import Mapping


def not_made_yet(inputs: Mapping[str, object]) -> list[str]:
    """Return the names of the inputs whose values are still to be made: the answer of `check_lazy_status`."""
    # For a node that takes lists, ComfyUI puts the None into a tuple.
    return [name for name, value in inputs.items() if value is None or value == (None,)]
