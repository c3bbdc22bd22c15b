import folder_paths
import pytest
import torch
from paintsundo_pack.nodes.arrange_keyframes import ArrangeKeyframes, KeyframePairs
from paintsundo_pack.paintsundo_models.pictures import resizing
from PIL import Image


@pytest.fixture(autouse=True)
def temp_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    return tmp_path


def arrange(finished, keyframes, *, include_finished=True, include_canvas=True):
    return ArrangeKeyframes.execute(
        finished=finished,
        keyframes=keyframes,
        include_finished=include_finished,
        include_canvas=include_canvas,
    )


def test_arrange_order_is_finished_keyframes_white():
    finished, keyframes = torch.rand(1, 300, 200, 3), torch.rand(6, 128, 64, 3)
    (batch,) = arrange(finished, keyframes).result
    assert batch.shape == (8, 128, 64, 3)
    torch.testing.assert_close(batch[:1], resizing.resize_and_center_crop(finished, 64, 128))
    assert torch.equal(batch[1:7], keyframes)
    assert batch[7].min() == 1


@pytest.mark.parametrize(
    ("include_finished", "include_canvas", "count"), [(True, False, 3), (False, True, 3), (False, False, 2)]
)
def test_arrange_without_an_end_leaves_exactly_it_out(include_finished, include_canvas, count):
    finished, keyframes = torch.zeros(1, 64, 64, 3), torch.full((2, 64, 64, 3), 0.5)
    output = arrange(finished, keyframes, include_finished=include_finished, include_canvas=include_canvas)
    (batch,) = output.result
    assert len(batch) == count
    assert (batch[0].max() == 0) == include_finished
    assert (batch[-1].min() == 1) == include_canvas
    assert ("text" in output.ui) == include_finished
    assert len(output.ui["images"]) == count


def test_arrange_states_and_shows_what_is_cut(temp_folder):
    output = arrange(torch.ones(1, 100, 200, 3), torch.rand(1, 64, 64, 3))
    assert "cut: 50 px left, 50 px right" in output.ui["text"][0]
    *arranged, shown = output.ui["images"]
    assert len(arranged) == 3
    with Image.open(temp_folder / shown["filename"]) as preview:
        assert preview.width == 320
        assert max(preview.getpixel((10, 10))) < 128
        assert preview.getpixel((160, 10)) == (255, 255, 255)


def test_arrange_same_shape_states_that_nothing_is_cut():
    output = arrange(torch.ones(1, 256, 128, 3), torch.rand(1, 128, 64, 3))
    assert "nothing is cut" in output.ui["text"][0]
    assert len(output.ui["images"]) == 3


def test_arrange_shows_what_it_arranged_in_order(temp_folder):
    output = arrange(torch.zeros(1, 64, 64, 3), torch.full((1, 64, 64, 3), 0.6))
    seen = [Image.open(temp_folder / shown["filename"]).getpixel((5, 5)) for shown in output.ui["images"]]
    assert seen == [(0,) * 3, (153,) * 3, (255,) * 3]


def test_arrange_transparent_finished_picture_is_laid_on_white():
    (batch,) = arrange(torch.zeros(1, 64, 64, 4), torch.rand(1, 64, 64, 3)).result
    assert batch.shape == (3, 64, 64, 3)
    assert batch[0].min() == 1


def test_arrange_several_finished_pictures_raise():
    with pytest.raises(ValueError, match="batch of 2"):
        arrange(torch.rand(2, 64, 64, 3), torch.rand(1, 64, 64, 3))


def test_pairs_are_neighbours_with_rising_seeds():
    keyframes = torch.rand(8, 4, 5, 3)
    starts, ends, seeds, *_, passed_on = KeyframePairs.execute(keyframes=keyframes, seed=123).result
    assert len(starts) == len(ends) == 7
    assert seeds == [123, 124, 125, 126, 127, 128, 129]
    assert torch.equal(torch.cat(starts), keyframes[:-1])
    assert torch.equal(torch.cat(ends), keyframes[1:])
    assert {tuple(picture.shape) for picture in starts + ends} == {(1, 4, 5, 3)}
    assert torch.equal(passed_on, keyframes)


def test_pairs_seed_wraps_at_64_bit():
    seeds = KeyframePairs.execute(keyframes=torch.rand(4, 4, 4, 3), seed=2**64 - 2).result[2]
    assert seeds == [2**64 - 2, 2**64 - 1, 0]


def test_pairs_outputs_are_lists_for_the_host():
    *per_pair, keyframes = KeyframePairs.define_schema().outputs
    assert all(output.is_output_list for output in per_pair)
    assert not keyframes.is_output_list, "one batch: what Assemble Painting Video makes one video of"


def test_pairs_of_one_keyframe_raise():
    with pytest.raises(ValueError, match="at least two keyframes; got 1"):
        KeyframePairs.execute(keyframes=torch.rand(1, 4, 4, 3), seed=0)
