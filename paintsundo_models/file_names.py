"""Names of files: what every system can store, cut to a length, and with dates and widgets put in. Standard library only."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import PurePosixPath

MOST_BYTES = 255
"""The longest name, in bytes, that common file systems store. A letter outside ASCII takes 2 to 4 bytes."""

RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{name}{digit}" for name in ("com", "lpt") for digit in range(1, 10)),
}
"""Names that Windows keeps for devices, with every ending."""

LONGEST_VALUE = 100
"""Most bytes of a widget's value in a name: a prompt would otherwise make the name too long after everything is computed."""

_FORBIDDEN = '<>:"|?*'
_DATE_PARTS = re.compile(r"yyyy|yy|dd?|MM?|hh?|mm?|ss?")


def cut_to_bytes(name: str, most: int) -> str:
    """Return the longest start of a name that takes at most `most` bytes, without half a letter at its end."""
    in_bytes = name.encode("utf-8", "surrogatepass")
    return name if len(in_bytes) <= most else in_bytes[:most].decode("utf-8", "ignore")


def trouble_with(path: str, added_bytes: int = 0) -> str | None:
    """Return what is wrong with a path of a file, as the end of a sentence that begins with the path, or None.

    Args:
        path: parts separated by slashes; the last one is the start of the file's name.
        added_bytes: bytes that the file's name will have more than the last part.
    """
    control = next((letter for letter in path if ord(letter) < 32 or ord(letter) == 127), None)
    if control is not None:
        return f"has a control character (number {ord(control)}, such as a line break). Write it in one line"
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in path):
        return "has half of a letter or emoji, which no file name can hold. Write it again"
    forbidden = sorted({letter for letter in path if letter in _FORBIDDEN})
    if forbidden:
        return f"has {' '.join(forbidden)}, which Windows allows in no file name. Leave it out"
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", ".", "..")]
    for part in parts:
        if part.split(".")[0].strip().lower() in RESERVED and (part is not parts[-1] or "." in part):
            return f'has the name "{part}", which Windows keeps for a device. Choose another'
        if part is not parts[-1] and part[-1] in ". ":
            return f'has a folder "{part}" that ends with a dot or a space, which Windows drops. Leave it out'
        most = MOST_BYTES - (added_bytes if part is parts[-1] else 0)
        length = len(part.encode())
        if length > most:
            return f"has a name of {length} bytes, and {most} is the most (a kanji takes 3 bytes, an emoji 4). Shorten it"
    return None


def with_dates(text: str, now: datetime) -> str:
    """Replace %date:FORMAT%, as the page does for ComfyUI's own save nodes.

    In the format yyyy and yy stand for the year, M for the month, d for the day, h for the hour (0 to 23), m for the
    minute and s for the second; doubled, each has two digits.
    """
    numbers = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def part(match: re.Match[str]) -> str:
        found = match[0]
        if found[0] == "y":
            return str(now.year)[-len(found) :]
        return str(numbers[found[0]]).zfill(len(found))

    return re.sub(r"%date:([^%]*)%", lambda match: _DATE_PARTS.sub(part, match[1]), text)


def with_widgets(text: str, prompt: object, workflow: object) -> str:
    """Replace %Node.widget% by the start of a widget's value, as the page does for ComfyUI's own save nodes.

    What names no node or no widget stays as it is.

    Args:
        text: in which to replace.
        prompt: the graph as the server runs it: {id: {"class_type", "inputs", "_meta": {"title"}}}.
        workflow: the graph as the page saves it: {"nodes": [{"id", "title", "properties"}, ...]}. A node is named by its
            property "Node name for S&R", else by its title, else by its class.
    """

    def value(match: re.Match[str]) -> str:
        name, _, widget = match[1].partition(".")
        for node_id in _ids_named(name, prompt, workflow):
            node = prompt.get(node_id) if isinstance(prompt, Mapping) else None
            inputs = node.get("inputs") if isinstance(node, Mapping) else None
            if isinstance(inputs, Mapping) and widget in inputs and not isinstance(inputs[widget], list):
                return cut_to_bytes(
                    re.sub(r'[/?<>\\:*|"\x00-\x1f\x7f]', "_", str(inputs[widget])), LONGEST_VALUE
                )
        return match[0]

    return re.sub(r"%([^%.]+\.[^%.]+)%", value, text)


def _ids_named(name: str, prompt: object, workflow: object) -> Iterable[str]:
    nodes = workflow.get("nodes") if isinstance(workflow, Mapping) else None
    nodes = [node for node in nodes if isinstance(node, Mapping)] if isinstance(nodes, list) else []
    for node in nodes:
        properties = node.get("properties")
        if isinstance(properties, Mapping) and properties.get("Node name for S&R") == name:
            yield str(node.get("id"))
    yield from (str(node.get("id")) for node in nodes if node.get("title") == name)
    for node_id, node in prompt.items() if isinstance(prompt, Mapping) else ():
        title = (node.get("_meta") or {}).get("title") if isinstance(node, Mapping) else None
        if isinstance(node, Mapping) and name in (title, node.get("class_type")):
            yield str(node_id)
