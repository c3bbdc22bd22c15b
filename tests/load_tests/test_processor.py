"""bfloat16 on a processor: used where it was chosen and the processor has matrix units for it, and nowhere else."""

import logging

import pytest
import torch
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.host import processor
from paintsundo_pack.paintsundo_models.processor import has_fast_bfloat16

AMX = {"avx512_f": True, "avx512_bf16": True, "amx_tile": True, "amx_bf16": True, "amx_int8": True}
AVX_512 = {"avx512_f": True, "avx512_bf16": True, "amx_tile": False, "amx_bf16": False}
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("found", "is_fast"),
    [
        (AMX, True),
        (AVX_512, False),
        ({"avx512_f": True, "avx512_bf16": True}, False),
        ({"amx_tile": True, "amx_int8": True, "amx_bf16": False}, False),
        ({"architecture": "aarch64", "bf16": True}, False),
        ({}, False),
    ],
)
def test_only_matrix_units_for_bfloat16_make_it_fast(found, is_fast):
    assert has_fast_bfloat16(found) is is_fast


def test_capabilities_are_none_where_torch_cannot_tell(monkeypatch):
    assert processor.capabilities()
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert processor.capabilities() == {}


@pytest.mark.parametrize("dtype", [None, torch.float32, torch.float16, torch.float8_e4m3fn])
def test_other_types_are_left_to_the_host(monkeypatch, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: AMX)
    assert not processor.computes_in(dtype, CPU, "VAE")
    assert not processor.computes_in(torch.bfloat16, torch.device("cuda"), "VAE")


@pytest.mark.parametrize("kind", ["single_frame", "multi_frame"])
@pytest.mark.parametrize("has_amx", [True, False])
def test_bf16_computes_in_bfloat16_only_with_matrix_units(
    seeded_checkpoints, monkeypatch, caplog, kind, has_amx
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: AMX if has_amx else AVX_512)
    with caplog.at_level(logging.INFO):
        objects = getattr(loading, f"load_{kind}")(seeded_checkpoints[kind], "bf16")
    model, vae = objects.model.model, objects.vae
    said = [r.getMessage() for r in caplog.records if "slow in bf16" in r.getMessage()]
    assert model.get_dtype() == torch.bfloat16
    assert model.manual_cast_dtype == (None if has_amx else torch.float32)
    assert vae.vae_dtype == (torch.bfloat16 if has_amx else torch.float32)
    assert len(said) == (0 if has_amx else 2), "of the network and of the VAE"


@torch.inference_mode()
def test_both_vaes_and_networks_run_in_bfloat16(seeded_checkpoints, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: AMX)
    picture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    for kind in ("single_frame", "multi_frame"):
        exact, rounded = (
            getattr(loading, f"load_{kind}")(seeded_checkpoints[kind], name).vae for name in ("fp32", "bf16")
        )
        latents = [vae.encode(picture) for vae in (exact, rounded)]
        pictures = [vae.decode(latents[0]) for vae in (exact, rounded)]
        for one, other in (latents, pictures):
            assert other.isfinite().all()
            assert 0 < (one - other).abs().mean() < 0.1 * one.abs().mean()
