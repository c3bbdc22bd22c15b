"""Values of widgets that come through a link, whose kind ComfyUI does not check: any node may output None or a text."""

import math
from numbers import Real
from typing import Any

from comfy_api.latest import io

from ..paintsundo_models.pictures.inputs import described


def checked(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """Return the node with a check of its widgets' values before it runs.

    The node then fails with one sentence that names the input, and not somewhere inside with one of Python's.
    """

    class Checked(node):
        @classmethod
        def execute(cls, **inputs: Any) -> io.NodeOutput:
            schema = cls.SCHEMA or cls.GET_SCHEMA()
            for given in schema.inputs:
                values = inputs.get(given.id)
                for value in values if schema.is_input_list and isinstance(values, list) else [values]:
                    if given.id in inputs and not (value is None and given.optional):
                        require_kind(given, value)
            return super().execute(**inputs)  # pyright: ignore[reportAbstractUsage]  `node` has it

    Checked.__name__, Checked.__qualname__, Checked.__doc__ = node.__name__, node.__qualname__, node.__doc__
    Checked.__module__ = node.__module__
    return Checked


def require_kind(given: io.Input, value: object) -> None:
    """Check that a value is of the kind that its widget has; inputs without a widget pass.

    Raises:
        ValueError: it is of another kind, or no finite number.
    """
    if isinstance(given, io.Int.Input | io.Float.Input):
        if not isinstance(value, Real):
            raise ValueError(f"{given.id} is no number: {described(value)} came through its link.")
        if not math.isfinite(value):
            raise ValueError(
                f"{given.id} is {value}, which came through its link; it has to be a finite number."
            )
        if isinstance(given, io.Int.Input) and not float(value).is_integer():
            raise ValueError(
                f"{given.id} is {value}, which came through its link; it has to be a whole number."
            )
    elif isinstance(given, io.String.Input | io.Combo.Input) and not isinstance(value, str):
        raise ValueError(f"{given.id} is no text: {described(value)} came through its link.")
