"""The pack in a starting ComfyUI."""

import io
import os
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tools.comfy_client import ExecutionError

ROOT = Path(__file__).resolve().parents[2]
TAGGER = "wd-v1-4-moat-tagger-v2"
ODD_MODULE = "custom_nodes.my pack (v2)"
IMPORT_LINE = re.compile(r"(\d+\.\d) seconds(.*): (.*my pack \(v2\))$", re.MULTILINE)


def pack_nodes(server):
    """Ids of the nodes that come from the pack."""
    info = server.client.object_info()
    return {node_id for node_id, node in info.items() if node["python_module"] == ODD_MODULE}


# Import what ComfyUI imports before custom nodes, then load this pack as it does; print the processor seconds of the latter.
TIMED_IMPORT = """
import asyncio, importlib.util, sys, time
pack, launcher, comfyui = sys.argv.pop(), sys.argv.pop(), sys.argv.pop()
spec = importlib.util.spec_from_file_location("launch_comfyui", launcher)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.install_torchvision_finder()
sys.path[0] = comfyui
sys.argv.append("--cpu")
import comfy.options
comfy.options.enable_args_parsing()
import utils.extra_config  # as main.py does, before nodes.py puts another utils on the path
import execution, server, nodes
import pydantic_settings  # slow, and ComfyUI itself needs it to read any pack's pyproject.toml
started = time.process_time()
asyncio.run(nodes.load_custom_node(pack))
print("took", time.process_time() - started)
print("nodes", sum(name.startswith("PaintsUndo") for name in nodes.NODE_CLASS_MAPPINGS))
"""


def test_boot_pack_imports(server):
    ((_, failed, _),) = IMPORT_LINE.findall(server.log.read_text(encoding="utf-8"))
    assert failed == ""


def test_boot_pack_adds_under_half_a_second(installation):
    paths = [str(installation.comfyui), str(ROOT / "tools" / "launch_comfyui.py"), str(ROOT)]
    command = [str(installation.python), "-c", TIMED_IMPORT, *paths]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    figures = dict(line.split() for line in result.stdout.splitlines() if line.startswith(("took", "nodes")))
    assert int(figures["nodes"]) > 0
    # Processor time, not the wall clock that the server's log shows: other programs must not fail this test.
    assert float(figures["took"]) < 0.5


def test_boot_every_node_has_the_prefix_and_no_other_node_has_it(server):
    ours = pack_nodes(server)
    assert ours
    assert ours == {node_id for node_id in server.client.object_info() if node_id.startswith("PaintsUndo")}


def test_boot_seeded_checkpoints_are_listed(server):
    for loader, name in (
        ("PaintsUndoSingleFrameLoader", "seeded_single_frame"),
        ("PaintsUndoMultiFrameLoader", "seeded_multi_frame"),
    ):
        required = server.client.object_info(loader)[loader]["input"]["required"]
        assert name in required["checkpoint"][1]["options"]


@pytest.fixture(scope="module")
def bare_server(start_server, installed_tagger, tmp_path_factory):
    """A server whose Python cannot import the optional packages."""
    folder = tmp_path_factory.mktemp("no_packages")
    for name in ("onnxruntime", "imageio_ffmpeg", "xformers"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise ImportError('no {name} here')\n")
    with pytest.MonkeyPatch.context() as patch:
        path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
        patch.setenv("PYTHONPATH", path)
        with start_server() as running:
            yield running


def test_boot_without_optional_packages_has_every_node(server, bare_server):
    assert pack_nodes(bare_server) == pack_nodes(server)
    ((_, failed, _),) = IMPORT_LINE.findall(bare_server.log.read_text(encoding="utf-8"))
    assert failed == ""


def test_tagger_without_onnxruntime_says_how_to_install_it(bare_server):
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(picture, "PNG")
    name = bare_server.client.upload_image(picture.getvalue(), "white.png")
    settings = {"threshold": 0.35, "character_threshold": 0.85, "exclude": ""}
    nodes = {
        "picture": ("LoadImage", {"image": name}),
        "tags": ("PaintsUndoTagger", {"image": ["picture", 0], "tagger": f"{TAGGER}.onnx", **settings}),
        "shown": ("PreviewAny", {"source": ["tags", 0]}),
    }
    prompt = {key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in nodes.items()}
    with pytest.raises(ExecutionError, match="-m pip install onnxruntime") as error:
        bare_server.client.run(prompt)
    assert error.value.node_id == "tags"
