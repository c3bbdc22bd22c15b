"""The evaluation's figures, on pictures whose figures are known."""

import numpy as np
import pytest

from training import evaluation as ev

SIZE = 16


def flat(*levels):
    """One plain grey picture for each level."""
    return np.stack([np.full((SIZE, SIZE, 3), level, np.uint8) for level in levels])


def keyframe_scores(**changes):
    """Scores that meet every bar, with some of them changed."""
    perfect = {
        "index": 0,
        "finished_psnr": 30.0,
        "canvas_brightness": 1.0,
        "errors": (0.0,) * 6,
        "input_errors": (0.1,) * 6,
        "canvas_errors": (0.1,) * 6,
        "ink": (0.6, 0.5, 0.4, 0.3, 0.2, 0.1),
        "true_ink": (0.6, 0.5, 0.4, 0.3, 0.2, 0.1),
    }
    return ev.KeyframeScores(**{**perfect, **changes})


def segment_scores(**changes):
    """Scores that meet every bar, with some of them changed."""
    perfect = {
        "index": 0,
        "pair": (0, 400),
        "first_psnr": 25.0,
        "last_psnr": 25.0,
        "error": 0.01,
        "fade_error": 0.02,
        "sharp_error": 0.01,
        "sharp_fade_error": 0.02,
    }
    return ev.SegmentScores(**{**perfect, **changes})


def test_psnr_of_a_known_error_and_its_cap():
    one, other = flat(100, 151)  # a fifth of the range
    assert ev.psnr(one, other) == pytest.approx(-20 * np.log10(0.2))
    assert ev.psnr(one, one) == ev.PSNR_MOST
    near = one.copy()
    near[0, 0, 0] += 1
    assert ev.psnr(one, near) == ev.PSNR_MOST


def test_brightness_is_the_mean_of_all_channels():
    picture = flat(0)[0]
    picture[:, :, 0] = 255
    assert ev.brightness(picture) == pytest.approx(1 / 3)


def test_ink_is_a_pixel_with_one_dark_channel():
    picture = flat(255)[0]
    picture[0, 0, 2] = 200  # pale yellow
    picture[0, 1] = 250  # nearly white
    assert ev.ink(picture) == 1 / SIZE**2
    assert ev.ink(flat(255)[0]) == 0
    assert ev.ink(flat(0)[0]) == 1


def test_blur_keeps_plain_pictures_and_the_mean_and_spreads_a_dot():
    assert np.allclose(ev.blurred(ev.unit(flat(255)[0])), 1)
    dot = ev.unit(flat(0)[0])
    dot[8, 8] = 1
    soft = ev.blurred(dot)
    assert soft.sum() == pytest.approx(3)
    assert soft[8, 8, 0] == pytest.approx(1 / (2 * np.pi * ev.BLUR_SIGMA_PX**2), rel=0.02)
    assert np.allclose(soft, soft.transpose(1, 0, 2)), "the same in both directions"


def test_blur_of_a_picture_that_is_no_square():
    assert ev.blurred(np.zeros((12, 20, 3))).shape == (12, 20, 3)


def test_cross_fade_is_even_and_holds_both_ends():
    fade = ev.cross_fade(*flat(0, 255), 6)
    assert fade[:, 0, 0, 0] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


def test_keyframes_like_the_true_states_are_nearest_at_each_middle_step():
    truth = flat(0, 50, 100, 150, 200, 255)
    score = ev.score_keyframes(7, truth, truth)
    assert score.index == 7
    assert score.finished_psnr == ev.PSNR_MOST
    assert score.canvas_brightness == 1
    assert score.errors == (0,) * 6
    assert score.input_errors == pytest.approx([level / 255 for level in (0, 50, 100, 150, 200, 255)])
    assert score.canvas_errors == pytest.approx([level / 255 for level in (255, 205, 155, 105, 55, 0)])
    assert score.ink == score.true_ink == (1, 1, 1, 1, 1, 0)
    assert all(score.is_nearer(step) for step in ev.MIDDLE_STEPS)


@pytest.mark.parametrize("level", [0, 255], ids=["the input again", "the canvas"])
def test_a_copy_of_the_input_or_of_the_canvas_is_not_nearer(level):
    truth = flat(0, 50, 100, 150, 200, 255)
    score = ev.score_keyframes(0, flat(*[level] * 6), truth)
    assert not any(score.is_nearer(step) for step in ev.MIDDLE_STEPS)


def test_nearer_means_than_both():
    score = keyframe_scores(
        errors=(0, 0.2, 0.2, 0.2, 0.05, 0),
        input_errors=(0, 0.1, 0.3, 0.3, 0.1, 0),
        canvas_errors=(1, 0.3, 0.1, 0.3, 0.1, 0),
    )
    assert [score.is_nearer(step) for step in ev.MIDDLE_STEPS] == [False, False, True, True]
    assert score.middle_error == pytest.approx(0.1625)


def test_not_rising_allows_equal_neighbours():
    assert ev.not_rising([0.5, 0.5, 0.4, 0.41, 0]) == [True, True, False, True]
    assert ev.not_rising([0.5]) == []


def test_segment_scores_of_true_states_and_of_a_cross_fade():
    truth = flat(0, *[0] * 7, *[255] * 7, 255)  # a sudden change, which no cross-fade follows
    score = ev.score_segment(3, (0, 400), truth, truth)
    assert (score.index, score.pair) == (3, (0, 400))
    assert (score.first_psnr, score.last_psnr) == (ev.PSNR_MOST, ev.PSNR_MOST)
    assert score.error == score.sharp_error == 0
    assert score.fade_error == pytest.approx(score.sharp_fade_error), "plain pictures stay what they are"
    assert score.sharp_fade_error == pytest.approx(np.mean([min(k, 15 - k) / 15 for k in range(1, 15)]))
    fade = (ev.cross_fade(truth[0], truth[-1], 16) * 255).round().astype(np.uint8)
    assert ev.score_segment(3, (0, 400), fade, truth).excess == pytest.approx(0, abs=1e-3)


