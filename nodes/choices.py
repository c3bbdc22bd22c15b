"""Combos of the nodes: values that ComfyUI checks when Run is pressed, and links from any other node's combo."""

from collections.abc import Sequence
from typing import Any

from comfy_api.latest import io


class _Options(list):
    """The options of a combo, in the form that ComfyUI checks, equal in type to every other combo.

    ComfyUI compares the type of a link's two ends by `!=`. The selector nodes of other packs output a list of options,
    which is equal to ours only in the rare case that both have the same entries. The value is checked when the node
    runs (require_choice).
    """

    __hash__ = object.__hash__  # newer ComfyUIs look for the type of every input in a dict

    def __ne__(self, other: object) -> bool:
        return not (isinstance(other, list) or other == io.Combo.io_type)


class Choice(io.Combo.Input):
    """A combo whose value ComfyUI compares with the options before anything runs, with an error at this input alone.

    ComfyUI 0.3.75 checks only combos whose type is the list of options, not those of the type COMBO.
    """

    def get_io_type(self) -> Any:
        return _Options(self.options)


def refusal(name: str, value: object, options: Sequence[str]) -> str:
    """Return the sentence about a value that a combo does not have."""
    return f'{name} is "{value}", which is not there. Choose one of these: {", ".join(options)}.'


def require_choice(name: str, value: str, options: Sequence[str]) -> None:
    """Check a value that came through a link, which ComfyUI does not check.

    Raises:
        ValueError: the combo does not have it; the message lists what it has.
    """
    if value not in options:
        raise ValueError(refusal(name, value, options))


def check_choice(name: str, value: str | None, options: Sequence[str]) -> bool | str:
    """Return True if the combo has the value, else a message, for validate_inputs.

    None means that the input is linked: its value is known only when the node runs.
    """
    return True if value is None or value in options else refusal(name, value, options)
