"""The help pages as ComfyUI's page asks for them: in the user's language, else the English one."""

import urllib.error
from pathlib import Path
from urllib.parse import quote

import pytest
from paintsundo_pack.nodes import NODES

from tools.translations import LANGUAGES

HELP = Path(__file__).resolve().parents[2] / "nodes" / "web" / "docs"
NODE_IDS = [node.define_schema().node_id for node in NODES]


@pytest.fixture(scope="module")
def ask(server):
    """A function that gets a help page by its path behind docs/, as (text, content type)."""
    modules = {server.client.object_info()[node_id]["python_module"] for node_id in NODE_IDS}
    (module,) = modules
    folder = quote(module.removeprefix("custom_nodes."))

    def get(path):
        return server.client.get(f"/extensions/{folder}/docs/{path}").decode()

    return get


@pytest.mark.parametrize("node_id", NODE_IDS)
def test_help_page_is_served_in_each_language(ask, node_id):
    for language in LANGUAGES:
        text = ask(f"{node_id}/{language}.md")
        assert text == (HELP / node_id / f"{language}.md").read_text(encoding="utf-8")
    with pytest.raises(urllib.error.HTTPError):
        ask(f"{node_id}/en.md")  # and then the page asks for the one without a language
    assert ask(f"{node_id}.md") == (HELP / f"{node_id}.md").read_text(encoding="utf-8")
