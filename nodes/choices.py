"""Combos of the nodes: values that ComfyUI checks when Run is pressed, and links from any other node's combo."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from comfy_api.latest import io

_MOST_SHOWN = 20


class _Options(list):
    """The options of a combo, in the form that ComfyUI checks, with our own words for a value that is refused.

    ComfyUI compares the type of a link's two ends by `!=`. The selector nodes of other packs output a list of options,
    which is equal to ours only in the rare case that both have the same entries. The value is checked when the node
    runs (require_choice).

    A value in a widget is refused if it is not `in` this list. Then ComfyUI writes the list into the error, which it
    reports at this input alone. It writes only lists of up to 20 entries, so len() says no more.

    Args:
        options: the values.
        trouble: returns why a value cannot be used, or None; it decides in place of the options.
    """

    # Newer ComfyUIs look for the type of every input in a dict, so it needs a hash, which a list has not.
    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]

    def __init__(
        self, options: Iterable[Any] = (), trouble: Callable[[str], str | None] | None = None
    ) -> None:
        super().__init__(options)
        self._trouble = trouble
        self._reason: str | None = None

    def __contains__(self, value: object) -> bool:
        if self._trouble and isinstance(value, str):
            self._reason = self._trouble(value)
            return self._reason is None
        return super().__contains__(value)

    def __str__(self) -> str:
        return f"the list. {self._reason or _choose_one_of(self)}"

    def __len__(self) -> int:
        return min(super().__len__(), _MOST_SHOWN)

    def __ne__(self, other: object) -> bool:
        return not (isinstance(other, list) or other == io.Combo.io_type)


class Choice(io.Combo.Input):
    """A combo whose value ComfyUI compares with the options before anything runs, with an error at this input alone.

    ComfyUI 0.3.75 checks only combos whose type is the list of options, not those of the type COMBO.

    Args:
        name: id of the input.
        trouble: returns why a value cannot be used, or None; it decides in place of the options.
        others: arguments of io.Combo.Input.
    """

    def __init__(
        self, name: str, *, trouble: Callable[[str], str | None] | None = None, **others: Any
    ) -> None:
        super().__init__(name, **others)
        self._trouble = trouble

    def get_io_type(self) -> Any:
        return _Options(self.options, self._trouble)


def _choose_one_of(options: Iterable[str]) -> str:
    return f"Choose one of these: {', '.join(options)}."


def require_choice(name: str, value: str, options: Sequence[str]) -> None:
    """Check a value that came through a link, which ComfyUI does not check.

    Raises:
        ValueError: the combo does not have it; the message lists what it has.
    """
    if value not in options:
        raise ValueError(f'{name} is "{value}", which is not there. {_choose_one_of(options)}')
