"""torch.compile takes the 3D UNet whole, which is what ComfyUI's TorchCompileModel node asks of it."""

import pytest
import torch
from paintsundo_pack.paintsundo_models import loading


@pytest.mark.slow
@torch.inference_mode()
def test_network_is_captured_without_a_graph_break(seeded_checkpoints):
    network = loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32")[0].model.diffusion_model
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 8, 16, 8, 8, generator=generator)
    inputs = (x, torch.tensor([500.0]), torch.randn(1, 77, 48, generator=generator))
    tokens = torch.randn(1, 2, 20, 40, generator=generator)
    more = {"image_context": network.project_images(tokens), "fs": torch.tensor([3])}
    # "eager" runs the captured graph without compiling it; the test asks only whether one graph is captured
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    assert (compiled(*inputs, **more) - network(*inputs, **more)).abs().max() < 1e-5
