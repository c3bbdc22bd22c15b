"""Memory that runs out inside a stage: less at once is tried, the result is the same, and what cannot be helped is said once.

The errors are raised by hooks of real networks (seeded models, float32 on the CPU), as the card, torch and Python word them.
"""

import gc
import logging
import re
import weakref
from contextlib import contextmanager

import comfy.model_management
import comfy.utils
import folder_paths
import pytest
import torch
from paintsundo_pack.nodes.interpolate_keyframes import Interpolate
from paintsundo_pack.nodes.predict_keyframes import PredictKeyframes
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.errors import NotEnoughMemoryError
from paintsundo_pack.paintsundo_models.host.out_of_memory import is_out_of_memory
from paintsundo_pack.paintsundo_models.host.upscaling import upscale

STEPS = "0, 400, 800, 999"
ROUNDING = 1e-4  # of a value in [0, 1]: what other sizes of batches change in float32

ERRORS = {
    "card": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "processor": RuntimeError(
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
    ),
    "windows": RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    "apple": RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)."),
    "python": MemoryError(),
    "c++": RuntimeError("std::bad_alloc"),
    "cublas": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
def test_all_words_for_it_are_known(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("out of memory"),
        comfy.model_management.InterruptProcessingException(),
        NotEnoughMemoryError("out of memory"),
    ],
)
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)


class Short:
    """A hook of a module in which memory runs out for batches of more than `most`, `times` times at most."""

    def __init__(self, module, most, times=10**6, error="card", say=lambda: None):
        self.most, self.times, self.error, self.say = most, times, error, say
        self.failed, self.kept = [], []
        self.handle = module.register_forward_pre_hook(self)

    def __call__(self, module, arguments):
        size = len(arguments[0])
        if size <= self.most or len(self.failed) >= self.times:
            return
        self.failed.append(size)
        made_inside = torch.empty(1000)
        self.kept.append(weakref.ref(made_inside))
        self.say()
        raise type(ERRORS[self.error])(*ERRORS[self.error].args)


@contextmanager
def short(*arguments, **options):
    hook = Short(*arguments, **options)
    try:
        yield hook
    finally:
        hook.handle.remove()


