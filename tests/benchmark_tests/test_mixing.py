"""Nodes of the host between ours: what happens is what docs/mixing.md says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import mixing_page
from benchmarks.mixing_host import HostNode
from tools.installation import Installation
from tools.under_comfyui import INSTALLATION_VARIABLE

ROOT = Path(__file__).parents[2]
COMFY = os.environ.get("COMFYUI_PATH", str(ROOT.parents[1]))
DOCUMENT = ROOT / "docs" / "mixing.md"
SMALL = """# Title

| Node | Keyframes 0.3.75 | Segments 0.3.75 | What for |
| --- | --- | --- | --- |
| `APG` | changes | changes | High cfg. |

| Node | Keyframes 0.3.75 | Segments 0.3.75 | What for |
| --- | --- | --- | --- |
| `SAG` | changes | fails |  |

| Sampler | Keyframes 0.3.75 | Segments 0.3.75 |
| --- | --- | --- |
| `euler` | all | all but simple |
"""


def words(keyframes, segments):
    return {"Keyframes": keyframes, "Segments": segments}


def test_a_changed_outcome_and_a_new_node_are_told_apart():
    found = {
        "APG": words("changes", "refused"),
        "SAG": words("changes", "fails"),
        "New": words("runs", "runs"),
    }
    changed, unknown = mixing_page.differences(SMALL, "Node", "0.3.75", found)
    assert changed == ["APG, Segments: refused, and the table says changes"]
    assert unknown == ["New"]
    # A version that has no columns is compared with the newest one.
    assert mixing_page.differences(SMALL, "Sampler", "9.0", {"euler": words("all", "all")})[0]


def test_a_version_gets_its_columns_and_new_nodes_their_rows():
    found = {"APG": words("changes", "refused"), "New": words("runs", "no effect")}
    text = mixing_page.updated(SMALL, "Node", "0.10.0", found)
    assert "| `APG` | changes | changes | changes | refused | High cfg. |" in text
    assert "| `SAG` | changes | – | fails | – |  |" in text
    assert "| `New` | – | runs | – | no effect |  |" in text
    assert "| Sampler | Keyframes 0.3.75 | Segments 0.3.75 |" in text
    assert mixing_page.expected(text, "Node", "0.10.0")["APG"] == words("changes", "refused")
    assert mixing_page.expected(text, "Node", "0.3.75")["APG"] == words("changes", "changes")


class Saves:
    """A node that shows what it saved and passes its input on, as SaveLatent of newer versions does."""

    FUNCTION = "save"

    def save(self):
        return {"ui": {"latents": ["a.latent"]}, "result": ("latent",)}


class OnlySaves(Saves):
    """An output node without outputs."""

    def save(self):
        return {"ui": {"latents": ["a.latent"]}}


def test_what_a_node_shows_is_no_output():
    assert HostNode("Saves", Saves, (), ("LATENT",)).run({}) == ("latent",)
    assert HostNode("OnlySaves", OnlySaves, (), ()).run({}) == ()


def test_the_document_has_nodes_and_samplers_of_the_pinned_version():
    text = DOCUMENT.read_text(encoding="utf-8")
    for kind in mixing_page.TABLES:
        said = mixing_page.expected(text, kind, "0.3.75")
        assert len(said) > 40
    merging = mixing_page.expected(text, "Node", "0.3.75")["ModelMergeSimple: our two models"]
    assert set(merging.values()) == {"refused"}


@pytest.mark.slow
def test_every_node_of_the_host_does_between_ours_what_the_document_says():
    installation = Installation(Path(sys.executable), Path(COMFY), is_pinned=False)
    environment = {
        **os.environ,
        INSTALLATION_VARIABLE: installation.encode(),
        "COMFYUI_PATH": COMFY,
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, ROOT / "benchmarks" / "mixing.py", "nodes", "samplers", "--check"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
