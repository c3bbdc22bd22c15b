"""Sequences of frames: each frame is made when it is asked for, once where it is needed several times in a row."""

from fractions import Fraction

import pytest
import torch
from paintsundo_pack.paintsundo_models.video.assembly import AssemblySettings, assemble
from paintsundo_pack.paintsundo_models.video.frames import (
    BatchFrames,
    JoinedFrames,
    MappedFrames,
    RecordedFrames,
    TimedFrames,
    as_frames,
)

RATE = Fraction(4)


@pytest.fixture
def images():
    return torch.rand(6, 4, 5, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def counted(images):
    """The frames, and the numbers of those made so far."""
    made = []
    return MappedFrames(BatchFrames(images), lambda frame, index: made.append(index) or frame), made


def segments_of(images):
    return [images[:3], images[2:5], images[4:]]


@pytest.mark.parametrize("order", ["painting", "undo"])
@pytest.mark.parametrize("trim", ["shared ends once", "as reference", "keep all"])
def test_streamed_video_is_the_joined_tensors_bit_for_bit(images, order, trim):
    settings = AssemblySettings(RATE, order, trim, hold_first=0.5, hold_last=1.0)
    video = assemble(segments_of(images), settings)
    kept = {"shared ends once": [0, 1, 2, 3, 4, 5], "as reference": [0, 1, 2, 3, 4]}
    undo = images[kept.get(trim, [0, 1, 2, 2, 3, 4, 4, 5])]
    expected = undo.flip(0) if order == "painting" else undo
    expected = torch.cat([expected[:1].expand(2, -1, -1, -1), expected, expected[-1:].expand(4, -1, -1, -1)])
    assert torch.equal(video.played.batch(), expected)
    assert torch.equal(video.picture, images[0])


def test_nothing_is_made_before_it_is_asked_for_and_nothing_twice_in_a_row(counted):
    source, made = counted
    frames = TimedFrames(source, [5, 5, 5, 4.5, 4, 3.75, 3.25, 0])
    assert (len(frames), frames.height, frames.width) == (8, 4, 5)
    assert made == []
    assert [len(frame) for frame in frames] == [4] * 8
    assert made == [5, 4, 3, 0]


def test_positions_between_frames_blend_them(images):
    frames = TimedFrames(BatchFrames(images), [2.25])
    assert torch.allclose(frames[0], 0.75 * images[2] + 0.25 * images[3])


def test_recording_keeps_each_frame_that_was_made(counted, images):
    recorded = RecordedFrames(TimedFrames(counted[0], [0, 1, 2]))
    for _ in recorded:
        pass
    assert torch.equal(recorded.images, images[:3])
    assert counted[1] == [0, 1, 2]


def test_sequences_have_the_manners_of_lists(images):
    frames = JoinedFrames([BatchFrames(images[:2]), BatchFrames(images[2:])])
    assert len(frames) == len(list(frames)) == 6
    assert torch.equal(frames[-1], images[5])
    assert as_frames(frames) is frames
    with pytest.raises(IndexError, match="6 frames.*number 6"):
        frames[6]
    with pytest.raises(ValueError, match="1 .grey., 3 .RGB. or 4"):
        BatchFrames(torch.zeros(2, 4, 4, 2))


def test_exact_ends_take_their_places_in_the_stream(images):
    keyframes = torch.stack([torch.zeros(8, 10, 3), torch.rand(8, 10, 3), torch.ones(8, 10, 3)])
    played = assemble(segments_of(images), AssemblySettings(RATE), keyframes).played.batch()
    assert played[-1].max() == 0
    assert played[0].min() == 1
    assert torch.equal(played[1:-1], images[1:-1].flip(0))
