"""The files that ComfyUI's page asks the pack for: help pages in the user's language, templates and their pictures."""

import json
import urllib.error
from pathlib import Path
from urllib.parse import quote

import pytest
from paintsundo_pack.nodes import NODES

from tools.translations import LANGUAGES
from tools.workflow import TEMPLATES

ROOT = Path(__file__).resolve().parents[2]
HELP = ROOT / "nodes" / "web" / "docs"
# The server finds nothing below a folder whose name has a space; README says so.
PACK_FOLDER = "pack-1"


@pytest.fixture(scope="module")
def get(start_server, tmp_path_factory):
    """A function that gets a file from a server with the pack."""
    base = tmp_path_factory.mktemp("served")
    with start_server(base_directory=base, pack_folder=PACK_FOLDER, use_cpu=True) as server:
        yield server.client.get


def test_help_pages_are_served_in_each_language(get):
    for node_id in (node.define_schema().node_id for node in NODES):
        address = f"/extensions/{PACK_FOLDER}/docs/{node_id}"
        for language in LANGUAGES:
            written = (HELP / node_id / f"{language}.md").read_bytes()
            assert get(f"{address}/{language}.md") == written
        with pytest.raises(urllib.error.HTTPError):
            get(f"{address}/en.md")  # and then the page asks for the one without a language
        assert get(f"{address}.md") == (HELP / f"{node_id}.md").read_bytes()


def test_templates_and_their_pictures_are_served_by_their_names(get):
    assert set(json.loads(get("/workflow_templates"))[PACK_FOLDER]) == set(TEMPLATES.values())
    for name in TEMPLATES.values():
        for ending in ("json", "jpg"):
            # The page puts the name into the address as it is; a browser writes spaces as %20.
            address = quote(f"/api/workflow_templates/{PACK_FOLDER}/{name}.{ending}", safe="/(),")
            assert get(address) == (ROOT / "example_workflows" / f"{name}.{ending}").read_bytes()
