"""A cache of encodings that a chain needs more than once.

Two segments share a keyframe, and all segments share the prompts and the grey picture, but ComfyUI runs the node again
for each segment. The cache is module-global and weakly keyed by the encoder, because CLIP, VAE and CLIP_VISION are
ComfyUI's classes: so it needs no attribute on them, is not copied with them, and is freed together with the encoder.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

ENCODINGS_KEPT = 8
"""Encodings kept for each encoder, a few MB. A segment needs five: two pictures, the grey one and two prompts."""

T = TypeVar("T")

_cache: WeakKeyDictionary[object, OrderedDict[Hashable, object]] = WeakKeyDictionary()


def cached_encoding(encoder: object, key: Hashable, encode: Callable[[], T]) -> T:
    """Return the cached encoding of this key, or call `encode` and cache its result.

    Encodings of other weights, such as with another LoRA, are cached separately. The least recently used encoding is
    dropped when there are more than ENCODINGS_KEPT.

    Args:
        encoder: CLIP, VAE or CLIP_VISION; its encodings are dropped when the object is deleted.
        key: identifies what is encoded: a prompt, or the `picture_key` of a picture.
        encode: computes the encoding; the result must not be changed afterwards.
    """
    patcher = getattr(encoder, "patcher", None)
    key = (key, getattr(patcher, "patches_uuid", None))
    encodings = _cache.setdefault(encoder, OrderedDict())
    if key not in encodings:
        encodings[key] = encode()
        if len(encodings) > ENCODINGS_KEPT:
            encodings.popitem(last=False)
    encodings.move_to_end(key)
    return encodings[key]  # pyright: ignore[reportReturnType]  what `encode` returned for this key


def picture_key(image: Tensor) -> tuple[Hashable, ...]:
    """Return a key that is equal for tensors with equal shape, dtype and values, and differs for all others."""
    values = image.detach().cpu().contiguous()
    return (
        *values.shape,
        str(values.dtype),
        hashlib.sha1(values.view(torch.uint8).numpy().tobytes()).hexdigest(),
    )
