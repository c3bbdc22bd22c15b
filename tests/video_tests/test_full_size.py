"""Frames at the picture's size, on true processes of the procedural painter: the same scene at two sizes."""

import math

import pytest
import torch
from paintsundo_pack.paintsundo_models.pictures.enlarging import LANCZOS, LINEAR, Enlarger
from paintsundo_pack.paintsundo_models.pictures.resizing import resize_and_center_crop
from paintsundo_pack.paintsundo_models.video import full_size
from paintsundo_pack.paintsundo_models.video.frames import BatchFrames
from paintsundo_pack.paintsundo_models.video.full_size import (
    FullSizeFrames,
    is_first_finished,
    picture_of_video,
)
from paintsundo_pack.paintsundo_models.video.picture_detail import PictureDetail, blurred

from training.scenes import Painting

WIDTH, HEIGHT, TIMES = 128, 192, 4
STEPS = (0, 100, 300, 500, 700, 950, 999)
LEAST_DB = {100: 40, 300: 40, 500: 35, 700: 28}


def psnr(made, truth):
    return float(-10 * torch.log10(((made - truth) ** 2).mean()))


@pytest.fixture(scope="module")
def truth():
    """True states of a scene at the picture's size, in undo order."""
    states = Painting(3, TIMES * WIDTH, TIMES * HEIGHT).states(STEPS)
    return torch.from_numpy(states).float() / 255


@pytest.fixture(scope="module")
def small(truth):
    return resize_and_center_crop(truth, WIDTH, HEIGHT)


@pytest.fixture(scope="module")
def large(truth, small):
    return FullSizeFrames(BatchFrames(small), truth[0])


def lanczos(frame):
    enlarged = Enlarger(frame.shape[:2], (TIMES * HEIGHT, TIMES * WIDTH))(frame.permute(2, 0, 1))
    return enlarged.permute(1, 2, 0).clamp(0, 1)


def test_detail_of_the_picture_is_in_each_frame_where_it_is_true(truth, small):
    detail = PictureDetail(truth[0], (HEIGHT, WIDTH), small[1:])
    for step, frame, state in zip(STEPS, small, truth, strict=True):
        made, plain = psnr(detail.carried_into(frame), state), psnr(lanczos(frame), state)
        assert made > plain - 0.3, step
        assert made > LEAST_DB.get(step, 0), step


def test_what_is_still_white_stays_white(truth, small):
    detail = PictureDetail(truth[0], (HEIGHT, WIDTH))
    painted = 1 - truth.amin(3)[:, None]
    still_white = torch.nn.functional.max_pool2d(painted, 97, 1, 48)[:, 0] == 0
    for frame, mask in zip(small[3:], still_white[3:], strict=True):
        assert mask.any()
        assert detail.carried_into(frame)[mask].min() > 1 - 1e-5
    blank = detail.carried_into(torch.ones(HEIGHT, WIDTH, 3))
    assert blank.min() > 1 - 1e-5


def test_picture_softened_as_the_model_draws_is_told_by_the_frames(truth, small):
    def soft(frames):
        return blurred(frames.permute(0, 3, 1, 2), 0.6).permute(0, 2, 3, 1)

    told = PictureDetail(truth[0], (HEIGHT, WIDTH), soft(small)[1:])
    untold = PictureDetail(truth[0], (HEIGHT, WIDTH))
    frame = soft(small)[2]
    assert psnr(told.carried_into(frame), truth[2]) > psnr(untold.carried_into(frame), truth[2]) + 1


def test_last_frame_is_the_picture_to_the_bit_and_no_step_into_it_is_larger(truth, small):
    """The model's drawing of the finished picture is off by a tone, which must not jump."""
    shades = torch.linspace(0, 1, 16)[:, None, None, None]
    drawn = (small[0] * (1 - shades) + small[1] * shades) * 0.95
    frames = FullSizeFrames(BatchFrames(drawn), truth[0])
    assert torch.equal(frames[0], truth[0])
    steps = [float((frames[i] - frames[i + 1]).abs().mean()) for i in range(6)]
    assert steps[0] <= 1.5 * sum(steps[1:]) / 5
    untouched = FullSizeFrames(BatchFrames(drawn), truth[0], is_end_exact=False)
    assert all(torch.equal(frames[i], untouched[i]) for i in range(8, 16))
    stills = FullSizeFrames(BatchFrames(drawn[:5]), truth[0])
    assert torch.equal(stills[0], truth[0])
    assert psnr(stills[1], truth[0] * 0.95) > 30, "a still is no part of an ending"
    as_drawn = FullSizeFrames(BatchFrames(drawn), truth[0], is_end_exact=False)
    assert psnr(as_drawn[0], truth[0] * 0.95) > 40


