"""Several pictures as one, for previews: where each lies, and what is left over."""

import numpy as np
import pytest
import torch
from paintsundo_pack.paintsundo_models.layout import frames_as_sheet
from paintsundo_pack.paintsundo_models.pictures.tiles import tiled


@pytest.mark.parametrize(
    ("frames", "size", "columns", "rows"),
    [(16, (6, 6), 4, 4), (16, (9, 6), 4, 4), (16, (6, 12), 3, 6), (6, (10, 8), 3, 2), (1, (5, 7), 1, 1)],
)
def test_sheet_is_nearly_square_and_in_order(frames, size, columns, rows):
    height, width = size
    video = torch.arange(1.0, frames + 1).view(1, 1, -1, 1, 1).expand(2, 4, -1, height, width)
    sheet = frames_as_sheet(video)
    assert sheet.shape == (2, 4, rows * height, columns * width)
    corners = sheet[1, 3, ::height, ::width].flatten()
    assert corners.tolist() == [*range(1, frames + 1), *[0] * (rows * columns - frames)]


def test_pictures_lie_on_white_and_are_scaled_down():
    image = tiled(torch.zeros(3, 40, 40, 3), 20)
    assert image.size == (20, 20)
    corners = np.asarray(image)[5::10, 5::10, 0]
    assert corners.tolist() == [[0, 0], [0, 255]]
