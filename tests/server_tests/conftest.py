"""A real ComfyUI with the pack and small seeded checkpoints, and a tagger, for the tests of this folder."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

from tools.installation import Installation
from tools.seeded_checkpoint import write_seeded_checkpoints
from tools.server import ComfyServer

ROOT = Path(__file__).resolve().parents[2]
# An unusual name, because nothing in the pack may depend on the name of its folder.
PACK_FOLDER = "my pack (v2)"


@pytest.fixture(scope="session")
def installation():
    """The ComfyUI under test and this Python."""
    return Installation(
        Path(sys.executable), Path(os.environ.get("COMFYUI_PATH", ROOT.parents[1])), is_pinned=False
    )


@pytest.fixture(scope="session")
def base_directory(tmp_path_factory):
    """The servers' folder: models (with the seeded checkpoints), input, output, custom_nodes."""
    folder = tmp_path_factory.mktemp("comfyui")
    write_seeded_checkpoints(folder / "models")
    return folder


@pytest.fixture(scope="session")
def start_server(installation, base_directory):
    """Make a server (a context manager) on the shared folder; takes the arguments of ComfyServer."""

    def start(**options):
        options = {"base_directory": base_directory, "pack_folder": PACK_FOLDER, **options}
        return ComfyServer(installation, ROOT, base_directory / "run", **options)

    return start


@pytest.fixture(scope="session")
def server(start_server, running_hub):
    """The server that the tests share: `server.client`, `server.url`, `server.log`, `server.base_directory`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in running_hub.environment.items():
            patch.setenv(name, value)
        with start_server(extra_args=["--preview-method", "auto"]) as running:
            yield running


@pytest.fixture(scope="session")
def golden_tagger(tmp_path_factory):
    """A small real ONNX tagger with its tag list."""
    spec = importlib.util.spec_from_file_location(
        "tagger_model", ROOT / "tests" / "tagger_tests" / "conftest.py"
    )
    taggers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(taggers)
    return taggers.write_golden_tagger(tmp_path_factory.mktemp("tagger"))


@pytest.fixture(scope="session")
def installed_tagger(base_directory, golden_tagger):
    """A tagger under the name that the workflows hold."""
    folder = base_directory / "models" / "paintsundo"
    for suffix in (".onnx", ".csv"):
        shutil.copy(golden_tagger.with_suffix(suffix), folder / f"wd-v1-4-moat-tagger-v2{suffix}")
