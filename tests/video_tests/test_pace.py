"""When frames are shown: durations, the evenness of the change, blank frames, the way back."""

from fractions import Fraction

import pytest
import torch
from paintsundo_pack.paintsundo_models.video import pace
from paintsundo_pack.paintsundo_models.video.assembly import AssemblySettings, assemble
from paintsundo_pack.paintsundo_models.video.pace import Timing, timetable

RATE = Fraction(10)
CHANGES = [0, 0, 0, 0.01, 0.02, 0, 0.3, 0.1, 0.01, 0.02]
"""Eleven frames: four blank ones, thin lines, a break, colours, last touches."""


def shown_change(positions, changes):
    """How much changes from each position to the next, by linear mixtures of neighbours."""
    total = [0.0]
    for change in changes:
        total.append(total[-1] + change)

    def so_far(position):
        first = min(int(position), len(changes) - 1)
        return total[first] + (position - first) * changes[first]

    return [so_far(b) - so_far(a) for a, b in zip(positions, positions[1:], strict=False)]


def test_defaults_show_each_frame_once():
    assert timetable(11, Timing(RATE)) == list(range(11))


def test_holds_and_ways_back_are_added_behind_the_frames():
    timing = Timing(RATE, loop="ping-pong", hold_first=0.1, hold_last=0.2)
    assert timetable(4, timing) == [0, 0, 1, 2, 3, 3, 3, 2, 1]
    rewound = timetable(100, Timing(RATE, loop="rewind"))[100:]
    assert len(rewound) == 10
    assert 0 < rewound[-1] < 20, "the first frame comes next"
    assert rewound == sorted(rewound, reverse=True)


@pytest.mark.parametrize("chosen", pace.PACES)
@pytest.mark.parametrize("loop", pace.LOOPS)
@pytest.mark.parametrize("seconds", [3.2, 15, 60])
def test_duration_is_that_of_the_whole_video(chosen, loop, seconds):
    timing = Timing(RATE, chosen, seconds, loop, hold_first=0.3, hold_last=0.7)
    positions = timetable(11, timing, CHANGES)
    assert len(positions) == seconds * RATE
    assert positions[0] == positions[3] == 0, "the first frame is held"
    assert positions.count(10) >= 8, "and so is the last one"
    assert all(0 <= position <= 10 for position in positions)


@pytest.mark.parametrize("frames", [1, 2, 11])
def test_any_number_of_frames_and_no_change_at_all_make_a_video(frames):
    for chosen in pace.PACES:
        positions = timetable(frames, Timing(RATE, chosen, 2), [0.0] * (frames - 1))
        assert len(positions) == 20
        assert positions == sorted(positions)
        assert (positions[0], positions[-1]) == (0, frames - 1)


def test_equal_change_evens_the_seconds_out_and_still_gives_thin_lines_time():
    def seconds_of(chosen):
        change = shown_change(timetable(11, Timing(RATE, chosen, 10), CHANGES), CHANGES)
        return [sum(change[start : start + 10]) for start in range(0, 100, 10)]

    made, equal = seconds_of("as made"), seconds_of("equal change")
    assert max(made) / sum(made) > 0.6, "otherwise most of it happens in one second"
    assert max(equal) / sum(equal) < 0.2
    assert min(equal) > 0
    first_lines = sum(position < 5 for position in timetable(11, Timing(RATE, "equal change", 10), CHANGES))
    assert first_lines > 100 * sum(CHANGES[:5]) / sum(CHANGES), "more time than their change alone"


def test_equal_change_passes_over_blank_frames_and_breaks_at_once():
    positions = timetable(11, Timing(RATE, "equal change", 10), CHANGES)
    assert positions[0] == 0
    assert 3 <= positions[1] < 4
    assert not [position for position in positions if 5 < position < 6]


def test_ease_is_slower_at_both_ends_and_never_stands():
    equal, ease = (timetable(11, Timing(RATE, name, 10), CHANGES) for name in ("equal change", "ease"))
    assert ease[20] < equal[20]
    assert ease[80] > equal[80]
    moving = shown_change(ease[1:], CHANGES)
    assert min(moving) > 0


def test_changes_are_seen_on_small_copies_and_noise_is_not():
    generator = torch.Generator().manual_seed(1)
    blank = torch.ones(300, 200, 3)
    noisy = (blank - 0.01 * torch.rand(blank.shape, generator=generator)).clamp(0, 1)
    line = blank.clone()
    line[100:103, 20:180] = 0
    colours = line.clone()
    colours[110:250] = 0.5
    noise, drawn, filled = pace.changes_between([blank, noisy, line, colours])
    assert noise == 0
    assert 0 < drawn < filled / 10


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pace": "fast"}, 'Unknown pace "fast"'),
        ({"loop": "twice"}, 'Unknown loop "twice"'),
        ({"duration": -1}, "duration must be 0"),
        ({"duration": float("nan")}, "duration must be 0"),
        ({"duration": 601}, "to 600 seconds"),
        ({"duration": 5, "hold_last": 4.9}, "Raise duration, or lower the holds"),
        ({"duration": 1, "loop": "rewind"}, "rewind"),
        ({"duration": 0.1}, "Raise duration"),
    ],
)
def test_what_no_video_can_have_is_refused_in_words(given, said):
    with pytest.raises(ValueError, match=said):
        pace.check_timing(Timing(RATE, **given))


@pytest.mark.parametrize("order", ["painting", "undo"])
def test_assembled_video_is_paced_in_its_order_of_play(order):
    """Undo order: the picture, colours, a line, then blank frames; whichever way it runs, the blank ones take no time."""
    frames = torch.ones(16, 8, 8, 3)
    frames[:3], frames[3:6] = 0.2, 0.6
    settings = AssemblySettings(RATE, order, duration=2, pace="equal change")
    video = assemble([frames], settings)
    assert (len(video.played), len(video.painted)) == (20, 16)
    greys = [float(frame.mean()) for frame in video.played]
    if order == "undo":
        greys.reverse()
    assert greys[0] == 1
    assert greys[-1] == pytest.approx(0.2)
    steps = [before - after for before, after in zip(greys, greys[1:], strict=False)]
    assert min(steps) >= 0
    assert max(steps) < 0.1, "mixtures of neighbours: nothing jumps"
