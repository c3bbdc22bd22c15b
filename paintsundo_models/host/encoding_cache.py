"""Encodings that a chain needs more than once, kept with the encoder that made them.

Two segments share a keyframe, all share the prompts and the grey picture, and the host runs the node anew for each.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

KEPT = 8
"""Encodings kept for an encoder: a few MB. A segment needs two pictures, the grey one and two prompts at a time."""

T = TypeVar("T")

_kept: WeakKeyDictionary[Any, OrderedDict[Hashable, Any]] = WeakKeyDictionary()


def remembered(encoder: object, key: Hashable, encode: Callable[[], T]) -> T:
    """What `encode` gives, or gave the last time for this encoder object with these weights and this key.

    Args:
        encoder: CLIP, VAE or CLIP_VISION; what it encoded is forgotten with it.
        key: of what is encoded.
        encode: makes the encoding; nobody may change it afterwards.
    """
    patcher = getattr(encoder, "patcher", None)
    key = (key, getattr(patcher, "patches_uuid", None))
    kept = _kept.setdefault(encoder, OrderedDict())
    if key not in kept:
        kept[key] = encode()
        if len(kept) > KEPT:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]


def fingerprint(image: Tensor) -> tuple[Hashable, ...]:
    """Equal for pictures of equal numbers."""
    values = image.detach().cpu().contiguous()
    return (
        *values.shape,
        str(values.dtype),
        hashlib.sha1(values.view(torch.uint8).numpy().tobytes()).hexdigest(),
    )
