import math
from pathlib import Path

import pytest
import torch
from paintsundo_pack.paintsundo_models.pictures import crop_preview, inputs, resizing, sizes
from safetensors.torch import load_file

GOLDEN = Path(__file__).parents[1] / "data/golden/resize_and_center_crop.safetensors"


@pytest.mark.parametrize(("width", "height"), [(48, 64), (64, 48), (96, 96), (512, 320)])
def test_resize_golden_picture_within_one_step_of_8_bit(width, height):
    golden = load_file(GOLDEN)
    source = golden["source_hwc_u8"][None].float() / 255
    ours = resizing.resize_and_center_crop(source, width, height) * 255
    expected = golden[f"cropped_{width}x{height}"][None].float()
    assert ours.shape == expected.shape
    # Shrinking differs by the original's rounding to 8 bit alone; enlarging also by its 11-bit fixed point.
    tolerance = 0.501 if width < 150 else 1.0
    assert (ours - expected).abs().max() <= tolerance


def test_resize_whole_ratio_is_block_mean():
    picture = torch.rand(2, 12, 20, 3)
    expected = picture.view(2, 3, 4, 5, 4, 3).mean(dim=(2, 4))
    torch.testing.assert_close(resizing.resize_and_center_crop(picture, 5, 3), expected)


def test_resize_same_size_is_identity():
    picture = torch.rand(1, 7, 9, 3)
    assert torch.equal(resizing.resize_and_center_crop(picture, 9, 7), picture)


@pytest.mark.parametrize("size", [(1, 1), (1, 301), (301, 1), (97, 53), (53, 98), (200, 400)])
@pytest.mark.parametrize("target", [(64, 64), (128, 64), (1, 1), (99, 53)])
def test_resize_white_stays_white(size, target):
    white = torch.ones(1, *size, 3)
    result = resizing.resize_and_center_crop(white, *target)
    assert result.shape == (1, target[1], target[0], 3)
    torch.testing.assert_close(result, torch.ones_like(result))


def test_resize_odd_overhang_cuts_the_larger_part_at_the_end():
    columns = torch.arange(9.0).view(1, 1, 9, 1).expand(1, 4, 9, 3)
    result = resizing.resize_and_center_crop(columns, 4, 4)
    assert result[0, 0, :, 0].tolist() == [2, 3, 4, 5]
    box = resizing.crop_box(9, 4, 4, 4)
    assert (box.left, box.right, box.top, box.bottom) == (2, 6, 0, 4)
    assert box.kept == pytest.approx(4 / 9)


def test_resize_very_wide_picture_uses_all_of_its_height():
    picture = torch.zeros(1, 100, 8000, 3)
    picture[:, :50] = 1
    result = resizing.resize_and_center_crop(picture, 64, 128)
    torch.testing.assert_close(result[:, :64], torch.ones(1, 64, 64, 3))
    assert result[:, 64:].max() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_resize_keeps_dtype_and_leaves_input_alone(dtype):
    picture = torch.rand(1, 40, 30, 3).to(dtype)
    before = picture.clone()
    assert resizing.resize_and_center_crop(picture, 16, 16).dtype == dtype
    assert torch.equal(picture, before)


@pytest.mark.parametrize("shape", [(4, 4, 3), (1, 0, 4, 3), (0, 4, 4, 3)])
def test_resize_wrong_shape_raises(shape):
    with pytest.raises(ValueError, match="batch, height, width, channels"):
        resizing.resize_and_center_crop(torch.zeros(shape), 8, 8)


def test_resize_size_zero_raises():
    with pytest.raises(ValueError, match="0x8"):
        resizing.resize_and_center_crop(torch.zeros(1, 4, 4, 3), 0, 8)


def test_crop_box_describe_names_the_cut_sides_only():
    text = resizing.crop_box(1000, 500, 512, 512).describe()
    assert "50.0%" in text
    assert "250 px left" in text
    assert "250 px right" in text
    assert "top" not in text


def test_crop_box_describe_no_cut_says_nothing_is_cut():
    assert "nothing is cut" in resizing.crop_box(1024, 1280, 512, 640).describe()


def test_cut_preview_darkens_the_lost_margins_and_adds_a_caption():
    white = torch.ones(1, 50, 100, 3)
    preview = crop_preview.cut_preview(white, resizing.crop_box(100, 50, 64, 64))
    assert preview.shape[2:] == (320, 3)
    picture, caption = preview[:, :160], preview[:, 160:]
    assert picture[:, :, 80:240].min() == 1
    assert picture[:, :, :80].max() < 0.5
    assert picture[:, :, 240:].max() < 0.5
    assert caption.min() < 0.2
    assert caption.max() > 0.8


