"""Texts that people write into widgets: what is read of them, whatever they write."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paintsundo_pack.paintsundo_models import operation_steps, per_segment
from paintsundo_pack.paintsundo_models.constants import DEFAULT_SEGMENT_STEPS, OPERATION_STEP_MAX, SEED_MAX
from paintsundo_pack.paintsundo_models.video import pace, timeline

STEPS = st.lists(st.integers(0, OPERATION_STEP_MAX), min_size=1, max_size=20)
BETWEEN = st.sampled_from([",", ", ", " ", ";", "，", "、", "\n", "\t, "])
WORDS = st.text(st.sampled_from("0123456789,;，、- \n.x²٣−"), max_size=20) | st.text(max_size=12)


@given(STEPS, BETWEEN)
def test_written_steps_are_read_back_in_their_order_and_parsed_ones_rise_without_repetition(steps, between):
    text = between.join(map(str, steps))
    assert operation_steps.read_operation_steps(text) == steps
    assert operation_steps.parse_operation_steps(text) == sorted(set(steps))


@given(WORDS)
def test_any_text_is_operation_steps_in_range_or_refused_in_one_sentence(text):
    try:
        steps = operation_steps.read_operation_steps(text)
    except ValueError as error:
        assert "operation step" in str(error)
        assert "invalid literal" not in str(error)
        return
    assert steps
    assert all(0 <= step <= OPERATION_STEP_MAX for step in steps)


@given(WORDS, WORDS, WORDS)
def test_any_lists_for_segments_are_counted_or_refused_by_their_name(seeds, prompts, steps):
    try:
        per_segment.check_counts(seeds, prompts, steps)
    except ValueError as error:
        assert "seeds" in str(error) or "steps" in str(error) or "prompts has" in str(error)
        assert "invalid literal" not in str(error)
        return
    counts = {
        len(entries) for entries in (per_segment.read_seeds(seeds), per_segment.read_steps(steps)) if entries
    }
    assert len(counts) <= 1


@given(st.lists(st.none() | st.integers(0, SEED_MAX), min_size=1, max_size=9), st.integers(0, SEED_MAX))
def test_seeds_are_as_written_and_a_dash_leaves_the_counted_one(entries, first):
    text = ", ".join("-" if entry is None else str(entry) for entry in entries)
    seeds = per_segment.seeds_of_segments(text, first, len(entries))
    counted = per_segment.seeds_of_segments("", first, len(entries))
    assert seeds == [c if entry is None else entry for entry, c in zip(entries, counted, strict=True)]
    assert all(0 <= seed <= SEED_MAX for seed in (*seeds, *counted))
    assert len(set(counted)) == len(counted)


@given(st.lists(st.none() | st.integers(1, 1000), min_size=1, max_size=9), st.integers(1, 9))
def test_steps_are_one_for_each_segment_or_refused(entries, count):
    text = " ".join("-" if entry is None else str(entry) for entry in entries)
    if len(entries) != count:
        with pytest.raises(ValueError, match=f"steps has {len(entries)} entries"):
            per_segment.steps_of_segments(text, count)
        return
    expected = [DEFAULT_SEGMENT_STEPS if entry is None else entry for entry in entries]
    assert per_segment.steps_of_segments(text, count) == expected


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(NUMBERS)
def test_any_number_is_a_frame_rate_in_thousandths_or_refused(fps):
    try:
        rate = timeline.frame_rate(fps)
    except ValueError as error:
        assert "frame rate must be" in str(error)
        return
    assert 0 < rate <= 1000
    assert (rate * 1000).denominator == 1
    assert abs(rate - Fraction(fps)) <= Fraction(1, 1000)


@given(
    st.sampled_from(pace.PACES),
    st.sampled_from(pace.LOOPS),
    st.fractions(Fraction(1, 10), 60, max_denominator=1000),
    *[st.floats(0, 60) | NUMBERS] * 2,
    st.floats(0, 30) | NUMBERS,
    st.lists(st.floats(0, 1), min_size=1, max_size=40),
)
def test_timetable_has_the_chosen_length_and_stays_among_the_frames_or_is_refused(
    chosen, loop, rate, hold_first, hold_last, duration, changes
):
    timing = pace.Timing(rate, chosen, duration, loop, hold_first, hold_last)
    try:
        pace.check_timing(timing)
    except ValueError as error:
        assert any(name in str(error) for name in ("duration", "hold_first", "hold_last"))
        return
    shown = pace.timetable(len(changes) + 1, timing, changes)
    assert all(0 <= position <= len(changes) for position in shown)
    assert len(changes) in shown, "the last frame is shown"
    assert shown[0] == 0
    if duration:
        whole = timeline.hold_frames(duration, rate)
        # On the way back the two ends are not repeated, so with an odd count one frame is more or less.
        assert abs(len(shown) - whole) <= (loop == pace.LOOP_BACK)
    elif loop == pace.LOOP_ONCE:
        holds = timeline.hold_frames(hold_first, rate) + timeline.hold_frames(hold_last, rate)
        assert len(shown) == len(changes) + 1 + holds
    if loop == pace.LOOP_ONCE:
        assert shown == sorted(shown)


@given(st.floats(0, 3600), st.fractions(Fraction(1, 100), 1000, max_denominator=1000))
def test_hold_is_the_nearest_number_of_whole_frames(seconds, fps):
    assert abs(timeline.hold_frames(seconds, fps) - Fraction(seconds) * fps) <= Fraction(1, 2) + Fraction(
        1, 10**6
    )
    with pytest.raises(ValueError, match="0 seconds or more"):
        timeline.hold_frames(-math.ulp(0.0) - seconds, fps)
