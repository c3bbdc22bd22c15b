"""The paper that a video is laid on: its shape, its margin, and the frames in the middle of it."""

import pytest
import torch
from paintsundo_pack.paintsundo_models.video.frames import BatchFrames
from paintsundo_pack.paintsundo_models.video.paper import COLOUR, SHAPES, on_paper, paper_size


@pytest.mark.parametrize("paper", SHAPES)
@pytest.mark.parametrize("size", [(128, 192), (1920, 1080), (333, 333), (3, 900)])
def test_paper_has_its_shape_a_margin_and_even_sides(paper, size):
    width, height = paper_size(*size, paper)
    across, down = SHAPES[paper]
    assert width % 2 == height % 2 == 0
    assert abs(width / height - across / down) < 4 / min(width, height)
    margin = 0.04 * max(size)
    assert width - size[0] >= 2 * margin
    assert height - size[1] >= 2 * margin


def test_frames_lie_whole_in_the_middle_of_the_paper():
    images = torch.rand(2, 30, 40, 3, generator=torch.Generator().manual_seed(1))
    laid = on_paper(BatchFrames(images), "9:16")
    frame = laid[1]
    assert frame.shape == (laid.height, laid.width, 3)
    left, top = (laid.width - 40) // 2, (laid.height - 30) // 2
    assert torch.equal(frame[top : top + 30, left : left + 40], images[1])
    around = torch.ones(laid.height, laid.width, dtype=torch.bool)
    around[top : top + 30, left : left + 40] = False
    assert torch.equal(frame[around], torch.tensor(COLOUR).expand(int(around.sum()), 3))


def test_without_paper_the_frames_stay_and_unknown_paper_is_refused():
    frames = BatchFrames(torch.ones(1, 4, 4, 3))
    assert on_paper(frames, "off") is frames
    with pytest.raises(ValueError, match='Unknown paper "2:1"; accepted are: off, 9:16'):
        on_paper(frames, "2:1")
