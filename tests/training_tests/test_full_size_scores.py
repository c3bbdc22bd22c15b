"""Figures of full-size videos on frames whose errors are known, and the page made of them."""

import pytest
import torch

from training import full_size_page
from training import full_size_scores as scores

SIZE = (320, 288)
TIMES = 4


@pytest.fixture(scope="module")
def finished():
    """Noise on the left, white on the right."""
    picture = torch.ones(*SIZE, 3)
    picture[:, :144] = torch.rand(SIZE[0], 144, 3, generator=torch.Generator().manual_seed(1)) * 0.9
    return picture


@pytest.fixture(scope="module")
def made(finished):
    """Full-size frames without any error, over small ones; the last one is still half white."""
    truth = torch.stack([finished, finished.clone(), finished.clone()])
    truth[1:, :160] = 1
    small = torch.nn.functional.avg_pool2d(truth.permute(0, 3, 1, 2), TIMES).permute(0, 2, 3, 1)
    return scores.Made((100, 500, 950), small, truth, truth, finished)


def test_frames_without_error_score_best_and_lanczos_does_not(made):
    collected = scores.Collected()
    collected.add(made)
    assert [frame.psnr[0] for frame in collected.frames] == [scores.PSNR_MOST] * 3
    assert all(plain < 30 for _, plain in (frame.psnr for frame in collected.frames))
    assert all(frame.gradient[0] == 0 < frame.gradient[1] for frame in collected.frames)
    full, _, truth = collected.mean_flicker()
    assert full == truth > 0
    assert [stage for stage, _, _ in scores.stage_gains(collected.frames)] == [
        (1, 200),
        (401, 600),
        (801, 999),
    ]


def test_ghost_is_the_error_where_the_state_is_white_and_the_picture_is_not(made, finished):
    state = made.truth[1]
    shown = state.clone()
    shown[:160, :144] -= 0.1
    shown[160:] = 0
    assert scores.ghost(shown, state, finished) == pytest.approx(0.1, abs=1e-3)
    assert scores.ghost(shown, finished, finished) is None


def test_last_step_is_told_in_steps_before_it():
    shades = torch.tensor([0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    assert scores.last_step(shades[:, None, None, None].expand(-1, 2, 2, 3)) == pytest.approx(3)


def test_page_says_what_was_missed(made, tmp_path):
    results = scores.Results(1, 1, last_steps=[1.4], shown=[made])
    for kind in (results.ideal, results.keyframes, results.segments):
        kind.add(made)
    page = full_size_page.write(results, tmp_path).read_text(encoding="utf-8")
    assert "All bars are met." in page
    assert (tmp_path / "pictures" / "full_size.png").stat().st_size > 1000
    results.last_steps.append(1.6)
    assert [figure.is_met for figure in results.figures][-1] is False
    assert "1 of" in full_size_page.page_text(results)
