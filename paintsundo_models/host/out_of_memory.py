"""What happens where memory runs out: less is tried at once, and if nothing helps, one message says what does.

A failed attempt leaves nothing behind: its error is dropped before the next one starts, because the error's traceback holds
every tensor that the attempt had made.
"""

import copy
import functools
import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import comfy.model_management as mm
import comfy.model_patcher
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ..errors import NotEnoughMemoryError

P = ParamSpec("P")
T = TypeVar("T")

_SAID = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "bad_alloc",
    "failed to allocate memory",
    "alloc_failed",
)
"""What errors without a class of their own say, in small letters: CUDA, MPS, torch on a processor (Linux, Windows), C++,
onnxruntime, cuBLAS."""

OTHER_REMEDIES = (
    "Close other programs, choose a smaller weight_dtype in the loader, or start ComfyUI with --lowvram."
)
"""Ends the remedy of stages that run a network."""

IN_TILES = "in tiles, whose seams may show"

_HOSTS_TILINGS = ("decode_tiled_", "decode_tiled_3d", "encode_tiled_", "encode_tiled_3d")

log = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, the card's or the computer's."""
    if isinstance(error, NotEnoughMemoryError | mm.InterruptProcessingException):
        return False
    if isinstance(error, (MemoryError, getattr(torch, "OutOfMemoryError", MemoryError))):
        return True
    hosts = getattr(mm, "is_oom", lambda error: isinstance(error, mm.OOM_EXCEPTION))
    if mm.OOM_EXCEPTION is not Exception and hosts(
        error
    ):  # it is Exception on a torch without a class for it
        return True
    is_of_a_kind = isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")
    return is_of_a_kind and any(words in str(error).lower() for words in _SAID)


@dataclass(frozen=True)
class Stage:
    """Something that takes much memory.

    Attributes:
        doing: what is done, as the end of "Memory ran out while ...".
        remedy: sentences that say what takes less.
    """

    doing: str
    remedy: str

    def say_retry(self, how: str) -> None:
        """Log that it is tried again, and how."""
        log.warning("PaintsUndo: memory ran out while %s; trying again %s.", self.doing, how)

    def failure(self) -> NotEnoughMemoryError:
        """Make room for the next run, and return the error to raise."""
        make_room()
        return NotEnoughMemoryError(f"Memory ran out while {self.doing}. {self.remedy}")


def tried(run: Callable[[], T]) -> tuple[T] | None:
    """Return the result of a function in a tuple, or None where memory ran out; other errors pass."""
    try:
        return (run(),)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Here the error is gone, and with it the tensors of the attempt.
    gc.collect()
    mm.soft_empty_cache()
    mm.throw_exception_if_processing_interrupted()
    return None


def make_room() -> None:
    """Take all models off the card, as the host does after it ran out of memory."""
    mm.unload_all_models()
    mm.soft_empty_cache()


def in_groups(
    stage: Stage,
    count: int,
    most: int,
    run: Callable[[int, int], T],
    otherwise: Sequence[tuple[str, Callable[[int, int], T]]] = (),
) -> list[T]:
    """Run a function on groups of items; where memory runs out, on smaller groups, down to one item.

    Args:
        stage: what it is, for the log and the message.
        count: of items.
        most: items in a group at first.
        run: called with the first item of a group and the one behind its last.
        otherwise: what is tried with single items after that, each with the words for the log.

    Returns:
        The results of the groups, in order.

    Raises:
        NotEnoughMemoryError: nothing helped.
    """
    results: list[T] = []
    start, size = 0, most
    attempt = run
    more = iter([("with all models unloaded first", run), *otherwise])
    while start < count:
        stop = min(start + size, count)
        done = tried(functools.partial(attempt, start, stop))
        if done is not None:
            results += done
            start = stop
            continue
        if stop - start > 1:
            size = (stop - start) // 2
            stage.say_retry(f"with {size} at once, not {stop - start}")
            continue
        following = next(more, None)
        if following is None:
            raise stage.failure()
        how, attempt = following
        stage.say_retry(how)
        make_room()
    return results


def once(stage: Stage, run: Callable[[], T], otherwise: Sequence[tuple[str, Callable[[], T]]] = ()) -> T:
    """Run a function that cannot be divided; see `in_groups`."""
    others = [(words, lambda start, stop, other=other: other()) for words, other in otherwise]
    return in_groups(stage, 1, 1, lambda start, stop: run(), others)[0]


def said_plainly(stage: Stage) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a decorator: where memory runs out in the function, it raises NotEnoughMemoryError without another attempt."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
            done = tried(lambda: function(*args, **kwargs))
            if done is None:
                raise stage.failure()
            return done[0]

        return wrapped

    return decorate


class BranchesApart:
    """Evaluates a MODEL with all branches of guidance at once, until memory runs out; then with one after the other.

    It is one of the host's wrappers around the evaluation, so the sampling goes on at the same step, with the same noise.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage, self._is_apart = stage, False

    def __call__(
        self, evaluate: Callable[..., list[Tensor]], model: Any, conds: list, *args: Any
    ) -> list[Tensor]:
        if sum(cond is not None for cond in conds) < 2:
            return evaluate(model, conds, *args)
        if not self._is_apart:
            done = tried(lambda: evaluate(model, conds, *args))
            if done is not None:
                return done[0]
            self._stage.say_retry("with the branches of guidance one after the other")
            self._is_apart = True
        return [evaluate(model, [cond], *args)[0] for cond in conds]

    def put_on(self, model: comfy.model_patcher.ModelPatcher) -> comfy.model_patcher.ModelPatcher:
        """Return a copy of a MODEL that is evaluated so."""
        model = model.clone()
        model.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "paintsundo", self)
        return model


def without_tiles(vae: T) -> T:
    """Return a copy of a VAE that says so where memory runs out, and does not go over to tiles by itself.

    Tiles change the result, so whatever does not is tried first. The copy shares the weights.
    """

    def refuse(*_: object, **__: object) -> None:
        raise MemoryError("The host would go over to tiles.")

    vae = copy.copy(vae)
    for name in _HOSTS_TILINGS:
        setattr(vae, name, refuse)
    return vae
