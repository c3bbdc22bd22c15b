"""The host's own nodes: what they take and give, and how to run one outside a graph."""

import asyncio
import inspect
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}


@dataclass(frozen=True)
class Input:
    """One input of a node."""

    name: str
    type: str  # such as "MODEL"; "COMBO" for a list of choices
    is_required: bool
    default: Any  # of a widget; the first choice of a list

    @property
    def is_socket(self) -> bool:
        """Return whether this input is connected, and no widget."""
        return self.type not in WIDGETS


@dataclass(frozen=True)
class HostNode:
    """A node of the host, by its id in a workflow."""

    name: str
    node_class: Any
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]  # types

    @property
    def is_for_a_service(self) -> bool:
        """Return whether the node calls a paid service."""
        return bool(getattr(self.node_class, "API_NODE", False))

    @property
    def samples_itself(self) -> bool:
        """Return whether this is a sampler: it takes a model with its prompts, or a guider, and returns a latent."""
        types = {item.type for item in self.inputs}
        return "LATENT" in self.outputs and ("GUIDER" in types or {"MODEL", "CONDITIONING"} <= types)

    def run(self, values: Mapping[str, Any]) -> tuple:
        """Run the node with these inputs, and the defaults of all other widgets; return its outputs."""
        filled = {
            item.name: values.get(item.name, item.default)
            for item in self.inputs
            if item.name in values or (item.is_required and not item.is_socket)
        }
        if getattr(self.node_class, "INPUT_IS_LIST", False):
            filled = {name: [value] for name, value in filled.items()}
        result = getattr(self.node_class(), self.node_class.FUNCTION)(**filled)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        result = result.get("result") if isinstance(result, dict) else getattr(result, "result", result)
        are_lists = getattr(self.node_class, "OUTPUT_IS_LIST", None) or [False] * len(result or ())
        return tuple(
            value[0] if is_list else value for value, is_list in zip(result or (), are_lists, strict=False)
        )


async def _awaited(result: Any) -> Any:
    return await result


def host_version() -> str:
    """Return ComfyUI's version, such as "0.3.75"."""
    import comfyui_version

    return comfyui_version.__version__


def load_host_nodes() -> dict[str, HostNode]:
    """Load the host's nodes with their extras, without nodes that call services and without other packs.

    A file of extras whose packages are missing is left out, as the host does.
    """
    # ComfyUI's main program imports this package before `nodes`, which puts a module of the same name first on the path.
    sys.path.insert(0, os.environ["COMFYUI_PATH"])
    import utils.install_util  # noqa: F401  # pyright: ignore[reportUnusedImport, reportMissingImports]

    import nodes

    logging.disable(logging.WARNING)
    try:
        asyncio.run(nodes.init_builtin_extra_nodes())
    finally:
        logging.disable(logging.NOTSET)
    return {
        name: HostNode(name, node_class, _inputs(node_class), tuple(map(str, node_class.RETURN_TYPES)))
        for name, node_class in nodes.NODE_CLASS_MAPPINGS.items()
    }


def _inputs(node_class: Any) -> tuple[Input, ...]:
    declared = node_class.INPUT_TYPES()
    return tuple(
        _input(name, declaration, kind == "required")
        for kind in ("required", "optional")
        for name, declaration in declared.get(kind, {}).items()
    )


def _input(name: str, declaration: tuple, is_required: bool) -> Input:
    kind, *rest = declaration
    options = rest[0] if rest and isinstance(rest[0], dict) else {}
    choices = kind if isinstance(kind, list | tuple) else options.get("options", ())
    default = options.get("default", choices[0] if choices else "" if kind == "STRING" else None)
    if isinstance(kind, list | tuple):
        kind = "COMBO"
    return Input(name, str(getattr(kind, "value", kind)), is_required, default)
