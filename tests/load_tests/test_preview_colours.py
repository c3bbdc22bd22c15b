"""Colours of live previews: a checkpoint's own, where its config or a file beside it has them, else the host's."""

import json

import comfy.latent_formats
import pytest
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.checkpoints import detection
from paintsundo_pack.paintsundo_models.checkpoints.files import read_checkpoint, save_single_file
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME

from training import fit_preview_colours

BUILDERS = {SINGLE_FRAME: loading.single_frame_model, MULTI_FRAME: loading.multi_frame_model}
OWN = {
    "latent_rgb_factors": [[0.1, 0, -1], [1, 2, 3], [0.5, 0.5, 0.5], [0, 0, 0]],
    "latent_rgb_factors_bias": [0.1, 0.2, 0.3],
}


def colours_of(model):
    latent_format = model.model.latent_format
    return latent_format.latent_rgb_factors, latent_format.latent_rgb_factors_bias


@pytest.mark.parametrize("kind", BUILDERS)
def test_file_beside_the_weights_gives_one_model_its_own_colours(kind, checkpoints, tmp_path):
    file = tmp_path / "mine.safetensors"
    save_single_file(checkpoints[kind], file)
    plain = BUILDERS[kind](read_checkpoint(file, kind), None)
    (tmp_path / "mine.configs.json").write_text(json.dumps({"vae": OWN, "text_encoder": "no object"}))
    read = read_checkpoint(file, kind)
    own = BUILDERS[kind](read, None)
    assert colours_of(own) == tuple(OWN.values())
    host = comfy.latent_formats.SD15()
    assert colours_of(plain) == (host.latent_rgb_factors, host.latent_rgb_factors_bias)
    assert {part: set(config) - set(OWN) for part, config in read.configs.items()} == {
        part: set(config) for part, config in checkpoints[kind].configs.items()
    }, "what the file itself says stays"
    save_single_file(read, tmp_path / "copy.safetensors")
    assert read_checkpoint(tmp_path / "copy.safetensors", kind).configs["vae"].items() >= OWN.items()


@pytest.mark.parametrize(
    "config",
    [
        {},
        {**OWN, "latent_rgb_factors": OWN["latent_rgb_factors"][:3]},
        {**OWN, "latent_rgb_factors": "red"},
        {**OWN, "latent_rgb_factors_bias": [1, 2]},
        {**OWN, "latent_rgb_factors_bias": None},
        {**OWN, "latent_rgb_factors": [["a", "b", "c"]] * 4},
    ],
)
def test_invalid_colours_are_none(config):
    assert detection.preview_colours(config) is None


def test_demo_has_colours_that_fit_its_latents():
    folder = fit_preview_colours.ROOT / "paintsundo_models" / "demo"
    single = loading.load_single_frame(folder / "single-frame.safetensors")
    found = colours_of(single.model)
    other = read_checkpoint(folder / "multi-frame.safetensors", MULTI_FRAME).configs["vae"]
    assert detection.preview_colours(other) == found
    held_out = fit_preview_colours.samples(single.vae, range(100, 103))
    assert fit_preview_colours.error(*held_out, *found) < 20, "of 255"
    factors, bias = fit_preview_colours.fit(*held_out)
    assert fit_preview_colours.error(*held_out, factors, bias) < 20
