"""The node Full Size as ComfyUI runs it: lists of segments, orders, an upscaling model, and what it refuses."""

import comfy.model_management
import pytest
import torch
from paintsundo_pack.nodes.enlarge_frames import FullSize
from paintsundo_pack.paintsundo_models.host.graph import connected_outputs, is_output_wanted
from paintsundo_pack.paintsundo_models.host.upscaling import upscale
from paintsundo_pack.paintsundo_models.pictures.resizing import resize_and_center_crop

HEIGHT, WIDTH, TIMES = 32, 24, 4


class Doubler:
    """What the node needs of an upscaling model: repeats pixels, and says where it was last."""

    scale = 2

    def __init__(self):
        self.model = torch.nn.Identity()
        self.device = None

    def to(self, device):
        self.device = str(device)

    def __call__(self, tile):
        return tile.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


@pytest.fixture(scope="module")
def finished():
    """A smooth picture, so that a frame of it looks like it."""
    noise = torch.rand(1, 8, 6, 3, generator=torch.Generator().manual_seed(1))
    return resize_and_center_crop(noise, TIMES * WIDTH, TIMES * HEIGHT)


@pytest.fixture(scope="module")
def frames(finished):
    """Five frames from the picture to white, in undo order."""
    small = resize_and_center_crop(finished, WIDTH, HEIGHT)
    shares = torch.linspace(0, 1, 5)[:, None, None, None]
    return small * (1 - shares) + shares


def run(frames, finished, order="undo", longest_side=2048, **others):
    inputs = {"frames": frames, "finished": [finished], "longest_side": [longest_side], "order": [order]}
    return FullSize.execute(**inputs, **others).args[0]


def test_batch_has_the_pictures_size_and_begins_with_the_picture_itself(frames, finished):
    large = run([frames], finished)
    assert large.shape == (5, TIMES * HEIGHT, TIMES * WIDTH, 3)
    assert torch.equal(large[0], finished[0])
    assert large[-1].min() > 1 - 1e-5
    assert run([frames], finished, longest_side=64).shape == (5, 64, 48, 3)


def test_painting_order_comes_in_and_leaves_and_the_wrong_one_is_refused(frames, finished):
    assert torch.equal(run([frames.flip(0)], finished, "painting"), run([frames], finished).flip(0))
    with pytest.raises(ValueError, match='order is "undo".*Choose "painting"'):
        run([frames.flip(0)], finished)


def test_list_of_segments_is_joined(frames, finished):
    assert torch.equal(run([frames[:3], frames[2:]], finished), run([frames], finished))


def test_keyframes_without_the_finished_one_keep_what_they_show(frames, finished):
    large = run([frames[2:]], finished)
    assert float((large[0] - finished[0]).abs().mean()) > 0.1


def test_upscaling_model_runs_on_frames_and_goes_back(frames, finished):
    model = Doubler()
    large = run([frames], finished, upscale_model=[model])
    assert large.shape == (5, TIMES * HEIGHT, TIMES * WIDTH, 3)
    assert model.device == "cpu"
    doubled = upscale(model, frames[1])
    assert torch.allclose(doubled[::2, ::2], frames[1], atol=1e-6)


def test_more_than_fits_into_memory_is_refused_in_words(frames, finished, monkeypatch):
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda device: 100_000)
    with pytest.raises(ValueError, match=r"5 frames of 96x128 pixels take 0.0 GB.*Lower longest_side"):
        run([frames], finished)


def test_several_pictures_are_refused(frames, finished):
    with pytest.raises(ValueError, match="finished is a list of 2"):
        FullSize.execute([frames], [finished, finished], [2048], ["undo"])


def test_outputs_are_wanted_where_a_node_takes_them_or_it_cannot_be_known():
    graph = {
        "a": {"class_type": "A", "inputs": {"x": 1}},
        "b": {"class_type": "B", "inputs": {"image": ["a", 1], "size": [3, 4]}},
    }
    assert connected_outputs([graph], "a") == {1}
    assert connected_outputs([graph], "b") == set()
    assert is_output_wanted(0, "a", graph), "no server here, whose queue would tell"
    assert is_output_wanted(0, None, None)