@pytest.mark.parametrize("size", [(3, 8000), (8000, 3), (1, 1)])
def test_cut_preview_any_shape_stays_small_and_readable(size):
    preview = crop_preview.cut_preview(torch.rand(1, *size, 3), resizing.crop_box(size[1], size[0], 64, 64))
    assert 100 < preview.shape[2] <= 640
    assert preview.shape[1] <= 400


def test_composite_alpha_is_laid_on_white():
    picture = torch.tensor([[[[0.2, 0.4, 0.6, 0.0], [0.2, 0.4, 0.6, 1.0], [0.0, 0.0, 1.0, 0.5]]]])
    expected = torch.tensor([[[[1.0, 1.0, 1.0], [0.2, 0.4, 0.6], [0.5, 0.5, 1.0]]]])
    torch.testing.assert_close(inputs.composite_on_white(picture), expected)


def test_composite_grey_is_spread_and_rgb_passes():
    grey, rgb = torch.rand(2, 3, 4, 1), torch.rand(2, 3, 4, 3)
    assert torch.equal(inputs.composite_on_white(grey), grey.repeat(1, 1, 1, 3))
    assert torch.equal(inputs.composite_on_white(rgb), rgb)


@pytest.mark.parametrize("channels", [2, 5])
def test_composite_other_channel_counts_raise(channels):
    with pytest.raises(ValueError, match=f"has {channels} channels"):
        inputs.composite_on_white(torch.zeros(1, 2, 2, channels))


def test_white_canvas_is_one_white_picture():
    canvas = inputs.white_canvas(3, 5)
    assert canvas.shape == (1, 3, 5, 3)
    assert canvas.min() == 1


@pytest.mark.parametrize(
    ("width", "height", "picture", "expected"),
    [
        (512, 640, (3000, 1000), (512, 640)),
        (0, 0, (512, 640), (512, 640)),
        (0, 0, (640, 512), (640, 512)),
        (0, 0, (4000, 4000), (576, 576)),
        (0, 0, (1500, 1000), (768, 512)),
        (0, 0, (1920, 1080), (768, 448)),
        (0, 0, (1500, 2000), (576, 768)),
        (0, 0, (4032, 3024), (768, 576)),
        (512, 0, (1000, 2000), (512, 1024)),
        (0, 512, (1000, 2000), (256, 512)),
        (0, 64, (10, 2000), (64, 64)),
        (0, 512, (9000, 10), (2048, 512)),
        (256, 0, (10, 9000), (256, 1024)),
    ],
)
def test_keyframe_size_table(width, height, picture, expected):
    assert sizes.keyframe_size(width, height, *picture) == expected


def test_keyframe_size_any_shape_is_sane():
    for exponent in range(-40, 41):
        aspect = math.exp(exponent / 10)
        width, height = sizes.keyframe_size(0, 0, round(1000 * aspect), 1000)
        assert width % 64 == height % 64 == 0
        assert 0.73 <= width * height / (512 * 640) <= 1.36
        assert width / height == pytest.approx(min(max(aspect, 0.25), 4), rel=0.06)


@pytest.mark.parametrize(
    ("width", "height", "name", "nearest"),
    [(500, 640, "width", 512), (0, 7, "height", 64), (4096, 0, "width", 2048), (0, 2112, "height", 2048)],
)
def test_keyframe_size_no_multiple_raises_with_the_nearest(width, height, name, nearest):
    with pytest.raises(ValueError, match=f"{name} must be a multiple of 64.*nearest is {nearest}"):
        sizes.keyframe_size(width, height, 100, 100)


def test_keyframe_size_of_a_photo_keeps_most_of_it_in_the_segments():
    keyframe = sizes.keyframe_size(0, 0, 1500, 2000)
    height, width = sizes.segment_size(*reversed(keyframe))
    kept = resizing.crop_box(1500, 2000, *keyframe).kept * resizing.crop_box(*keyframe, width, height).kept
    assert kept >= 0.875


@pytest.mark.parametrize(
    ("width", "height", "picture", "said"),
    [
        (1024, 0, (1000, 2400), "With the width 1024, the height of the keyframes would be 2432"),
        (0, 2048, (2000, 1000), "With the height 2048, the width of the keyframes would be 4096"),
    ],
)
def test_keyframe_size_fitting_side_over_the_largest_raises(width, height, picture, said):
    with pytest.raises(ValueError, match=f"{said}.*the most is 2048"):
        sizes.keyframe_size(width, height, *picture)


def test_keyframe_size_negative_raises():
    with pytest.raises(ValueError, match="nearest is 64"):
        sizes.keyframe_size(-64, 640, 100, 100)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (640, 512, (448, 384)),
        (512, 640, (384, 448)),
        (512, 512, (448, 384)),  # a tie between 384x448 and 448x384 goes to the later
        (320, 512, (320, 512)),
        (2000, 100, (512, 320)),
        (100, 2000, (320, 512)),
    ],
)
def test_segment_size_table(height, width, expected):
    assert sizes.segment_size(height, width) == expected
