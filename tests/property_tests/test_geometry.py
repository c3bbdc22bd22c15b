"""Sizes, crops and resizing: for pictures of any shape."""

import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from paintsundo_pack.paintsundo_models.constants import GRID, KEYFRAME_MAX_SIDE, SEGMENT_SIZES
from paintsundo_pack.paintsundo_models.pictures import resizing, sizes
from paintsundo_pack.paintsundo_models.video.several import divide_segments

SIDE = st.integers(1, 20_000)
SMALL = st.integers(1, 40)
ON_GRID = st.sampled_from(range(0, KEYFRAME_MAX_SIDE + 1, GRID))


@given(ON_GRID, ON_GRID, SIDE, SIDE)
def test_keyframes_have_sides_on_the_grid_as_chosen_or_the_choice_is_refused(
    width, height, image_width, image_height
):
    try:
        found = sizes.keyframe_size(width, height, image_width, image_height)
    except ValueError as error:
        assert f"the most is {KEYFRAME_MAX_SIDE}" in str(error)
        assert bool(width) != bool(height)
        return
    for side, chosen in zip(found, (width, height), strict=True):
        assert GRID <= side <= KEYFRAME_MAX_SIDE
        assert side % GRID == 0
        assert chosen in (0, side)


@given(st.integers(-5000, 5000), st.integers(-5000, 5000))
def test_sides_off_the_grid_are_refused_with_the_nearest_that_is_on_it(width, height):
    try:
        sizes.check_keyframe_sides(width, height)
    except ValueError as error:
        nearest = int(str(error).rstrip(".").rsplit(" ", 1)[1])
        sizes.check_keyframe_sides(nearest, nearest)
        return
    assert all(0 <= side <= KEYFRAME_MAX_SIDE and side % GRID == 0 for side in (width, height))


@given(SIDE, SIDE, st.integers(1, 50))
def test_size_of_a_segment_is_a_trained_one_and_depends_on_the_shape_alone(height, width, factor):
    found = sizes.segment_size(height, width)
    assert found in SEGMENT_SIZES
    assert sizes.segment_size(height * factor, width * factor) == found
    assert sizes.nearest_shape(height, width, SEGMENT_SIZES) in SEGMENT_SIZES


@given(SIDE, SIDE, st.integers(1, 4096), st.integers(1, 4096))
@example(1, 20_000, 4096, 1)
def test_crop_keeps_a_region_inside_the_picture_in_the_shape_of_the_result(
    image_width, image_height, width, height
):
    box = resizing.crop_box(image_width, image_height, width, height)
    assert -1e-6 <= box.left < box.right <= image_width + 1e-6
    assert -1e-6 <= box.top < box.bottom <= image_height + 1e-6
    assert 0 < box.kept <= 1 + 1e-6
    assert all(pixels > 0 for pixels in box.cuts.values())
    assert box.describe().endswith(".")


@settings(max_examples=60)
@given(SMALL, SMALL, SMALL, SMALL, st.integers(0, 9))
def test_resized_picture_has_the_size_and_no_values_beyond_those_of_the_picture(
    height, width, new_height, new_width, seed
):
    picture = torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(seed))
    result = resizing.resize_and_center_crop(picture, new_width, new_height)
    assert result.shape == (1, new_height, new_width, 3)
    assert result.min() >= picture.min() - 1e-5
    assert result.max() <= picture.max() + 1e-5
    assert torch.equal(resizing.resize_and_center_crop(picture, width, height), picture)


@given(SIDE, SIDE, st.integers(2, 1024), st.integers(2, 1024))
def test_placed_picture_lies_inside_the_frame_and_touches_two_of_its_sides(
    image_width, image_height, width, height
):
    width, height = width // 2 * 2, height // 2 * 2
    area = resizing.placed_area(image_width, image_height, width, height)
    assert area.left >= 0
    assert area.top >= 0
    assert area.left + area.width <= width
    assert area.top + area.height <= height
    assert area.width == width or area.height == height
    assert area.width % 2 == area.height % 2 == 0


@given(
    st.integers(1, 60),
    st.lists(st.integers(1, 12), max_size=5),
    st.integers(0, 5),
    st.booleans(),
)
def test_every_segment_belongs_to_one_video_or_the_numbers_are_refused(
    segments, keyframes, pictures, is_repeated
):
    try:
        places = divide_segments(segments, keyframes, pictures, is_repeated)
    except ValueError as error:
        assert str(error).startswith(("frames has", "finished has"))
        return
    assume(places)
    assert [place for own in places for place in own] == list(range(segments))
    if len(keyframes) > 1:
        assert len(places) == len(keyframes)