@pytest.fixture(autouse=True)
def quiet_places(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    with torch.inference_mode():
        yield


def retries(caplog):
    """What the pack logged since the last look."""
    said = [r.getMessage() for r in caplog.records if r.getMessage().startswith("PaintsUndo: memory ran out")]
    caplog.clear()
    return said


@pytest.fixture(scope="module")
def picture():
    return torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def single_frame(seeded_checkpoints):
    return loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")


@pytest.fixture(scope="module")
def multi_frame(seeded_checkpoints):
    return loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")


def keyframes_of(single_frame, picture, sampler="dpmpp_2m"):
    model, clip, vae = single_frame
    return PredictKeyframes.execute(
        model, clip, vae, picture[:1], STEPS, "1girl", "bad", 64, 64, 7, 2, 3.0, sampler, "karras"
    ).args[0]


def frames_of(multi_frame, picture, **options):
    model, clip, vae, clip_vision = multi_frame
    given = {"sampler_name": "paintsundo_ddim", "scheduler": "trailing", "cfg": 7.5, **options}
    return Interpolate.execute(
        model, clip, vae, clip_vision, picture[:1], picture[1:], "1girl", "", 5, 2, fs=3,
        resolution="size of the pictures", reuse=False, **given
    ).args[0]  # fmt: skip


@pytest.fixture(scope="module")
def keyframes(single_frame, picture):
    with torch.inference_mode():
        return keyframes_of(single_frame, picture)


@pytest.fixture(scope="module")
def frames(multi_frame, picture):
    with torch.inference_mode():
        return frames_of(multi_frame, picture)


@pytest.fixture
def networks(single_frame, multi_frame):
    """The modules in which memory can run out, by the words for them."""

    def encoder_of(clip):
        return next(m for m in clip.cond_stage_model.modules() if type(m).__name__ == "CLIPEncoder")

    single_vae, multi_vae = single_frame.vae.first_stage_model, multi_frame.vae.first_stage_model
    return {
        "single unet": single_frame.model.model.diffusion_model,
        "single text": encoder_of(single_frame.clip),
        "single encoder": single_vae.encoder,
        "single decoder": single_vae.decoder,
        "multi unet": multi_frame.model.model.diffusion_model,
        "multi text": encoder_of(multi_frame.clip),
        "multi vision": multi_frame.clip_vision.model.vision_model.encoder,
        "multi encoder": multi_vae.encoder.mid["block_1"],
        "multi decoder": multi_vae.decoder.mid["block_1"],
    }


@pytest.fixture
def fresh(monkeypatch):
    """Encodings of earlier tests are forgotten."""
    from weakref import WeakKeyDictionary

    from paintsundo_pack.paintsundo_models.host import encoding_cache

    monkeypatch.setattr(encoding_cache, "_cache", WeakKeyDictionary())


def with_errors(cases):
    """Pairs of case and error; in a VAE the host itself handles a card's error, and no other, so there are two."""
    return [
        (case, error)
        for number, (case, network) in enumerate(cases.items())
        for error in (("card", "processor") if "coder" in network else (("card", "processor")[number % 2],))
    ]


def assert_retried(hook, caplog, expected):
    """Every failure of the network has its line in the log, with the expected words, in order."""
    assert hook.failed
    said = retries(caplog)
    assert len(said) == len(hook.failed) == len(expected), said
    assert all(words in line for words, line in zip(expected, said, strict=True)), said


KEYFRAME_CASES = {
    # the network, the largest batch that fits, how often memory runs out -> what is tried again, in order
    "branches apart": ("single unet", 4, 10**6, ["branches of guidance one after the other"]),
    "two keyframes": ("single unet", 2, 10**6, ["branches of guidance", "with 2 at once, not 4"]),
    "one keyframe": ("single unet", 1, 10**6, ["branches of guidance", "with 2 at", "with 1 at once, not 2"]),
    "once": ("single unet", 0, 1, ["branches of guidance"]),
    "up to the last attempt": ("single unet", 0, 4, ["branches", "with 2", "with 1", "all models unloaded"]),
    "decoded in pairs": ("single decoder", 2, 10**6, ["decoding the keyframes; trying again with 2 at once"]),
    "decoded one by one": ("single decoder", 1, 10**6, ["with 2 at once, not 4", "with 1 at once, not 2"]),
    "decoded in tiles": ("single decoder", 0, 4, ["with 2", "with 1", "all models unloaded", "in tiles"]),
    "encoded in tiles": ("single encoder", 0, 2, ["all models unloaded", "in tiles, whose seams may show"]),
    "picture encoded": ("single encoder", 0, 1, ["encoding the picture; trying again with all models"]),
    "prompt read": ("single text", 0, 1, ["reading a prompt; trying again with all models"]),
}


@pytest.mark.parametrize(
    ("case", "error"), with_errors({case: name for case, (name, *_) in KEYFRAME_CASES.items()})
)
def test_keyframes_are_the_same_with_less_at_once(
    case, error, networks, single_frame, picture, keyframes, fresh, caplog
):
    name, most, times, expected = KEYFRAME_CASES[case]
    with short(networks[name], most, times, error) as hook:
        result = keyframes_of(single_frame, picture)
    assert (result - keyframes).abs().max() < ROUNDING
    assert_retried(hook, caplog, expected)


SEGMENT_CASES = {
    "branches apart": ("multi unet", 1, 10**6, ["branches of guidance one after the other"]),
    "up to the last attempt": ("multi unet", 0, 2, ["branches of guidance", "all models unloaded"]),
    "pictures seen": ("multi vision", 0, 1, ["CLIP_VISION was encoding a picture; trying again with all"]),
    "pictures encoded": ("multi encoder", 0, 1, ["video VAE was encoding; trying again with all models"]),
    "prompt read": ("multi text", 0, 1, ["reading a prompt"]),
    "decoded in tiles": ("multi decoder", 0, 3, ["all models unloaded", "smaller slices", "in tiles"]),
    "encoded in tiles": ("multi encoder", 0, 2, ["all models unloaded", "in tiles"]),
    "decoded in smaller slices": ("multi decoder", 1, 10**6, ["all models unloaded", "in smaller slices"]),
}


@pytest.mark.parametrize(
    ("case", "error"), with_errors({case: name for case, (name, *_) in SEGMENT_CASES.items()})
)
def test_segment_is_the_same_with_less_at_once(
    case, error, networks, multi_frame, picture, frames, fresh, caplog
):
    name, most, times, expected = SEGMENT_CASES[case]
    with short(networks[name], most, times, error) as hook:
        result = frames_of(multi_frame, picture)
    assert (result - frames).abs().max() < ROUNDING
    assert_retried(hook, caplog, expected)


@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpmpp_2m_sde"])
def test_noise_at_the_steps_is_the_same_with_one_branch_after_the_other(
    sampler, networks, single_frame, multi_frame, picture
):
    """The sampling goes on at its step and does not begin again, so no noise is drawn twice."""
    for run, model, name in (
        (keyframes_of, single_frame, "single unet"),
        (
            lambda *given: frames_of(*given[:2], sampler_name=sampler, scheduler="karras"),
            multi_frame,
            "multi unet",
        ),
    ):
        given = (model, picture, sampler) if run is keyframes_of else (model, picture)
        whole = run(*given)
        with short(networks[name], 1) as hook:
            assert (run(*given) - whole).abs().max() < ROUNDING
        assert hook.failed == [2]


ALWAYS = {
    "single unet": "the single-frame MODEL was sampling the keyframes. Lower width and height.",
    "single text": "reading a prompt. Close other programs",
    "multi unet": "the multi-frame MODEL was sampling a segment. Choose a smaller resolution.",
    "multi text": "reading a prompt. Close other programs",
    "multi vision": "the CLIP_VISION was encoding a picture. Choose a smaller resolution.",
    "single encoder": "the single-frame VAE was encoding the picture. Lower width and height.",
    "single decoder": "the single-frame VAE was decoding the keyframes. Lower width and height.",
    "multi encoder": "the video VAE was encoding. Choose a smaller resolution.",
    "multi decoder": "the video VAE was decoding. Choose a smaller resolution.",
}


@pytest.mark.parametrize(("name", "error"), with_errors({name: name for name in ALWAYS}))
def test_what_cannot_be_helped_is_said_once_and_the_next_run_works(
    name, error, networks, single_frame, multi_frame, picture, keyframes, frames, fresh
):
    run, given, expected = (
        (keyframes_of, single_frame, keyframes)
        if name.startswith("single")
        else (frames_of, multi_frame, frames)
    )
    with short(networks[name], 0, error=error) as hook:
        with pytest.raises(NotEnoughMemoryError) as caught:
            run(given, picture)
        failure = caught.value
        caught = None
        gc.collect()
        # The host keeps the error for a while; what the attempts had made must be gone all the same.
        assert hook.kept
        assert not any(tensor() is not None for tensor in hook.kept)
    assert failure.__cause__ is None
    assert failure.__context__ is None
    assert str(failure).startswith(f"Memory ran out while {ALWAYS[name]}"), failure
    assert not re.search(r"CUDA|Allocator|GiB|bytes", str(failure))
    assert torch.equal(run(given, picture), expected)


def test_cancel_is_heard_between_two_attempts(networks, single_frame, picture, keyframes):
    def cancel():
        comfy.model_management.interrupt_current_processing(True)

    with (
        short(networks["single unet"], 0, say=cancel) as hook,
        pytest.raises(comfy.model_management.InterruptProcessingException),
    ):
        keyframes_of(single_frame, picture)
    assert len(hook.failed) == 1
    comfy.model_management.interrupt_current_processing(False)
    assert torch.equal(keyframes_of(single_frame, picture), keyframes)


def test_progress_rises_from_start_to_end_in_each_group(networks, single_frame, picture, monkeypatch):
    told = []
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: told.append((value, total))
    )
    with short(networks["single unet"], 4) as apart:
        keyframes_of(single_frame, picture)
    assert apart.failed == [8]
    assert [value for value, _ in told if value] == [1, 2]
    told.clear()
    with short(networks["single unet"], 2):
        keyframes_of(single_frame, picture)
    assert [value for value, _ in told if value] == [1, 2, 1, 2]
    assert {total for _, total in told} == {2}


class Enlarger:
    """What the host hands on as an upscaling model: spandrel's descriptor around a network."""

    def __init__(self):
        self.scale, self.model = 2, torch.nn.Upsample(scale_factor=2)

    def to(self, device):
        return self

    def __call__(self, pictures):
        return self.model(pictures)


def test_upscaling_goes_on_in_smaller_tiles(caplog):
    enlarger, frame = Enlarger(), torch.rand(96, 160, 3)
    whole = upscale(enlarger, frame)
    with short(enlarger.model, 0, 2):
        assert torch.allclose(upscale(enlarger, frame), whole, atol=1e-6)
    assert [line.rpartition("trying again ")[2] for line in retries(caplog)] == [
        "with all models unloaded first.",
        "in tiles of 256 pixels.",
    ]
    with short(enlarger.model, 0), pytest.raises(NotEnoughMemoryError, match="smaller upscaling model"):
        upscale(enlarger, frame)
