"""What a video says to the people who watch it: nothing, a card at the end, or a note in the corner."""

from fractions import Fraction

import pytest
import torch
from paintsundo_pack.paintsundo_models.video.assembly import AssemblySettings, assemble
from paintsundo_pack.paintsundo_models.video.frames import BatchFrames
from paintsundo_pack.paintsundo_models.video.notice import CARD_TEXT, NOTICES, end_card, with_notice

SIZES = [(448, 384), (192, 128), (1080, 1920), (32, 32), (2, 300)]


def test_off_leaves_the_frames_alone():
    frames = BatchFrames(torch.rand(3, 8, 8, 3))
    assert with_notice(frames, NOTICES[0], Fraction(4)) is frames


@pytest.mark.parametrize(
    ("rate", "count"), [(Fraction(4), 8), (Fraction(24000, 1001), 48), (Fraction(1, 100), 1)]
)
def test_end_card_follows_the_frames_for_two_seconds(rate, count):
    images = torch.rand(3, 96, 128, 3)
    frames = with_notice(BatchFrames(images), "end card", rate)
    assert len(frames) == 3 + count
    assert torch.equal(frames.batch()[:3], images)
    card = frames[3]
    assert torch.equal(frames[-1], card)
    assert card.amin() < 0.4, "there are letters"


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_end_card_has_room_around_its_letters(height, width):
    (card,) = end_card(height, width)
    assert card.shape == (height, width, 3)
    if min(height, width) >= 128:
        ink = (card.amin(-1) < 0.5).nonzero()
        assert (ink.amin(0) > 5).all()
        assert (ink.amax(0) < torch.tensor([height, width]) - 6).all()
    assert (
        " ".join(CARD_TEXT.split()) == "AI-simulated painting process made with PaintsUndo, not a recording"
    )


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("ground", [0.0, 0.5, 1.0])
def test_corner_note_is_read_on_any_ground_and_touches_only_its_corner(height, width, ground):
    image = torch.full((1, height, width, 3), ground)
    (noted,) = with_notice(BatchFrames(image), "corner note", Fraction(4))
    assert (image == ground).all(), "the source is not written into"
    if min(height, width) >= 128:
        assert torch.equal(noted[: height // 2, width // 2 :], image[0, : height // 2, width // 2 :])
        rows = (noted != image[0]).any(-1).any(-1).nonzero()
        assert rows.amin() > height * 0.8
        corner = noted[rows.amin() :]
        assert corner.amax() - corner.amin() > 0.45, "dark letters on a light plate"


def test_notice_is_laid_on_the_video_as_played_and_not_on_the_picture():
    segments = [torch.rand(4, 96, 128, 3)]
    for notice, more in (("off", 0), ("end card", 8), ("corner note", 0)):
        video = assemble(segments, AssemblySettings(rate=Fraction(4), hold_last=1.0, notice=notice))
        assert len(video.played) == 4 + 4 + more
        assert torch.equal(video.picture, segments[0][0])
    with pytest.raises(ValueError, match='Unknown end_card "sign"; accepted are: off, end card, corner note'):
        assemble(segments, AssemblySettings(rate=Fraction(4), notice="sign"))
