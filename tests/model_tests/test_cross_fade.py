"""Segments whose pictures hardly differ: cross-faded on request, and sampled otherwise."""

import pytest
import torch
from paintsundo_pack.paintsundo_models import loading, segments
from paintsundo_pack.paintsundo_models.host.objects import Prompts
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings
from paintsundo_pack.paintsundo_models.host.segment_store import SegmentStore
from paintsundo_pack.paintsundo_models.segments import FADED, SAMPLED

SETTINGS = SamplerSettings(5, 1, 1.0, "euler", "simple")
SIZE = "size of the pictures"


@pytest.fixture(scope="module")
def objects(seeded_checkpoints):
    return loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")


def pair(levels, shape=(1, 64, 64, 3)):
    """Two pictures that differ by this many levels of 255 at every pixel."""
    start = torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 0.5
    return start, start + levels / 255


@torch.inference_mode()
def run(objects, images, fade_below, **options):
    return segments.interpolate(
        objects, images, Prompts("a", ""), SETTINGS, fade_below=fade_below, **{"resolution": SIZE, **options}
    )


@pytest.mark.parametrize(
    ("levels", "fade_below", "origin"),
    [(0.9, 1.0, FADED), (1.1, 1.0, SAMPLED), (0.0, 0.0, SAMPLED), (0.0, 0.1, FADED), (200.0, 255.0, FADED)],
)
def test_pictures_that_differ_by_less_are_faded(objects, levels, fade_below, origin):
    assert run(objects, pair(levels), fade_below).origin == origin


def test_a_fade_has_the_layout_of_a_segment_and_goes_evenly_from_one_picture_to_the_other(objects):
    start, end = pair(100)
    faded, sampled = (run(objects, (start, end), below).frames for below in (255.0, 0.0))
    assert (faded.shape, faded.dtype, faded.device) == (sampled.shape, sampled.dtype, sampled.device)
    assert torch.equal(faded[0], start[0])
    assert torch.allclose(faded[-1], end[0])
    steps = faded.diff(dim=0)
    assert torch.allclose(steps, torch.full_like(steps, 100 / 255 / 15), atol=1e-6)


def test_a_fade_of_whole_pictures_has_their_shape_and_the_border_does_not_count(objects):
    faded = run(objects, pair(1.2, (1, 64, 100, 3)), 1.3, fit="whole")
    sampled = run(
        objects, pair(1.2, (1, 64, 100, 3)), 1.1, fit="whole"
    )  # with the border the mean is below 1
    assert (faded.origin, sampled.origin) == (FADED, SAMPLED)
    assert faded.frames.shape == sampled.frames.shape


def test_a_fade_is_not_kept_on_disk(objects, tmp_path):
    store = SegmentStore(tmp_path / "segments", 10_000_000)
    assert run(objects, pair(0.5), 1.0, store=store).origin == FADED
    assert not store.folder.exists()
