"""The convolution over time against torch's own 3-D convolution."""

import comfy.ops
import pytest
import torch
from paintsundo_pack.paintsundo_models.multi_frame.time_conv import time_conv
from torch import nn


@pytest.fixture(params=[comfy.ops.disable_weight_init, comfy.ops.manual_cast], ids=["plain", "casting"])
def convs(request):
    """Ours and torch's with the same weights."""
    torch.manual_seed(0)
    plain = nn.Conv3d(6, 10, (3, 1, 1), padding=(1, 0, 0))
    ours = time_conv(6, 10, request.param)
    ours.load_state_dict(plain.state_dict())
    return ours, plain


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 2, 16])
def test_equals_the_host_convolution(convs, frames):
    ours, plain = convs
    video = torch.randn(2, 6, frames, 5, 7)
    assert isinstance(ours, nn.Conv3d), "so that LoRAs, offloading and casting reach it"
    torch.testing.assert_close(ours(video), plain(video))


@torch.no_grad()
def test_takes_any_memory_layout(convs):
    ours, plain = convs
    video = torch.randn(3, 16, 5, 7, 6).permute(0, 4, 1, 2, 3)
    torch.testing.assert_close(ours(video), plain(video))


def test_its_gradients_are_those_of_the_host_convolution(convs):
    ours, plain = convs
    ours.requires_grad_(True)
    video = torch.randn(1, 6, 4, 5, 7)
    for conv in (ours, plain):
        conv(video).square().mean().backward()
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad)
    torch.testing.assert_close(ours.bias.grad, plain.bias.grad)
