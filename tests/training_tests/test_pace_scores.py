"""How evenly known changes are spread, and the page made of the figures."""

import numpy as np
import pytest
import torch
from paintsundo_pack.paintsundo_models.video.frames import BatchFrames

from training import pace_page
from training import pace_scores as scores


def filled(shares):
    """Frames of which a growing part is grey."""
    frames = torch.ones(len(shares), 32, 64, 3)
    for frame, share in zip(frames, shares, strict=True):
        frame[:, : round(64 * share)] = 0.5
    return frames


def test_spread_is_zero_for_equal_changes_only():
    assert scores.spread([2, 2, 2]) == 0
    assert scores.spread([0, 4]) == 1


def test_segments_of_equal_change_have_no_spread():
    states = (filled(np.linspace(0, 1, 11)).numpy() * 255).round().astype(np.uint8)
    so_far = scores.change_so_far(states)
    last = 10 * scores.GRID
    assert scores.segment_spread(so_far, [last // 2], last) == pytest.approx(0, abs=0.1)
    assert scores.segment_spread(so_far, [1], last) > 0.8


def test_video_that_changes_evenly_and_one_that_waits():
    even = scores.score_video(BatchFrames(filled(np.linspace(0, 1, 41))), 4)
    assert even.first_quarter == pytest.approx(0.25, abs=0.03)
    assert scores.spread(even.seconds) < 0.2
    assert even.still == 0.25
    waiting = [0, 0, 0, 0.1, *[0.1] * 20, *np.linspace(0.2, 1, 17)]
    late = scores.score_video(BatchFrames(filled(waiting)), 4)
    assert late.first_quarter < 0.15
    assert late.still == 21 / 4, "from the first stroke until the next one; the blank start does not count"
    assert scores.spread(late.seconds) > 0.5


def test_page_holds_the_last_plan_and_the_last_video_to_the_bars(tmp_path):
    even = scores.VideoScores((1.0, 1.0), 0.25, 0.1)
    late = scores.VideoScores((0.1, 1.9), 0.05, 4.0)
    results = scores.Results(
        1, {"original": [1.0], "planned": [0.4]}, {"made": [late], "paced": [even]}, [[400, 800]]
    )
    assert all(figure.is_met for figure in results.figures)
    text = pace_page.write(results, tmp_path).read_text(encoding="utf-8")
    assert "All bars are met." in text
    assert "400, 800" in text
    results.videos["other"] = [late]
    assert [figure.is_met for figure in results.figures] == [True, False, False]
