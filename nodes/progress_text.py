"""A line of text on a node while it runs."""

import sys

from comfy_execution.utils import get_executing_context


def say_on_node(text: str) -> None:
    """Show a line of text on the node that runs now; nothing happens without a page to show it on."""
    context = get_executing_context()
    server = getattr(getattr(sys.modules.get("server"), "PromptServer", None), "instance", None)
    if context is not None and server is not None:
        server.send_progress_text(text, context.node_id)


def number_in_list() -> int:
    """Return which run of the node this is, counted from 1: the second and further ones are runs for entries of a list."""
    context = get_executing_context()
    return 1 + ((context.list_index or 0) if context is not None else 0)
