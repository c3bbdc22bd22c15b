"""A line of text on a node while it runs."""

import sys
from collections.abc import Sequence

from comfy_execution.utils import get_executing_context
from torch import Tensor

_PLACE = "paintsundo_segment"


def say_on_node(text: str) -> None:
    """Show a line of text on the node that runs now; nothing happens without a page to show it on."""
    context = get_executing_context()
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if context is not None and server is not None:
        server.send_progress_text(text, context.node_id)


def number_segments(starts: Sequence[Tensor]) -> None:
    """Note on the first picture of each segment which one of how many it is, for `segment_text`.

    ComfyUI runs a node once for each entry of a list and tells it the entry's number, but not how many there are. The
    note is lost where another node changes the picture in between.
    """
    for number, start in enumerate(starts, start=1):
        vars(start)[_PLACE] = number, len(starts)


def segment_text(start: Tensor) -> str | None:
    """Return "segment 2 of 7", "segment 2" if the number of segments is not known, or None if there is one alone."""
    context = get_executing_context()
    entry = (context.list_index or 0) + 1 if context is not None else 1
    number, count = vars(start).get(_PLACE, (entry, None))
    if count is None:  # then the first run may be one of a list or the only one
        return f"segment {number}" if number > 1 else None
    return f"segment {number} of {count}" if count > 1 else None
