"""A checkpoint that names the sizes it was trained on gets pictures of these sizes; the released ones name none."""

import json

import pytest
import torch
from paintsundo_pack.paintsundo_models import keyframes, loading
from paintsundo_pack.paintsundo_models.checkpoints.detection import trained_sizes
from paintsundo_pack.paintsundo_models.constants import TRAINED_SIZES_KEY
from paintsundo_pack.paintsundo_models.pictures import sizes

from tools.seeded_checkpoint import write_seeded_checkpoints

SIZES = [[128, 64], [64, 128], [64, 64]]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folders = write_seeded_checkpoints(tmp_path_factory.mktemp("sized"))
    for folder in folders:
        config = folder / "vae" / "config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), TRAINED_SIZES_KEY: SIZES}))
    return folders


@pytest.mark.parametrize(
    ("picture", "expected"), [((90, 50), (128, 64)), ((50, 90), (64, 128)), ((9, 10), (64, 64))]
)
@torch.inference_mode()
def test_pictures_take_the_nearest_trained_size(checkpoints, picture, expected):
    vae = loading.load_single_frame(checkpoints[0])[2]
    latent = keyframes.encode_picture(vae, torch.rand(1, *picture, 3))
    assert tuple(8 * side for side in latent.shape[-2:]) == expected
    assert keyframes.encode_picture(vae, torch.rand(1, *picture, 3), 192, 64).shape[-2:] == (8, 24)


@torch.inference_mode()
def test_segments_take_the_nearest_trained_size(checkpoints):
    vae = loading.load_multi_frame(checkpoints[1])[2]
    image = torch.rand(1, 90, 50, 3)
    assert sizes.frame_size("nearest trained size", image, vae.trained_sizes) == (128, 64)
    assert sizes.frame_size("nearest trained size", image) == (512, 320)
    assert vae.with_references(image, image).trained_sizes == vae.trained_sizes


@pytest.mark.parametrize(
    "entry", [None, 7, "x", [[128]], [[128, "64"]], [[128, 60]], [[0, 64]], [[128, 64, 64]], {"a": 1}]
)
def test_nonsense_is_passed_over(entry):
    assert trained_sizes({TRAINED_SIZES_KEY: entry}) == ()
    assert trained_sizes({}) == ()
