"""The pack in a starting ComfyUI."""

import os
import re

import pytest

ODD_MODULE = "custom_nodes.my pack (v2)"
IMPORT_LINE = re.compile(r"(\d+\.\d) seconds(.*): (.*my pack \(v2\))$", re.MULTILINE)


def pack_nodes(server):
    """Ids of the nodes that come from the pack."""
    info = server.client.object_info()
    return {node_id for node_id, node in info.items() if node["python_module"] == ODD_MODULE}


def test_boot_pack_imports_in_under_half_a_second(server):
    ((seconds, failed, _),) = IMPORT_LINE.findall(server.log.read_text(encoding="utf-8"))
    assert failed == ""
    assert float(seconds) < 0.5


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


@pytest.fixture
def without_optional_packages(tmp_path, monkeypatch):
    """A Python path on which the optional packages cannot be imported."""
    for name in ("onnxruntime", "imageio_ffmpeg", "xformers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ImportError('no {name} here')\n")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    )


@pytest.mark.usefixtures("without_optional_packages")
def test_boot_without_optional_packages_has_every_node(server, start_server):
    with start_server() as bare:
        assert pack_nodes(bare) == pack_nodes(server)
        ((_, failed, _),) = IMPORT_LINE.findall(bare.log.read_text(encoding="utf-8"))
        assert failed == ""
