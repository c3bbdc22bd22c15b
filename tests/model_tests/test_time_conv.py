"""The convolution over frames computes the same on one processor thread as on several, in every memory layout."""

import comfy.ops
import pytest
import torch
from paintsundo_pack.paintsundo_models.multi_frame.time_conv import time_conv


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("operations", [comfy.ops.disable_weight_init, comfy.ops.manual_cast])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_result_and_layout_are_those_of_the_host(one_thread, operations, layout):
    conv = time_conv(32, operations, dtype=torch.float32)
    with torch.inference_mode():
        for weight in conv.parameters():
            weight.copy_(torch.randn(weight.shape) * 0.1)
        x = torch.randn(2, 32, 5, 6, 7).contiguous(memory_format=layout)
        made = conv(x)
        expected = torch.nn.functional.conv3d(x, conv.weight, conv.bias, padding=(1, 0, 0))
    assert isinstance(conv, operations.Conv3d)
    assert torch.allclose(made, expected, atol=1e-5)
    assert made.is_contiguous(memory_format=layout)


def test_gradients_are_the_same_on_one_thread(one_thread):
    conv = time_conv(32, dtype=torch.float32).requires_grad_()
    torch.nn.init.normal_(conv.weight, std=0.1)
    torch.nn.init.zeros_(conv.bias)
    x = torch.randn(1, 32, 4, 3, 5)
    (made,) = torch.autograd.grad(conv(x).square().sum(), [conv.weight])
    reference = torch.nn.functional.conv3d(x, conv.weight, conv.bias, padding=(1, 0, 0))
    (expected,) = torch.autograd.grad(reference.square().sum(), [conv.weight])
    assert torch.allclose(made, expected, rtol=1e-3, atol=1e-3)
