"""The nodes that make lists, or join what was made one by one."""

import pytest
import torch
from paintsundo_pack.nodes.arrange_keyframes import KeyframePairs
from paintsundo_pack.nodes.join_segments import JoinSegments
from paintsundo_pack.nodes.variants import Variants

SEED_MAX = 2**64 - 1
FOUR = torch.arange(4.0)[:, None, None, None].expand(4, 8, 8, 3) / 4


def test_every_picture_meets_every_seed():
    batch, other = torch.zeros(2, 8, 8, 3), torch.ones(1, 16, 8, 3)
    batch[1] = 0.5
    seeds, pictures = Variants.execute(seed=[7], count=[3], image=[batch, other]).args
    assert seeds == [7, 8, 9] * 3
    assert [float(picture.mean()) for picture in pictures] == [0.0] * 3 + [0.5] * 3 + [1.0] * 3
    assert all(len(picture) == 1 for picture in pictures)


def test_variants_without_a_picture_lists_seeds_and_blocks_the_other_output():
    seeds, (blocked,) = Variants.execute(seed=[SEED_MAX], count=[2]).args
    assert seeds == [SEED_MAX, 0]
    assert "image of Variants" in blocked.message


def test_pairs_without_lists_count_their_seeds_up():
    start, end, seeds, prompts, steps, keyframes = KeyframePairs.execute(FOUR, SEED_MAX).args
    assert [float(picture.mean()) for picture in start] == [0.0, 0.25, 0.5]
    assert [float(picture.mean()) for picture in end] == [0.25, 0.5, 0.75]
    assert seeds == [SEED_MAX, 0, 1]
    assert prompts == ["1girl, masterpiece, best quality"] * 3
    assert steps == [50] * 3
    assert torch.equal(keyframes, FOUR)


def test_lists_change_only_the_segments_that_they_name():
    results = KeyframePairs.execute(FOUR, 5, "-, 77, -", "a tree\n-\n-\n\n", "20 - 9").args
    assert results[2] == [5, 77, 7]
    assert results[4] == [20, 50, 9]
    lines = KeyframePairs.execute(FOUR, 5, "", "a tree, sky\n-\na \\(b\\)", "").args[3]
    assert lines == ["a tree, sky", "1girl, masterpiece, best quality", "a \\(b\\)"]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"seeds": "1, 2"}, "seeds has 2 entries, and there are 3 segments"),
        ({"prompts": "a\nb\nc\nd"}, "prompts has 4 entries, and there are 3 segments"),
        ({"steps": "50"}, "steps has 1 entries, and there are 3 segments"),
    ],
)
def test_list_of_another_length_is_refused_by_its_name(lists, message):
    assert KeyframePairs.validate_inputs(**lists) is True, "the number of keyframes is known only at the run"
    with pytest.raises(ValueError, match=message):
        KeyframePairs.execute(FOUR, 5, **lists)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"seeds": "1, x, 3"}, "'x' in seeds is no whole number"),
        ({"seeds": str(2**64)}, "in seeds is no whole number"),
        ({"steps": "0, 50"}, "'0' in steps is no whole number from 1 to 1000"),
        ({"seeds": "1, 2", "steps": "50"}, "seeds has 2, steps has 1"),
    ],
)
def test_lists_that_cannot_be_right_are_refused_before_the_run(lists, message):
    with pytest.raises(ValueError, match=message):
        KeyframePairs.validate_inputs(**lists)
    assert KeyframePairs.validate_inputs(seeds=None, prompts=None, steps=None) is True


def test_joined_segments_keep_their_order():
    grey = {f"segment_{n}": torch.full((16, 8, 8, 3), n / 10) for n in (4, 1, 2)}
    (frames,) = JoinSegments.execute(**grey).args
    assert [round(float(frame.mean()), 1) for frame in frames[::16]] == [0.1, 0.2, 0.4]
    assert len(frames) == 48


def test_joined_segments_of_two_sizes_are_refused_by_name():
    with pytest.raises(ValueError, match="segment_3 has frames of 16x8 pixels, and segment_1 of 8x8"):
        JoinSegments.execute(
            segment_1=torch.ones(2, 8, 8, 3), segment_2=None, segment_3=torch.ones(2, 8, 16, 3)
        )
