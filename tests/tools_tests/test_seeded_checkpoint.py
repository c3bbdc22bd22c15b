"""Seeded checkpoints: the released layout on disk, and numbers that never change."""

import json

import pytest
import torch
from safetensors import safe_open

from tools.seeded_checkpoint import FULL_SIZE, SMALL, seeded_part, seeded_tensor, write_seeded_checkpoints


def test_seeded_tensor_is_the_same_for_ever():
    values = seeded_tensor("dev-1/single_frame/unet", "conv_in.weight", (2, 3))
    expected = [[0.737872, 0.198478, 0.716171], [0.796955, -0.591445, 0.269634]]
    torch.testing.assert_close(values, torch.tensor(expected), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_write_seeded_checkpoints_makes_the_released_layout(tmp_path, dtype):
    folders = write_seeded_checkpoints(tmp_path, name="mine", dtype=dtype)
    assert folders == (
        tmp_path / "paintsundo" / "mine_single_frame",
        tmp_path / "paintsundo" / "mine_multi_frame",
    )
    layout = json.loads(SMALL.read_text())
    for part, shapes in layout["tensors"].items():
        model, component = part.split(".")
        folder = tmp_path / "paintsundo" / f"mine_{model}" / component
        (file,) = folder.glob("*.safetensors")
        expected = seeded_part(part)
        with safe_open(file, "pt") as opened:
            assert set(opened.keys()) == set(shapes)
            for name in list(shapes)[:3]:
                assert opened.get_tensor(name).dtype == dtype
                torch.testing.assert_close(opened.get_tensor(name), expected[name].to(dtype))
        assert json.loads((folder / "config.json").read_text()) == layout["configs"][part]


def test_full_size_listing_has_the_same_parts():
    small, full = (json.loads(path.read_text()) for path in (SMALL, FULL_SIZE))
    assert set(small["tensors"]) == set(full["tensors"])
    assert set(full["configs"]) == set(full["tensors"])
