"""How a ComfyUI that only paints is started."""

import os
from pathlib import Path

import pytest

from tools.server import has_option


@pytest.mark.parametrize(
    ("option", "is_known"), [("--disable-api-nodes", True), ("--disable-everything", False)]
)
def test_options_are_looked_up_in_the_comfyui(option, is_known):
    assert has_option(Path(os.environ["COMFYUI_PATH"]), option) is is_known


def test_a_folder_without_comfyui_knows_no_option(tmp_path):
    assert not has_option(tmp_path, "--cpu")