def test_tiles_make_no_seams():
    """Larger than one tile in both directions: enlarging a plane's slope gives a slope."""
    slope = torch.linspace(0, 1, 100)[None, :, None] * torch.linspace(0, 1, 90)[None, None]
    for kernel in (LANCZOS, LINEAR):
        whole = Enlarger((100, 90), (700, 630), kernel)(slope)[0]
        inside = whole[30:-30, 30:-30]
        assert inside.diff(dim=0).diff(dim=0).abs().max() < 3e-4
        assert inside.diff(dim=1).diff(dim=1).abs().max() < 3e-4
        assert math.isclose(float(whole.mean()), float(slope.mean()), abs_tol=1e-5)
    assert Enlarger((4, 4), (4, 4))(slope[:, :4, :4]).sub(slope[:, :4, :4]).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("picture", "frame", "longest_side", "expected"),
    [
        ((800, 600), (64, 48), 2048, (800, 600)),
        ((800, 600), (64, 48), 400, (400, 300)),
        ((600, 800), (48, 64), 2048, (600, 800)),
        ((500, 500), (64, 48), 2048, (500, 375)),
        ((501, 333), (64, 48), 2048, (445, 333)),
        ((30, 20), (64, 48), 2048, (64, 48)),
        ((800, 600), (64, 48), 10, (64, 48)),
        ((800, 600), (64, 48), 0, (64, 48)),
    ],
)
def test_video_is_as_large_as_the_part_of_the_picture_that_it_shows(picture, frame, longest_side, expected):
    finished = torch.rand(1, *picture, 3, generator=torch.Generator().manual_seed(1))
    first = resize_and_center_crop(finished, width=frame[1], height=frame[0])
    shown = picture_of_video(finished, BatchFrames(first), longest_side, [])
    assert shown.shape == (*expected, 3)
    if max(expected) in picture:
        top, left = (round((a - b) / 2) for a, b in zip(picture, expected, strict=True))
        assert torch.equal(shown, finished[0, top : top + expected[0], left : left + expected[1]])


def test_part_is_found_where_the_keyframes_were_cropped_before(truth):
    picture = truth[:1, :600]
    keyframe = resize_and_center_crop(picture, 128, 192)
    frame = resize_and_center_crop(keyframe, 160, 160)
    shown = picture_of_video(picture, BatchFrames(frame), 2048, [(128, 192)])
    # 600 rows hold 400 columns of the keyframe's shape, of which the segment shows a square.
    assert shown.shape == (400, 400, 3)
    assert torch.equal(shown, picture[0, 100:500, 56:456])


def test_finished_frame_is_told_from_an_earlier_stage_and_from_the_other_order(truth, small):
    assert is_first_finished(BatchFrames(small * 0.98), truth[0], "undo")
    assert not is_first_finished(BatchFrames(small[3:]), truth[0], "undo")
    with pytest.raises(ValueError, match='order is "painting".*Choose "undo"'):
        is_first_finished(BatchFrames(small.flip(0)), truth[0], "painting")


def test_sharp_lines_of_another_enlargement_show_where_the_picture_has_none(truth, small):
    detail = PictureDetail(truth[0], (HEIGHT, WIDTH))
    for index, gain in ((1, -1.0), (5, 3.0)):
        plain, helped = detail.carried_into(small[index]), detail.carried_into(small[index], truth[index])
        assert psnr(helped, truth[index]) > psnr(plain, truth[index]) + gain


def test_transparent_picture_is_laid_on_white_and_several_are_refused(small):
    finished = torch.zeros(1, 2 * HEIGHT, 2 * WIDTH, 4)
    shown = picture_of_video(finished, BatchFrames(torch.ones(1, HEIGHT, WIDTH, 3)), 2048, [])
    assert shown.min() == 1
    with pytest.raises(ValueError, match="finished is a batch of 2"):
        picture_of_video(finished.expand(2, -1, -1, -1), BatchFrames(small), 2048, [])
    assert full_size.SIZES[0] == "as the finished picture"
