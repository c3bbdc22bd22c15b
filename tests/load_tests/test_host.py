"""Loaded models inside the host: made anew from disk on its demand, and built with its newer memory manager's layers."""

import comfy.model_management
import comfy.ops
import pytest
import torch
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.host.patchers import remember_loader
from paintsundo_pack.paintsundo_models.parts import MULTI_FRAME, SINGLE_FRAME

KINDS = [SINGLE_FRAME, MULTI_FRAME]
LOADERS = {SINGLE_FRAME: loading.load_single_frame, MULTI_FRAME: loading.load_multi_frame}


@pytest.mark.parametrize("kind", KINDS)
def test_host_can_make_the_model_anew(kind, seeded_checkpoints, forward):
    """As it does for TorchCompile, LoRA hooks and several GPUs."""
    model = LOADERS[kind](str(seeded_checkpoints[kind.replace("-", "_")]), "bf16")[0]
    load, args = model.cached_patcher_init
    again = load(*args, disable_dynamic=True)
    assert again.model is not model.model
    assert again.model.get_dtype() == torch.bfloat16
    assert again.model_options.keys() == model.model_options.keys()
    assert len(again.model_options.get("sampler_post_cfg_function", [])) == (kind == MULTI_FRAME)
    expected, found = model.model.diffusion_model.state_dict(), again.model.diffusion_model.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert torch.equal(forward(kind, again), forward(kind, model))


def test_loader_that_the_host_could_not_call_is_refused(checkpoints):
    model = loading.single_frame_model(checkpoints[SINGLE_FRAME], None)
    with pytest.raises(TypeError, match="disable_dynamic"):
        remember_loader(model, lambda path: model, "path")


@pytest.fixture
def lazy_layers(monkeypatch):
    """The state of newer hosts on Windows with dynamic memory: linear layers have no weights before they are loaded."""
    memory_management = pytest.importorskip(
        "comfy.memory_management", reason="this ComfyUI has no dynamic memory"
    )
    monkeypatch.setattr(memory_management, "aimdo_enabled", True)
    monkeypatch.setattr(comfy.model_management, "WINDOWS", True)
    assert comfy.ops.disable_weight_init.Linear(2, 2).weight is None


@pytest.mark.parametrize("kind", KINDS)
def test_layers_without_weights_before_loading_are_filled(
    kind, lazy_layers, checkpoints, build, forward, exact
):
    assert torch.equal(forward(kind, build[kind](checkpoints[kind], torch.float32)), exact[kind])


@pytest.mark.usefixtures("lazy_layers")
@pytest.mark.parametrize("kind", KINDS)
def test_whole_model_of_layers_without_weights_before_loading(kind, seeded_checkpoints):
    _, clip, vae, *vision = LOADERS[kind](seeded_checkpoints[kind.replace("-", "_")], "fp8_e4m3fn")
    assert clip.encode_from_tokens_scheduled(clip.tokenize("1girl"))[0][0].isfinite().all()
    picture = torch.rand(1, 64, 64, 3)
    assert vae.encode(picture).isfinite().all()
    assert all(v.encode_image(picture).last_hidden_state.isfinite().all() for v in vision)
