"""The image projection against the original's numbers."""

import comfy.ops
import pytest
import torch
from paintsundo_pack.paintsundo_models.multi_frame.projection import ImageProjection, ImageProjectionParams

PART = "multi_frame.image_projection"


def params(config):
    config = dict(config)
    return ImageProjectionParams(input_frames=config.pop("input_frames_length"), **config)


def build(golden, dtype=torch.float32, operations=comfy.ops.disable_weight_init):
    model = ImageProjection(params(golden.config(PART)), dtype=dtype, operations=operations)
    model.load_state_dict(golden.seeded(PART), strict=True)
    return model.eval()


@pytest.fixture(scope="module")
def data(golden):
    return golden.golden("multi_frame_image_projection")


def test_projection_equals_the_reference(golden, data):
    with torch.inference_mode():
        context = build(golden)(data["tokens"])
    assert golden.relative_error(context, data["context"]) < 1e-5


def test_projection_of_a_batch_equals_singles(golden, data):
    tokens = torch.cat([data["tokens"], data["tokens"].flip(1)])
    model = build(golden)
    with torch.inference_mode():
        singles = torch.cat([model(tokens[i : i + 1]) for i in range(2)])
        assert golden.relative_error(model(tokens), singles) < 1e-5
        # the first and the last picture are told apart
        assert golden.relative_error(singles[1], singles[0]) > 1e-3


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 1e-2), (torch.bfloat16, 5e-2)])
@pytest.mark.parametrize("operations", [comfy.ops.disable_weight_init, comfy.ops.manual_cast])
def test_half_precision_stays_close(golden, data, dtype, tolerance, operations):
    with torch.inference_mode():
        context = build(golden, dtype, operations)(data["tokens"].to(dtype))
    assert context.dtype == dtype
    assert golden.relative_error(context, data["context"]) < tolerance


def test_half_precision_weights_are_cast_to_a_float32_input(golden, data):
    with torch.inference_mode():
        context = build(golden, torch.float16, comfy.ops.manual_cast)(data["tokens"])
    assert context.dtype == torch.float32
    assert golden.relative_error(context, data["context"]) < 2e-3


def test_released_layout_matches_both_ways(golden):
    layout = golden.released()
    sizes = params(layout["configs"][PART])
    assert sizes == ImageProjectionParams()
    model = ImageProjection(sizes, device="meta", operations=comfy.ops.disable_weight_init)
    ours = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    assert ours == layout["tensors"][PART]
