"""Loaded models inside the host: made anew from disk on its demand, and built with its newer memory manager's layers."""

import comfy.model_base
import comfy.model_management
import comfy.ops
import pytest
import torch
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from paintsundo_pack.paintsundo_models.host.patchers import remember_loader
from paintsundo_pack.paintsundo_models.host.video_vae import memory_used_decode, memory_used_encode

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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("weight_dtype", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
@pytest.mark.parametrize("device_can", [True, False])
def test_vae_computes_in_what_its_device_is_good_at(
    kind, weight_dtype, dtype, device_can, seeded_checkpoints, monkeypatch
):
    """weight_dtype is used if the device computes in it. If not (GTX 16, CPUs, old Macs), ComfyUI chooses."""
    for name in ("should_use_fp16", "should_use_bf16"):
        monkeypatch.setattr(comfy.model_management, name, lambda *args, **kwargs: device_can)
    vae = LOADERS[kind](seeded_checkpoints[kind.replace("-", "_")], weight_dtype)[2]
    overflows = kind == SINGLE_FRAME and dtype == torch.float16
    if device_can and not overflows:
        assert vae.vae_dtype == dtype
    else:
        assert vae.vae_dtype == comfy.model_management.vae_dtype(vae.device, vae.working_dtypes)


def test_request_for_memory_does_not_depend_on_the_attention(seeded_checkpoints, monkeypatch):
    """ComfyUI's formula for split attention would ask for 16 GB a segment, and unload all other models for that."""
    model = loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp16")[0].model
    asked = []
    for is_fused in (True, False):
        monkeypatch.setattr(
            comfy.model_management, "pytorch_attention_flash_attention", lambda is_fused=is_fused: is_fused
        )
        asked.append(model.memory_required([2, 4, 16, 56, 48]))
    monkeypatch.setattr(comfy.model_management, "pytorch_attention_flash_attention", lambda: True)
    assert asked == [comfy.model_base.BaseModel.memory_required(model, [2, 4, 16, 56, 48])] * 2


@pytest.mark.parametrize("estimate", [memory_used_encode, memory_used_decode])
def test_video_vae_asks_for_more_on_amd_cards_as_the_host_does(estimate, monkeypatch):
    shape = (1, 4, 16, 56, 48)
    plain = estimate(shape, torch.float16)
    monkeypatch.setattr(comfy.model_management, "is_amd", lambda: True)
    assert estimate(shape, torch.float16) == pytest.approx(2.73 * plain, rel=1e-6)


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
