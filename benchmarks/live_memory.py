"""The most bytes that tensors take at one moment, followed as they come and go: exact on torch's meta device too.

What a kernel needs for itself is not in it, nor what an allocator loses.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def peak_of(run: Callable[[], object]) -> int:
    """Bytes at the peak beyond those held before; attention counts as the fused kernels of a GPU do it."""
    with FusedAttention(), LiveTensors() as live:
        run()
    return live.peak


class FusedAttention(TorchFunctionMode):
    """Attention of which only the output exists. On the meta device torch would make the matrix of scores."""

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        if func is functional.scaled_dot_product_attention:
            query, _, value = args[:3]
            return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **(kwargs or {}))


class LiveTensors(TorchDispatchMode):
    """Adds up the storages that operations make, until they are freed.

    Attributes:
        peak: bytes, so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        for tensor in _tensors((args, kwargs)):  # what was there before costs nothing
            self._follow(tensor.untyped_storage(), 0)
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            self._follow(storage, storage.nbytes())
        self.peak = max(self.peak, self._now)
        return result

    def _follow(self, storage: torch.UntypedStorage, size: int) -> None:
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = size
            self._now += size
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self._now -= self._sizes.pop(key)


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
