"""Parts of the training that a run of the whole command does not show."""

import json
from pathlib import Path

import pytest
import torch

from training import networks
from training.loop import learning_rate_factor
from training.optimizer import make_optimizer
from training.precision import autocast, is_bfloat16_fast
from training.settings import StageSettings, load_settings
from training.stages.multi_frame import draw_timesteps
from training.stages.video_vae import fix_reference_projections

DEMO = Path(__file__).resolve().parents[2] / "training" / "demo.json"


def test_learning_rate_rises_and_falls_and_begins_anew_at_a_restart():
    settings = StageSettings(steps=300, batch=1, learning_rate=1e-3, warmup=10, restarts=(100,))
    rates = [learning_rate_factor(step, settings) for step in range(300)]
    assert rates[0] == rates[100] == 0.1
    assert rates[9] == rates[109] == 1
    assert rates[99] == pytest.approx(0.01, abs=1e-3)
    assert rates[299] == pytest.approx(0.01, abs=1e-3)
    assert sorted(rates[10:100], reverse=True) == rates[10:100]
    assert sorted(rates[110:], reverse=True) == rates[110:]


def test_without_restarts_the_learning_rate_falls_to_the_end():
    settings = StageSettings(steps=100, batch=1, learning_rate=1e-3, warmup=10)
    rates = [learning_rate_factor(step, settings) for step in range(100)]
    assert sorted(rates[10:], reverse=True) == rates[10:]
    assert learning_rate_factor(55, settings) == pytest.approx(0.505, abs=1e-6)


@pytest.fixture(params=[True, False], ids=["AMX", "no AMX"])
def has_amx(request, monkeypatch):
    """Whether torch reports matrix units in the processor; both cases are tried."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": request.param}, raising=False)
    return request.param


def test_bfloat16_is_used_where_the_processor_is_made_for_it(has_amx):
    layer = torch.nn.Conv2d(3, 3, 1)
    with autocast(torch.device("cpu")):
        made = layer(torch.zeros(1, 3, 2, 2))
    assert made.dtype == (torch.bfloat16 if has_amx else torch.float32)


def test_an_older_torch_that_does_not_tell_trains_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not is_bfloat16_fast(torch.device("cpu"))


def test_muon_orthogonalises_in_the_precision_that_the_processor_is_made_for(has_amx):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(64, 64))
    weight.grad = torch.randn(64, 64)
    make_optimizer(
        [weight], StageSettings(steps=1, batch=1, learning_rate=1.0, weight_decay=0.0, optimizer="muon")
    ).step()
    update = weight.detach() / (0.2 * 64**0.5)  # the size that use_adjusted_lr gives it
    is_exact_in_bfloat16 = torch.equal(update.bfloat16().float() * (0.2 * 64**0.5), weight.detach())
    assert is_exact_in_bfloat16 == has_amx


def test_muon_takes_the_matrices_and_leaves_the_rest_to_adamw(has_amx):
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(4, 32, 3), torch.nn.GroupNorm(4, 32), torch.nn.Conv2d(32, 2, 1)
    )
    rate = 1e-2
    optimizer = make_optimizer(
        list(layers.parameters()), StageSettings(steps=1, batch=1, learning_rate=rate, optimizer="muon")
    )
    matrices, others = optimizer.param_groups
    assert [tuple(p.shape) for p in matrices["params"]] == [(32, 4, 3, 3)]
    assert len(others["params"]) == 5
    before = [p.detach().clone() for p in layers.parameters()]
    layers(torch.randn(2, 4, 8, 8)).square().mean().backward()
    optimizer.step()
    changes = [after.detach() - old for after, old in zip(layers.parameters(), before, strict=True)]
    directions = torch.linalg.svdvals(changes[0].flatten(1))
    assert directions.max() < 4 * directions.min(), "all directions are changed nearly alike"
    assert 0.1 * rate < changes[0].square().mean().sqrt() < 0.3 * rate
    assert all(0.5 * rate < change.abs().max() < 2 * rate for change in changes[1:])


def test_an_unknown_optimizer_is_an_error(tmp_path):
    data = json.loads(DEMO.read_text(encoding="utf-8"))
    data["stages"]["multi_frame"]["optimizer"] = "sgd"
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ValueError, match="optimizer of multi_frame is 'sgd'; it has to be adamw or muon"):
        load_settings(file)


def test_late_timesteps_are_drawn_more_often():
    drawn = draw_timesteps(20_000, torch.Generator().manual_seed(0))
    assert 0 <= drawn.min() < 20
    assert drawn.max() == 999
    assert (drawn >= 900).float().mean() == pytest.approx(0.1**0.5, abs=0.01)
    assert (drawn >= 500).float().mean() == pytest.approx(0.5**0.5, abs=0.01)


def test_keys_and_values_of_the_pictures_have_unit_size_and_stay():
    torch.manual_seed(0)
    network = networks.video_vae(load_settings(DEMO).networks)
    pixels = torch.rand(8, 3, 64, 64) * 2 - 1
    fix_reference_projections(network, pixels)
    with torch.no_grad():
        features = network.encoder.features(pixels)
    attention = [layer for layer in network.decoder.attn_refinement if hasattr(layer, "to_k")]
    assert len(attention) == 2
    for layer, feature in zip(attention, features[2:4], strict=True):
        keys = layer.to_k(feature.flatten(2).transpose(1, 2))
        assert 0.5 < keys.square().mean().sqrt() < 2
        trained = {name for name, parameter in layer.named_parameters() if parameter.requires_grad}
        assert trained == {"norm.weight", "norm.bias", "to_q.weight", "to_out.0.weight", "to_out.0.bias"}


def test_demo_settings_name_every_stage():
    assert set(json.loads(DEMO.read_text(encoding="utf-8"))["stages"]) == {
        *("image_vae", "image_decoder", "video_vae", "single_frame", "multi_frame")
    }
