"""Further words that find a node in the page's search, on hosts that take them."""

import inspect
from typing import Any

from comfy_api.latest import io


def searched_as(*words: str) -> dict[str, Any]:
    """Return the argument of `io.Schema` for these words; none where the host does not know it."""
    return (
        {"search_aliases": list(words)} if "search_aliases" in inspect.signature(io.Schema).parameters else {}
    )
