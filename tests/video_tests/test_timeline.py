"""Order, trimming, exact ends and holds of the frames; each frame of a test has another grey, by which it is known."""

from fractions import Fraction

import pytest
import torch
from paintsundo_pack.paintsundo_models.video import timeline
from paintsundo_pack.paintsundo_models.video.frames import TimedFrames, as_frames

SEGMENTS, FRAMES = 7, 16


def grey(value, size=8):
    return torch.full((1, size, size, 3), value / 255)


def segment(start, count=FRAMES):
    """Frames whose greys count up from `start`."""
    return torch.cat([grey(start + i) for i in range(count)])


@pytest.fixture
def segments():
    """Seven segments in undo order; each begins with the frame that the one before ends with."""
    return [segment(i * (FRAMES - 1)) for i in range(SEGMENTS)]


def greys(frames):
    return [round(float(frame[0, 0, 0]) * 255) for frame in frames]


def played(frames, order="painting", **holds):
    """The frames in the order of play, held as asked."""
    positions = timeline.played_positions(len(frames), order)
    return TimedFrames(as_frames(frames), timeline.held(positions, **holds))


def test_shared_ends_once_keeps_the_canvas_and_shows_each_keyframe_once(segments):
    joined = timeline.join_segments(segments)
    assert greys(joined) == list(range(106))
    assert greys(played(joined)) == list(range(105, -1, -1))


def test_as_reference_gives_its_105_frames(segments):
    assert greys(timeline.join_segments(segments, "as reference")) == list(range(105))


def test_keep_all_drops_nothing(segments):
    assert len(timeline.join_segments(segments, "keep all")) == 112


def test_segments_joined_into_one_batch_are_told_apart(segments):
    assert greys(timeline.join_segments([torch.cat(segments)])) == list(range(106))


def test_entries_of_a_list_are_segments_as_they_are():
    """Frame interpolation makes each segment twice as long; each stays one segment."""
    doubled = [segment(0, 32), segment(31, 32)]
    assert greys(timeline.join_segments(doubled)) == list(range(63))
    assert greys(timeline.join_segments(doubled, "as reference")) == list(range(62))


@pytest.mark.parametrize("count", [1, 5, 16, 17])
def test_single_segment_stays_whole(count):
    assert greys(timeline.join_segments([segment(3, count)])) == list(range(3, 3 + count))


def test_exact_ends_replace_the_redrawn_ones_cropped_to_size(segments):
    finished = torch.rand(1, 20, 40, 3, generator=torch.Generator().manual_seed(1))
    joined = timeline.join_segments(segments, ends=(finished, torch.ones(1, 20, 40, 3)))
    assert joined.batch().shape == (106, 8, 8, 3)
    assert joined[-1].min() == 1
    assert joined[0].std() > 0.01
    assert greys(joined)[1:-1] == list(range(1, 105))
    assert greys(timeline.join_segments(segments, "as reference", (finished, finished)))[0] == 0


def test_holds_repeat_the_ends_as_played(segments):
    shown = greys(played(timeline.join_segments(segments), first=2, last=3))
    assert shown[:4] == [105, 105, 105, 104]
    assert shown[-4:] == [0, 0, 0, 0]
    assert greys(played(segments[0], "undo", last=1))[-3:] == [14, 15, 15]


@pytest.mark.parametrize(("seconds", "frames"), [(0, 0), (2, 8), (0.1, 0), (0.13, 1)])
def test_holds_are_rounded_to_frames(seconds, frames):
    assert timeline.hold_frames(seconds, Fraction(4)) == frames


def test_transparent_frames_become_white():
    assert greys(timeline.join_segments([torch.zeros(2, 4, 4, 4)])) == [255, 255]


def test_bad_input_is_refused(segments):
    with pytest.raises(ValueError, match="no frames"):
        timeline.join_segments([])
    with pytest.raises(ValueError, match="no frames"):
        timeline.join_segments([segments[0][:0]])
    with pytest.raises(ValueError, match="8x8.*9x9"):
        timeline.join_segments([segments[0], torch.zeros(3, 9, 9, 3)])
    with pytest.raises(ValueError, match="Unknown trim"):
        timeline.join_segments(segments, "half")
    with pytest.raises(ValueError, match="Unknown order"):
        timeline.played_positions(16, "sideways")
    for fps in (0, 0.001, 1001, float("nan")):
        with pytest.raises(ValueError, match="frame rate"):
            timeline.frame_rate(fps)
    for seconds in (-1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="hold"):
            timeline.hold_frames(seconds, Fraction(4))
