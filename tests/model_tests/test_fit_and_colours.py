"""Segments that keep the whole picture, and segments whose colours are those of their two keyframes."""

import pytest
import torch
from paintsundo_pack.paintsundo_models import loading, segments
from paintsundo_pack.paintsundo_models.host.objects import Prompts
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings
from paintsundo_pack.paintsundo_models.pictures.resizing import place_on_white, placed_area
from paintsundo_pack.paintsundo_models.video.colours import match_colours

SETTINGS = SamplerSettings(5, 1, 1.0, "euler", "simple")


@pytest.mark.parametrize(
    ("picture", "frame", "area"),
    [
        ((512, 640), (384, 448), (0, 13, 448, 358)),  # placed by its height
        ((640, 512), (448, 384), (13, 0, 358, 448)),  # placed by its width
        ((384, 448), (384, 448), (0, 0, 448, 384)),  # fits
        ((30, 4000), (128, 192), (0, 63, 192, 2)),  # never nothing
        ((40, 60), (128, 192), (0, 0, 192, 128)),  # enlarged
    ],
)
def test_area_is_whole_centred_and_even(picture, frame, area):
    placed = placed_area(*picture, *frame)
    assert (placed.top, placed.left, placed.height, placed.width) == area


def test_white_around_the_picture_is_cut_off_again():
    picture = torch.rand(1, 60, 40, 3, generator=torch.Generator().manual_seed(1))
    area = placed_area(40, 60, 80, 60)
    frame = place_on_white(picture, area, 80, 60)
    assert frame.shape == (1, 60, 80, 3)
    assert torch.equal(area.cut_from(frame), picture)
    assert (frame[:, :, : area.left] == 1).all()
    assert (frame[:, :, area.left + area.width :] == 1).all()


@torch.inference_mode()
def test_whole_segments_have_the_pictures_shape(seeded_checkpoints):
    objects = loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")
    pair = tuple(torch.rand(2, 100, 64, 3, generator=torch.Generator().manual_seed(2)).split(1))

    def run(**options):
        return segments.interpolate(
            objects, pair, Prompts("", ""), SETTINGS, resolution="size of the pictures", **options
        ).frames

    assert run().shape == (16, 128, 64, 3), "the grid of 64 cuts"
    assert run(fit="whole").shape == (16, 100, 64, 3)
    with pytest.raises(ValueError, match="no fit 'stretch'; there are crop, whole"):
        run(fit="stretch")


@torch.inference_mode()
def test_colours_of_both_ends_become_those_of_the_pictures(seeded_checkpoints):
    objects = loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")
    pair = tuple(torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(3)).split(1))
    for has_matched_colours in (False, True):
        frames = segments.interpolate(
            objects,
            pair,
            Prompts("", ""),
            SETTINGS,
            resolution="size of the pictures",
            has_matched_colours=has_matched_colours,
        ).frames
        for frame, picture in ((frames[0], pair[0][0]), (frames[-1], pair[1][0])):
            is_near = (frame.mean(dim=(0, 1)) - picture.mean(dim=(0, 1))).abs().max() < 1e-3
            assert is_near == has_matched_colours


def test_a_known_drift_is_undone_and_white_stays_white():
    generator = torch.Generator().manual_seed(4)
    true = torch.rand(16, 24, 24, 3, generator=generator) * 0.6 + 0.2
    true[:, :6] = 0.9
    share = torch.linspace(0, 1, 16)[:, None, None, None]
    gain, offset = 0.9 + 0.05 * share, 0.06 - 0.03 * share
    matched = match_colours((true - offset) / gain, true[:1], true[-1:])
    assert (matched - true).abs().mean() < 2e-3
    white = torch.ones(16, 8, 8, 3)
    assert torch.equal(match_colours(white, white[:1], white[:1]), white)
