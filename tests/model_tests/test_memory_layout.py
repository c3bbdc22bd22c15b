"""Where the channels lie in memory while the video VAE works on a CPU."""

import comfy.cli_args
import comfy.ops
import pytest
import torch
from paintsundo_pack.paintsundo_models import keyframes, loading, segments
from paintsundo_pack.paintsundo_models.host.objects import Prompts
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings
from paintsundo_pack.paintsundo_models.layout import channels_last_on_cpu, empty_video
from paintsundo_pack.paintsundo_models.multi_frame import vae as vae_module
from paintsundo_pack.paintsundo_models.multi_frame.vae import VideoAutoencoder, VideoVAEParams
from torch import nn

INNERMOST = torch.channels_last_3d


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    params = VideoVAEParams(ch=32, ch_mult=(1, 1, 2, 2), num_res_blocks=1)
    vae = VideoAutoencoder(params, operations=comfy.ops.disable_weight_init)
    for parameter in vae.parameters():
        nn.init.normal_(parameter, std=0.1)
    return vae.requires_grad_(False)


@pytest.fixture(scope="module")
def video():
    """A high and narrow latent of 16 frames, and two pictures.

    Torch convolves smaller ones, and all on a single thread, in another way, which knows no layouts.
    """
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 4, 16, 24, 2, generator=generator), torch.rand(
        1, 3, 2, 192, 16, generator=generator
    )


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@torch.no_grad()
def test_every_convolution_over_time_gets_the_channels_innermost(vae, video, two_threads):
    inputs = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        for layer in vae.modules()
        if isinstance(layer, nn.Conv3d)
    ]
    vae.decode(*video)
    for hook in hooks:
        hook.remove()
    assert len(inputs) == len(hooks) > 10
    assert all(given.is_contiguous(memory_format=INNERMOST) for given in inputs)


@torch.no_grad()
def test_the_layout_changes_no_result(vae, video, monkeypatch):
    latent, pictures = video
    decoded, encoded = vae.decode(latent, pictures), vae.encode(pictures)
    monkeypatch.setattr(vae_module, "channels_last_on_cpu", lambda x: x)
    torch.testing.assert_close(decoded, vae.decode(latent, pictures))
    torch.testing.assert_close(encoded, vae.encode(pictures))


def test_in_training_the_layout_stays(video):
    latent, _ = video
    assert channels_last_on_cpu(latent) is latent


@torch.no_grad()
def test_pictures_and_videos_on_a_cpu(video):
    latent, _ = video
    assert channels_last_on_cpu(latent).is_contiguous(memory_format=INNERMOST)
    assert channels_last_on_cpu(latent[0]).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", [torch.contiguous_format, INNERMOST])
def test_an_empty_video_has_the_layout_of_another(layout):
    like = torch.zeros(2, 3, 4, 5, 6, dtype=torch.float16).contiguous(memory_format=layout)
    empty = empty_video(like, 7)
    assert (empty.shape, empty.dtype) == ((2, 3, 7, 5, 6), torch.float16)
    assert empty.is_contiguous(memory_format=layout)


@torch.inference_mode()
@pytest.mark.parametrize("kind", ["single_frame", "multi_frame"])
def test_both_models_run_with_the_hosts_channels_last(seeded_checkpoints, monkeypatch, kind):
    """`--force-channels-last`, which torch refuses for the weights of convolutions over time."""
    load = {"single_frame": loading.load_single_frame, "multi_frame": loading.load_multi_frame}[kind]
    picture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    prompts, settings = Prompts("a", "b"), SamplerSettings(1, 2, 3.0, "euler", "simple")

    def painted():
        objects = load(seeded_checkpoints[kind], "fp32")
        if kind == "single_frame":
            return keyframes.predict_keyframes(objects, picture, [400], prompts, settings, 64, 64)
        both = (picture, 1 - picture)
        return segments.interpolate(
            objects, both, prompts, settings, resolution="size of the pictures"
        ).frames

    expected = painted()
    monkeypatch.setattr(comfy.cli_args.args, "force_channels_last", True)
    assert (painted() - expected).abs().max() < 1e-3
