"""The kind of every value that a node gets: ComfyUI does not check what comes through a link, and any node may output None."""

import inspect
import math
from collections.abc import Iterable, Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ..paintsundo_models.host.out_of_memory import OTHER_REMEDIES, Stage, said_plainly
from ..paintsundo_models.pictures.inputs import described, require_picture

_MEMBER_OF = {
    "MODEL": "model_options",
    "CLIP": "tokenize",
    "VAE": "decode",
    "CLIP_VISION": "encode_image",
    "UPSCALE_MODEL": "scale",
}
"""What every object of a type has, also those of other packs, which need not be ComfyUI's own classes."""

_FOREIGN_MEMBER_OF = {"VAE": "tokenize"}
"""What no object of a type has, where another type has the member above too: newer ComfyUIs' CLIP also decodes, to text."""

_WIDGETS = (io.Int.Input, io.Float.Input, io.String.Input, io.Combo.Input, io.Boolean.Input)
_ROUNDING = 1e-6
"""How far a decimal number that another node has computed may lie beyond a limit."""
_TOO_LONG = 10**30
"""A number with so many digits that a message does not show it."""


def checked(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """Return the node with a check of the kind of all its values.

    When it runs, or asks for what is lazy, a value of another kind is refused in one sentence that names the input, and
    not somewhere inside in Python's words. Where memory runs out in a place that has no message of its own, there is one
    too. When Run is pressed, ComfyUI has refused such a value of a widget itself; the node's own check gets None in its
    place, as for a link.
    """

    def execute(cls: type[io.ComfyNode], **inputs: Any) -> io.NodeOutput:
        _require_kinds(_each_value(cls, inputs))
        known = _as_pythons_numbers(cls, inputs)
        stage = Stage(f"{_schema(cls).display_name} was working", OTHER_REMEDIES)
        return said_plainly(stage)(lambda: node.execute.__func__(cls, **known))()

    def check_lazy_status(cls: type[io.ComfyNode], **inputs: Any) -> list[str]:
        # What is lazy is mostly not made yet.
        _require_kinds(entry for entry in _each_value(cls, inputs) if not entry[0].lazy)
        return node.check_lazy_status.__func__(cls, **_as_pythons_numbers(cls, inputs))

    def validate_inputs(cls: type[io.ComfyNode], **inputs: Any) -> bool | str:
        wrong = {given.id for given, value in _each_value(cls, inputs) if _trouble_with(given, value)}
        nothing: Any = [None] if _schema(cls).is_input_list else None
        known = {name: nothing if name in wrong else value for name, value in inputs.items()}
        return node.validate_inputs.__func__(cls, **known)

    members: dict[str, Any] = {"__module__": node.__module__, "__doc__": node.__doc__}
    members["execute"] = classmethod(execute)
    if _has_own(node, "check_lazy_status"):
        members["check_lazy_status"] = classmethod(check_lazy_status)
    if _has_own(node, "validate_inputs"):
        # ComfyUI reads from the signature which values the check wants.
        validate_inputs.__signature__ = inspect.signature(node.validate_inputs.__func__)
        members["validate_inputs"] = classmethod(validate_inputs)
    return type(node.__name__, (node,), members)


def _has_own(node: type[io.ComfyNode], name: str) -> bool:
    return getattr(node, name).__func__ is not getattr(io.ComfyNode, name).__func__


def _require_kinds(values: Iterable[tuple[io.Input, object]]) -> None:
    for given, value in values:
        if trouble := _trouble_with(given, value):
            raise ValueError(trouble)


def _as_pythons_numbers(node: type[io.ComfyNode], inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs with every number as the type that the widget gives, such as 3 for 3.0 or numpy's 3."""
    kinds = {io.Int.Input: int, io.Float.Input: float, io.Boolean.Input: bool}
    known = dict(inputs)
    for given in _schema(node).inputs:
        kind, value = kinds.get(type(given)), inputs.get(given.id)
        if kind and value is not None:
            known[given.id] = [kind(one) for one in value] if isinstance(value, list) else kind(value)
    return known


def _schema(node: type[io.ComfyNode]) -> io.Schema:
    return node.SCHEMA or node.GET_SCHEMA()


def _each_value(node: type[io.ComfyNode], inputs: dict[str, Any]) -> Iterator[tuple[io.Input, object]]:
    """Yield the values with their inputs; without None at optional sockets, where it is the same as no link.

    A node that takes lists gets no list where there is no link; None in a list came through one.
    """
    schema = _schema(node)
    for given in schema.inputs:
        values = inputs.get(given.id)
        for value in values if schema.is_input_list and isinstance(values, list) else [values]:
            is_no_link = values is None and given.optional and not isinstance(given, _WIDGETS)
            if given.id in inputs and not is_no_link:
                yield given, value


def _trouble_with(given: io.Input, value: object) -> str | None:
    """Return why a value is not of the input's kind, as a sentence, or None if it is."""
    if isinstance(given, io.Int.Input | io.Float.Input):
        return _trouble_with_number(given, value)
    if isinstance(given, io.Boolean.Input):
        is_either = isinstance(value, bool | np.bool_ | Real) and value in (False, True)
        return None if is_either else f"{given.id} is neither on nor off: {described(value)} came."
    if isinstance(given, io.String.Input | io.Combo.Input):
        return None if isinstance(value, str) else f"{given.id} is no text: {described(value)} came."
    kind = given.get_io_type()
    if kind == "IMAGE":
        try:
            require_picture(value, given.id)
        except ValueError as error:
            return str(error)
    elif kind == "CONDITIONING":
        return _trouble_with_conditioning(given.id, value)
    elif kind in _MEMBER_OF and not _is_of_kind(kind, value):
        return f"{given.id} is no {kind}: {described(value)} came. Connect an output of the type {kind}."
    return None


def _is_of_kind(kind: str, value: object) -> bool:
    foreign = _FOREIGN_MEMBER_OF.get(kind)
    return hasattr(value, _MEMBER_OF[kind]) and not (foreign and hasattr(value, foreign))


def _trouble_with_number(given: io.Int.Input | io.Float.Input, value: object) -> str | None:
    if not isinstance(value, Real):
        return f"{given.id} is no number: {described(value)} came."
    number: Any = value  # Real promises no comparison
    if not (isinstance(value, Integral) or math.isfinite(number)):
        return f"{given.id} is {value}; it has to be a finite number."
    low = -math.inf if given.min is None else given.min
    high = math.inf if given.max is None else given.max
    margin = _ROUNDING if isinstance(given, io.Float.Input) else 0
    if not low - margin <= number <= high + margin:
        shown = "out of range" if abs(number) >= _TOO_LONG else value
        return f"{given.id} is {shown}, and must be from {low} to {high}."
    if isinstance(given, io.Int.Input) and not float(number).is_integer():
        return f"{given.id} is {value}; it has to be a whole number."
    return None


def _trouble_with_conditioning(name: str, value: object) -> str | None:
    if not (isinstance(value, list) and all(map(_is_conditioning, value))):
        return (
            f"{name} is no conditioning: {described(value)} came. Connect an output of the type CONDITIONING."
        )
    if not value:
        return f"{name} is a conditioning without a prompt. Connect CLIP Text Encode."
    if not all(tokens.isfinite().all() for tokens, _ in value):
        return (
            f"{name} holds values that are infinite or not a number: the CLIP that read the prompt computed them. Choose "
            "weight_dtype fp32 in the loader; if that does not help, its file is damaged: download it again."
        )
    return None


def _is_conditioning(entry: object) -> bool:
    return (
        isinstance(entry, list | tuple)
        and len(entry) == 2
        and isinstance(entry[0], Tensor)
        and isinstance(entry[1], dict)
    )
