"""Each picture and each prompt of a chain is encoded once, although the segments share them."""

import gc
import weakref

import pytest
import torch
from paintsundo_pack.paintsundo_models import keyframes, loading, segments
from paintsundo_pack.paintsundo_models.host import encoding_cache
from paintsundo_pack.paintsundo_models.host.objects import Prompts
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings

KEYFRAMES = 4


@pytest.fixture
def multi_frame(seeded_checkpoints):
    return loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")


@pytest.fixture
def pictures():
    return torch.rand(KEYFRAMES, 64, 64, 3, generator=torch.Generator().manual_seed(1))


def test_pictures_of_any_float_type_have_a_key(pictures):
    keys = [
        encoding_cache.picture_key(pictures.to(dtype))
        for dtype in (torch.float32, torch.float16, torch.bfloat16)
    ]
    assert len(set(keys)) == 3
    assert keys[2] == encoding_cache.picture_key(pictures.bfloat16())
    assert keys[2] != encoding_cache.picture_key(pictures.flip(0).bfloat16())


def count_calls(monkeypatch, owner, name):
    """A list that grows by one with each call of a method."""
    calls = []
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **kwargs: calls.append(1) or original(*args, **kwargs))
    return calls


def segment(multi_frame, start, end, prompt="1girl"):
    return segments.interpolate(
        multi_frame,
        (start, end),
        Prompts(prompt, ""),
        SamplerSettings(5, 1, 7.5, "paintsundo_ddim", "trailing"),
        resolution="size of the pictures",
    ).frames


@torch.inference_mode()
def test_a_chain_encodes_each_thing_once(multi_frame, pictures, monkeypatch):
    _, clip, vae, clip_vision = multi_frame
    encoded = count_calls(monkeypatch, vae.first_stage_model, "encode")
    texts = count_calls(monkeypatch, clip, "encode_from_tokens_scheduled")
    looks = count_calls(monkeypatch, clip_vision.model.vision_model.encoder, "forward")
    for start, end in zip(pictures, pictures[1:], strict=False):
        segment(multi_frame, start[None], end[None])
    assert len(encoded) == KEYFRAMES
    assert len(looks) == KEYFRAMES + 1, "and the grey picture of the negative branch"
    assert len(texts) == 2
    segment(multi_frame, pictures[:1], pictures[1:2], prompt="another")
    assert len(texts) == 3


@torch.inference_mode()
def test_cached_encodings_change_no_result(multi_frame, pictures):
    first = segment(multi_frame, pictures[:1], pictures[1:2])
    again = segment(multi_frame, pictures[:1], pictures[1:2])
    encoding_cache._cache.clear()
    anew = segment(multi_frame, pictures[:1], pictures[1:2])
    assert torch.equal(first, again)
    assert torch.equal(first, anew)


@torch.inference_mode()
def test_keyframes_of_one_picture_encode_it_once(seeded_checkpoints, pictures, monkeypatch):
    single_frame = loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")
    encoded = count_calls(monkeypatch, single_frame.vae.first_stage_model, "encode")
    settings = SamplerSettings(7, 1, 3.0, "euler", "karras")
    for step in (400, 800):
        keyframes.predict_keyframes(single_frame, pictures[:1], [step], Prompts("a", "b"), settings, 64, 64)
    assert len(encoded) == 1


def test_other_weights_encode_anew():
    class Encoder:
        patcher = type("Patcher", (), {"patches_uuid": 1})()

    encoder, made = Encoder(), []
    for uuid in (1, 1, 2):
        encoder.patcher.patches_uuid = uuid
        encoding_cache.cached_encoding(encoder, "prompt", lambda: made.append(1))
    assert len(made) == 2


def test_only_the_last_few_are_kept_and_none_outlives_its_encoder():
    class Encoder:
        pass

    encoder, made = Encoder(), []
    for key in range(encoding_cache.ENCODINGS_KEPT + 1):
        encoding_cache.cached_encoding(encoder, key, lambda: made.append(1))
    encoding_cache.cached_encoding(encoder, encoding_cache.ENCODINGS_KEPT, lambda: made.append(1))
    assert len(made) == encoding_cache.ENCODINGS_KEPT + 1
    encoding_cache.cached_encoding(encoder, 0, lambda: made.append(1))
    assert len(made) == encoding_cache.ENCODINGS_KEPT + 2
    gone = weakref.ref(encoder)
    count = len(encoding_cache._cache)
    del encoder
    gc.collect()
    assert gone() is None
    assert len(encoding_cache._cache) == count - 1


def test_picture_key_tells_pictures_apart():
    picture = torch.rand(1, 4, 6, 3)
    assert encoding_cache.picture_key(picture) == encoding_cache.picture_key(picture.clone())
    assert encoding_cache.picture_key(picture) == encoding_cache.picture_key(
        picture.transpose(1, 2).contiguous().transpose(1, 2)
    )
    others = [picture + 1e-6, picture.transpose(1, 2), picture.double()]
    assert encoding_cache.picture_key(picture) not in [encoding_cache.picture_key(other) for other in others]
