"""Operations, and the most bytes that tensors take at one moment; both are exact on torch's meta device too.

The bytes are those of tensors, counted when they are made and when they are freed. Working memory inside a kernel and
losses of an allocator are not included.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Counted:
    """The operations of a run, and its peak: bytes at the worst moment beyond those held before."""

    flops: int
    peak: int


def counted(run: Callable[[], object]) -> Counted:
    """Run something and count; attention counts as a GPU's fused kernels do it, without a matrix of scores."""
    with FlopCounterMode(display=False) as counter, FusedAttention() as attention, LiveTensors() as live:
        run()
    return Counted(counter.get_total_flops() + attention.flops, live.peak)


class FusedAttention(TorchFunctionMode):
    """Attention that makes its output only. On the meta device torch would make the matrix of scores too.

    Attributes:
        flops: operations of the attention that was replaced, so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        if func is functional.scaled_dot_product_attention:
            query, key, value = args[:3]
            scores = query.shape[:-1].numel() * key.shape[-2]
            self.flops += 2 * scores * (query.shape[-1] + value.shape[-1])
            return query.new_empty(*query.shape[:-1], value.shape[-1])
        return func(*args, **(kwargs or {}))


class LiveTensors(TorchDispatchMode):
    """Sum of the bytes of all storages that operations have made and that are not freed yet.

    Attributes:
        peak: the largest sum so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        for tensor in _tensors((args, kwargs)):  # tensors that were held before count as 0 bytes
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
