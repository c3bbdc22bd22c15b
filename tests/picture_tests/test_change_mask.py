"""Masks of what each frame added, against the changes that the procedural painter is known to have made."""

import pytest
import torch
from paintsundo_pack.nodes.mask_changes import ChangeMask
from paintsundo_pack.paintsundo_models.pictures.change_mask import change_masks

from training.scenes import Painting

STEPS = (999, 950, 900, 800, 600, 400, 0)


@pytest.fixture(scope="module", params=[3, 5])
def painting(request):
    """Frames of a small painting with a little noise, as models have it, and what truly changed: (T, H, W) 0...1."""
    states = torch.from_numpy(Painting(request.param, 96, 112).states(STEPS)).float() / 255
    before = torch.cat([torch.ones_like(states[:1]), states[:-1]])
    noise = 0.01 * torch.randn(states.shape, generator=torch.Generator().manual_seed(1))
    return (states + noise).clamp(0, 1), (states - before).abs().amax(-1)


def overlap(one, other):
    """Intersection over union."""
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("threshold", [0.05, 0.08, 0.2])
def test_masks_are_where_the_painter_painted(painting, threshold):
    frames, change = painting
    masks = change_masks(frames, threshold, softness=0)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    overlaps = [overlap(mask > 0, true > threshold) for mask, true in zip(masks, change, strict=True)]
    assert min(overlaps) > 0.75
    assert sum(overlaps) / len(overlaps) > 0.95


def test_strokes_and_flat_colours_are_found_whole(painting):
    """Everything that was painted, however faint its edges, counts as the truth here; fine shading is left out."""
    frames, change = painting
    masks = change_masks(frames, 0.05, softness=0)
    for index in (STEPS.index(800), STEPS.index(600), STEPS.index(400)):
        assert overlap(masks[index] > 0, change[index] > 0) > 0.85


def test_soft_edge_falls_evenly_outside_of_what_changed():
    frames = torch.ones(1, 21, 21, 3)
    frames[0, 10, 10, 1] = 0.5
    (mask,) = change_masks(frames, 0.4, softness=4)
    assert mask[10, 10:16].tolist() == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])
    assert mask[5:10, 10].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert mask[7, 7] < 0.4, "rounder than a square"
    assert torch.equal(mask, mask.T)
    assert torch.equal(mask, mask.flip(0))


def test_nothing_changed_gives_an_empty_mask():
    assert not change_masks(torch.ones(2, 8, 8, 3), 0.0, softness=3).any()


def test_a_change_must_be_more_than_the_threshold():
    frames = torch.ones(1, 2, 2, 3)
    frames[0, 0, 0], frames[0, 1, 1] = 0.5, 0.25
    assert change_masks(frames, 0.5, 0)[0].tolist() == [[0, 0], [0, 1]]


def test_node_in_undo_order_gives_the_same_masks_the_other_way_round(painting):
    frames, _ = painting
    (painted,) = ChangeMask.execute(frames=frames, threshold=0.08, softness=2, order="painting").args
    (undone,) = ChangeMask.execute(frames=frames.flip(0), threshold=0.08, softness=2, order="undo").args
    assert torch.equal(undone, painted.flip(0))
    assert painted.shape == frames.shape[:3]
