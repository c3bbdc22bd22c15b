"""After a chain the host can have all memory back: the pack keeps no network loaded or referenced."""

import gc
import weakref

import torch
from comfy import model_management
from paintsundo_pack.paintsundo_models import keyframes, loading, segments
from paintsundo_pack.paintsundo_models.host.objects import Prompts
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings

SETTINGS = SamplerSettings(7, 1, 3.0, "euler", "normal")


def run_chain(single_frame, multi_frame, picture):
    made = keyframes.predict_keyframes(single_frame, picture, [400, 999], Prompts("a", "b"), SETTINGS, 64, 64)
    ends = (made[:1], made[1:])
    size = "size of the pictures"
    return segments.interpolate(multi_frame, ends, Prompts("a", ""), SETTINGS, resolution=size).frames


def networks(single_frame, multi_frame):
    """Weak references to all seven."""
    of_host = []
    for model, clip, vae, *vision in (single_frame, multi_frame):
        of_host += [model.model, clip.cond_stage_model, vae.first_stage_model, *(v.model for v in vision)]
    return [weakref.ref(network) for network in of_host]


@torch.inference_mode()
def test_the_host_unloads_a_chain_and_nothing_outlives_it(seeded_checkpoints):
    single_frame = loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")
    multi_frame = loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")
    alive = networks(single_frame, multi_frame)
    first = run_chain(single_frame, multi_frame, torch.rand(1, 64, 64, 3))
    assert len(first) == 16
    loaded = {entry.model.model for entry in model_management.current_loaded_models if entry.model}
    assert {network() for network in alive} <= loaded, "the chain's networks are under the host's management"

    model_management.unload_all_models()
    assert not model_management.current_loaded_models

    del single_frame, multi_frame, loaded
    gc.collect()
    assert [network() for network in alive] == [None] * 7


@torch.inference_mode()
def test_an_unloaded_chain_runs_again_with_the_same_result(seeded_checkpoints):
    single_frame = loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")
    multi_frame = loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")
    picture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    first = run_chain(single_frame, multi_frame, picture)
    model_management.unload_all_models()
    assert torch.equal(run_chain(single_frame, multi_frame, picture), first)