def test_segments_are_scored_both_blurred_and_not():
    truth = flat(*[100] * 16)
    predicted = truth.copy()
    predicted[:, ::2, ::2] += 51  # a quarter of the pixels is off by a fifth, which a blur spreads out
    predicted[:, 1::2, 1::2] -= 51
    score = ev.score_segment(0, (0, 400), predicted, truth)
    assert score.sharp_error == pytest.approx(0.1)
    assert 0 < score.error < 0.02


def test_the_ends_of_a_segment_do_not_count_as_middle_frames():
    truth = flat(*[100] * 16)
    predicted = truth.copy()
    predicted[0], predicted[-1] = 0, 255
    score = ev.score_segment(0, (0, 400), predicted, truth)
    assert score.error == 0
    assert score.first_psnr == pytest.approx(-20 * np.log10(100 / 255))


def test_all_bars_are_met_by_good_scores():
    figures = ev.keyframe_figures([keyframe_scores()]) + ev.segment_figures([segment_scores()])
    assert len(figures) == 8
    assert all(figure.is_met for figure in figures)
    assert "no" not in [row.split("|")[4].strip(" *") for row in ev.figure_table(figures).splitlines()]


@pytest.mark.parametrize(
    ("place", "bad"),
    [
        (0, {"finished_psnr": 21.9}),
        (1, {"canvas_brightness": 0.969}),
        (2, {"errors": (0, 0.2, 0.2, 0, 0, 0)}),
        (3, {"ink": (0.6, 0.5, 0.4, 0.45, 0.2, 0.1)}),
    ],
)
def test_table_says_no_where_a_bar_of_the_keyframes_is_missed(place, bad):
    assert answers(ev.keyframe_figures([keyframe_scores(**bad)])) == [
        "**no**" if row == place else "yes" for row in range(4)
    ]


@pytest.mark.parametrize(
    ("place", "bad"),
    [
        (0, {"first_psnr": 19.9}),
        (1, {"last_psnr": 19.9}),
        (2, {"error": 0.02}),
        (3, {"sharp_error": 0.02}),
    ],
)
def test_table_says_no_where_a_bar_of_the_segments_is_missed(place, bad):
    assert answers(ev.segment_figures([segment_scores(**bad)])) == [
        "**no**" if row == place else "yes" for row in range(4)
    ]


def answers(figures):
    return [row.split("|")[4].strip() for row in ev.figure_table(figures).splitlines()[2:]]


def test_bars_hold_for_means_and_shares_and_exactly_on_them():
    good, bad = keyframe_scores(), keyframe_scores(errors=(0, 0.2, 0, 0, 0, 0), finished_psnr=14.0)
    assert answers(ev.keyframe_figures([good, bad])) == ["yes"] * 4  # 22 dB, and 7 of 8
    assert answers(ev.keyframe_figures([bad])) == ["**no**", "yes", "yes", "yes"]  # 3 of 4


def test_no_figure_is_met_by_errors_that_are_no_numbers():
    assert not ev.segment_figures([segment_scores(error=float("nan"))])[2].is_met
    assert np.isnan(ev.mean([]))


def test_tables_by_step_and_by_pair():
    steps = ev.step_table([keyframe_scores(), keyframe_scores(errors=(0, 0.2, 0, 0, 0, 0))]).splitlines()
    assert len(steps) == 2 + len(ev.KEYFRAME_STEPS)
    assert steps[2].startswith("| 0 |  | 0.0000 |")
    assert steps[3].startswith("| 200 | 50.0% (1 of 2) | 0.1000 | 0.1000 |")
    pairs = ev.pair_table(
        [segment_scores(pair=(400, 600)), segment_scores(), segment_scores(error=0.05)]
    ).splitlines()
    assert [row.split(" | ")[:2] for row in pairs[2:]] == [["| 0 to 400", "2"], ["| 400 to 600", "1"]]
    assert pairs[2].endswith("| 0.0300 | 0.0200 | 50.0% (1 of 2) | 0.0100 | 0.0200 |")


def test_cases_for_the_sheet_are_best_typical_and_worst():
    assert ev.chosen_cases([0.3, 0.1, 0.5, 0.2, 0.4]) == [("best", 1), ("typical", 0), ("worst", 2)]
    assert ev.chosen_cases([0.3, 0.1]) == [("best", 1), ("worst", 0)]
    assert [place for _, place in ev.chosen_cases([0.3])] == [0]


def test_deviation_of_other_settings():
    measured, other, truth = flat(100, 100), flat(151, 151), flat(100, 202)
    deviation = ev.score_deviation(measured, other, truth, seconds=4.0, other_seconds=1.0)
    assert deviation.psnr == pytest.approx(-20 * np.log10(0.2))
    assert deviation.error == pytest.approx(0.2)
    assert deviation.other_error == pytest.approx(0.2)
    same = ev.score_deviation(measured, measured, measured, seconds=2.0, other_seconds=2.0)
    assert (same.psnr, same.error, same.other_error) == (ev.PSNR_MOST, 0, 0)
    line = ev.deviation_table({("segments", "fast"): [deviation, same]}).splitlines()[2]
    assert line == "| 2 segments | fast | 26.99 dB (lowest 13.98) | 0.1000 | 0.1000 | 0.50 |"
