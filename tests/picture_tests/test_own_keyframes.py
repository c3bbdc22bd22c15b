"""Own pictures among predicted keyframes: their places, their size, and what is refused."""

import pytest
import torch
from paintsundo_pack.nodes.merge_keyframes import MergeKeyframes
from paintsundo_pack.paintsundo_models.pictures.own_keyframes import merge_keyframes
from paintsundo_pack.paintsundo_models.pictures.resizing import resize_and_center_crop


def greys(values, height=64, width=48, channels=3):
    return torch.ones(len(values), height, width, channels) * torch.tensor(values)[:, None, None, None]


def shades(batch):
    return [round(float(picture.mean()), 2) for picture in batch]


@pytest.mark.parametrize(
    ("own_steps", "steps", "expected"),
    [
        ("999, 100", [100, 400, 800, 950, 999], [0.9, 0.1, 0.2, 0.3, 0.8]),  # given backwards
        ("400, 950", [400, 800, 950], [0.8, 0.2, 0.9]),  # both replace a keyframe
        ("500 950", [400, 500, 800, 950], [0.1, 0.8, 0.2, 0.9]),
    ],
)
def test_own_pictures_take_their_places_and_win_ties(own_steps, steps, expected):
    batch, merged = merge_keyframes(greys([0.1, 0.2, 0.3]), "400, 800, 950", greys([0.8, 0.9]), own_steps)
    assert merged == steps
    assert shades(batch) == expected


def test_keyframes_in_any_order_are_sorted():
    batch, merged = merge_keyframes(greys([0.3, 0.1]), "950, 400", greys([0.8]), "800")
    assert (merged, shades(batch)) == ([400, 800, 950], [0.1, 0.8, 0.3])


def test_own_picture_is_made_to_the_keyframes_size_by_the_pack_and_laid_on_white():
    lines = torch.ones(1, 301, 203, 3)
    lines[:, 40:42], lines[:, :, 50:51] = 0.0, 0.0
    batch, _ = merge_keyframes(greys([0.1]), "400", lines, "800")
    assert torch.equal(batch[1:], resize_and_center_crop(lines, 48, 64))
    clear = torch.zeros(1, 64, 48, 4)
    assert float(merge_keyframes(greys([0.1]), "400", clear, "800")[0][1].min()) == 1.0


@pytest.mark.parametrize(
    ("steps", "own_steps", "message"),
    [
        ("400, 800", "700", "own_keyframes has 2 pictures, and its operation steps are 1"),
        ("400", "700, 800", "keyframes has 2 pictures, and its operation steps are 1"),
        ("400, 800", "700, 700", "Two pictures of own_keyframes have the operation step 700"),
        ("400, 800", "700, 1000", "'1000' is no operation step"),
        ("400, 800", " ", "No operation step is given"),
    ],
)
def test_steps_that_do_not_fit_are_refused(steps, own_steps, message):
    with pytest.raises(ValueError, match=message):
        merge_keyframes(greys([0.1, 0.2]), steps, greys([0.8, 0.9]), own_steps)


def test_node_refuses_a_step_out_of_range_at_run_and_leaves_a_linked_one():
    assert "is no operation step" in MergeKeyframes.validate_inputs(own_operation_steps="1200")
    twice = MergeKeyframes.validate_inputs(own_operation_steps="800, 400, 0800")
    assert "Two pictures of own_keyframes have the operation step 800" in twice
    assert MergeKeyframes.validate_inputs(own_operation_steps="800, 400") is True
    assert MergeKeyframes.validate_inputs(own_operation_steps=None) is True
