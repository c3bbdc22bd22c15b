"""Keys of caches: equal inputs have equal keys, and any change changes the key."""

import copy
import hashlib

import torch
from hypothesis import given
from hypothesis import strategies as st
from paintsundo_pack.paintsundo_models.host.encoding_cache import picture_key
from paintsundo_pack.paintsundo_models.host.identity import UnidentifiedError, _feed

TENSORS = st.builds(
    lambda values, dtype: torch.tensor(values, dtype=dtype),
    st.lists(st.integers(-4, 4), max_size=4),
    st.sampled_from(
        [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.float8_e4m3fn]
    ),
)
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5)
)
VALUES = st.recursive(
    PLAIN | TENSORS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


def key_of(value):
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def spelled(value):
    """An independent text of a value, equal only for values that are equal in type and content."""
    if isinstance(value, torch.Tensor):
        return f"tensor {value.dtype} {tuple(value.shape)} {value.double().tolist()}"
    if isinstance(value, dict):
        entries = sorted((repr(key), spelled(inner)) for key, inner in value.items())
        return f"dict {entries!r}"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__} {[spelled(inner) for inner in value]!r}"
    return f"{type(value).__name__} {value!r}"


@given(VALUES, VALUES)
def test_keys_are_equal_exactly_if_the_values_are(one, other):
    assert key_of(one) == key_of(copy.deepcopy(one))
    assert (key_of(one) == key_of(other)) == (spelled(one) == spelled(other))


@given(st.lists(VALUES, min_size=1, max_size=4), st.data())
def test_changing_one_entry_changes_the_key(values, data):
    place = data.draw(st.integers(0, len(values) - 1))
    new = data.draw(VALUES)
    changed = [*values[:place], new, *values[place + 1 :]]
    assert (key_of(changed) == key_of(values)) == (spelled(new) == spelled(values[place]))


@given(VALUES, st.sampled_from([object(), len, torch.nn.Linear(1, 1), 1j, b"x"]))
def test_what_is_unknown_has_no_key_wherever_it_lies(value, unknown):
    for holder in (unknown, [value, unknown], {"a": {"b": unknown}}):
        try:
            key_of(holder)
        except UnidentifiedError:
            continue
        raise AssertionError(f"{unknown!r} got a key")


PICTURES = st.builds(
    lambda height, width, value, dtype: torch.full((1, height, width, 3), value, dtype=dtype),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([0.0, -0.0, 0.5, 1.0]),
    st.sampled_from([torch.float32, torch.float16]),
)


@given(PICTURES, PICTURES)
def test_pictures_have_equal_keys_exactly_if_shape_type_and_values_are_equal(one, other):
    same = (
        one.shape == other.shape
        and one.dtype == other.dtype
        and one.numpy().tobytes() == other.numpy().tobytes()
    )
    assert (picture_key(one) == picture_key(other)) == same
    assert picture_key(one) == picture_key(one.clone().permute(0, 2, 1, 3).contiguous().permute(0, 2, 1, 3))
