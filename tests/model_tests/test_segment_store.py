"""Finished segments on disk: what a key depends on, and what the store does with good and bad files."""

import os

import pytest
import torch
from comfy.weight_adapter import LoRAAdapter
from paintsundo_pack.paintsundo_models import loading, segments
from paintsundo_pack.paintsundo_models.host import segment_store
from paintsundo_pack.paintsundo_models.host.identity import sampling_key
from paintsundo_pack.paintsundo_models.host.model_options import with_guidance, with_temporal_window
from paintsundo_pack.paintsundo_models.host.objects import Prompts
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings
from paintsundo_pack.paintsundo_models.host.segment_store import SegmentStore
from paintsundo_pack.paintsundo_models.segments import REUSED, SAMPLED
from safetensors.torch import save_file

KEY = "a" * 64
WEIGHT = "diffusion_model.out.2.weight"


@pytest.fixture(scope="module")
def objects(seeded_checkpoints):
    return loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(3, 64, 64, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def store(tmp_path):
    return SegmentStore(tmp_path / "segments", 10_000_000)


def key_of(model, scale=1.0, seed=5, cfg=2.0, sampler="euler", steps=2, pooled=0.0):
    values = {"paintsundo_fs": 3, "pooled_output": torch.full((1, 48), pooled)}
    conditioning = [[torch.ones(1, 77, 48) * scale, values]]
    sigmas = torch.linspace(1, 0, steps + 1)
    settings = SamplerSettings(seed, steps, cfg, sampler, "simple")
    return sampling_key(
        model, (conditioning, conditioning), {"samples": torch.zeros(1, 4, 16, 8, 8)}, sigmas, settings
    )


def with_lora(model, value):
    tensors = (torch.full((4, 2), value), torch.full((2, 576), value), 2.0, None, None, None)
    patched = model.clone()
    assert patched.add_patches({WEIGHT: LoRAAdapter(set(), tensors)}, 0.5)
    return patched


def test_key_changes_with_everything_that_changes_the_result(objects):
    model = objects.model
    keys = [
        key_of(model),
        key_of(model, scale=1.5),
        key_of(model, seed=6),
        key_of(model, cfg=2.5),
        key_of(model, sampler="heun"),
        key_of(model, steps=3),
        key_of(with_lora(model, 0.1)),
        key_of(with_lora(model, 0.2)),
        key_of(with_guidance(model, 0.3, 0.0, 1.0)),
        key_of(with_guidance(model, 0.7, 0.0, 0.5)),
        key_of(with_temporal_window(model, "first")),
        key_of(with_temporal_window(model, "roll")),
    ]
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_key_is_the_same_for_the_same(objects):
    assert key_of(objects.model) == key_of(objects.model.clone())
    assert key_of(with_lora(objects.model, 0.1)) == key_of(with_lora(objects.model, 0.1))
    assert key_of(objects.model, pooled=1.0) == key_of(objects.model), "which no model of ours reads"


def test_another_type_or_file_of_the_weights_has_another_key(seeded_checkpoints, tmp_path):
    import shutil

    folder = shutil.copytree(seeded_checkpoints["multi_frame"], tmp_path / "copy")
    first = key_of(loading.load_multi_frame(folder, "fp32").model)
    assert key_of(loading.load_multi_frame(folder, "fp32").model) == first
    assert key_of(loading.load_multi_frame(folder, "bf16").model) != first
    (file,) = (folder / "unet").glob("*.safetensors")
    os.utime(file, ns=(0, 0))
    assert key_of(loading.load_multi_frame(folder, "fp32").model) != first


def test_what_cannot_be_identified_has_no_key(objects):
    changes = {
        "a function": lambda model: model.set_model_sampler_post_cfg_function(lambda args: args["denoised"]),
        "an object": lambda model: model.add_object_patch("model_sampling", object()),
        "a wrapper": lambda model: model.add_wrapper(
            "diffusion_model", lambda executor, *args: executor(*args)
        ),
        "a weight": lambda model: model.add_patches({WEIGHT: (lambda: None,)}),
    }
    for name, change in changes.items():
        model = objects.model.clone()
        change(model)
        assert key_of(model) is None, name
    assert key_of(objects.model) is not None


@torch.inference_mode()
def test_segment_from_disk_equals_the_sampled_one(objects, pictures, store, monkeypatch):
    sampled = []
    sample = segments.sample_latent
    monkeypatch.setattr(segments, "sample_latent", lambda *args: sampled.append(1) or sample(*args))

    def run(start, end, seed=5, store=store):
        settings = SamplerSettings(seed, 1, 1.0, "euler", "simple")
        pair = pictures[start : start + 1], pictures[end : end + 1]
        return segments.interpolate(
            objects, pair, Prompts("a", ""), settings, resolution="size of the pictures", store=store
        )

    plain = run(0, 1, store=None)
    first, again = run(0, 1), run(0, 1)
    assert (plain.origin, first.origin, again.origin) == (SAMPLED, SAMPLED, REUSED)
    assert torch.equal(plain.frames, first.frames)
    assert torch.equal(plain.frames, again.frames)
    assert len(sampled) == 2
    assert run(1, 2).origin == SAMPLED
    assert run(0, 1, seed=6).origin == SAMPLED
    assert run(1, 2).origin == REUSED


def test_damaged_files_are_made_anew(store):
    samples = torch.rand(1, 4, 16, 2, 2)
    store.save(KEY, samples)
    assert torch.equal(store.load(KEY, samples.shape), samples)
    file = store.folder / f"{KEY}.safetensors"
    whole = file.read_bytes()
    for broken in (b"", whole[: len(whole) // 2], b"<!doctype html>"):
        file.write_bytes(broken)
        assert store.load(KEY, samples.shape) is None
        assert not file.exists()
    for wrong in (torch.zeros(1, 4, 16, 4, 4), torch.full_like(samples, float("nan")), samples.half()):
        save_file({"samples": wrong}, file)
        assert store.load(KEY, samples.shape) is None
    assert store.load("b" * 64, samples.shape) is None


def test_what_a_killed_process_was_writing_goes_away(store):
    store.save(KEY, torch.zeros(1))
    old, new = store.folder / "x.unfinished", store.folder / "y.unfinished"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    store.save("b" * 64, torch.zeros(1))
    assert not old.exists()
    assert new.exists(), "another ComfyUI may be writing it now"


def test_least_recently_used_go_first(tmp_path):
    samples = torch.rand(1, 4, 16, 2, 2)
    one = SegmentStore(tmp_path / "probe", 10**9)
    one.save(KEY, samples)
    size = (one.folder / f"{KEY}.safetensors").stat().st_size
    store = SegmentStore(tmp_path / "segments", 3 * size)
    for number, letter in enumerate("abc"):
        store.save(letter * 64, samples)
        os.utime(store.folder / f"{letter * 64}.safetensors", (number, number))
    assert store.load("a" * 64, samples.shape) is not None, "used now"
    store.save("d" * 64, samples)
    assert {file.stem[0] for file in store.folder.iterdir()} == {"a", "c", "d"}


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows keeps users apart by other means")
def test_folder_that_others_can_write_is_not_used(store, caplog):
    samples = torch.rand(1, 4, 16, 2, 2)
    store.save(KEY, samples)
    assert store.folder.stat().st_mode & 0o777 == 0o700
    store.folder.chmod(0o777)
    assert store.load(KEY, samples.shape) is None
    store.save("b" * 64, samples)
    assert "others can write" in caplog.text
    assert len(list(store.folder.iterdir())) == 1


def test_a_folder_that_cannot_be_made_costs_a_line_in_the_log(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    SegmentStore(tmp_path / "file" / "segments", 1).save(KEY, torch.zeros(1))
    assert "could not be kept" in caplog.text


@pytest.mark.parametrize(
    ("text", "limit"), [("", 1_000_000_000), ("5", 5_000_000), ("0", None), ("many", 1_000_000_000)]
)
def test_users_limit(monkeypatch, text, limit):
    monkeypatch.setenv(segment_store.LIMIT_VARIABLE, text)
    store = segment_store.users_store()
    assert (store and store.limit) == limit
    assert store is None or store.folder.parts[-2:] == ("__paintsundo", "segments")
