"""Every text of the nodes, and every help page, is translated, and the translation belongs to the English of today."""

import json
import os
import re
from pathlib import Path

import pytest
from comfy_api.latest import io
from paintsundo_pack.nodes import NODES

from tools import translations

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = [node.define_schema() for node in NODES]
FILES = sorted((ROOT / "locales").rglob("*.json"))
READMES = {"zh": "README.zh-CN.md", "ja": "README.ja.md"}
LANGUAGES = pytest.mark.parametrize("language", translations.LANGUAGES)

# Whoever changes an English text need not know Chinese and Japanese: translations follow before a release.
complete = pytest.mark.skipif(
    not os.environ.get("CI"), reason="set CI=1, or run: python tools/translations.py"
)


@complete
@LANGUAGES
def test_everything_is_translated_and_up_to_date(language):
    assert translations.state_of(language, translations.english_texts(SCHEMAS)).lines() == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_the_page_reads_the_files(file):
    # ComfyUI reads only these, and says nothing of a file that is no JSON.
    assert file.name in ("nodeDefs.json", "main.json", "english.json")
    assert file.parent.name in translations.LANGUAGES
    assert isinstance(json.loads(file.read_text(encoding="utf-8")), dict)


@LANGUAGES
def test_no_text_has_signs_that_the_page_takes_for_its_own_syntax(language):
    # vue-i18n: {name} is a value, @:key another message, a | b two plural forms.
    texts = translations.translated_texts(language)
    shown = {key: text for key, text in texts.items() if not key.startswith(translations.PAGE)}
    assert {key for key, text in shown.items() if re.search(r"[{}@|]", text)} == set()


@complete
@LANGUAGES
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.node_id)
def test_help_page_names_the_inputs_as_the_node_does_with_their_defaults(language, schema):
    texts = translations.translated_texts(language)
    title, inputs, outputs = texts[f"{translations.PAGE}.{schema.node_id}"].split("\n## ")[:3]
    key = f"nodeDefs.{schema.node_id}"
    assert title.startswith(f"# {texts[f'{key}.display_name']}\n")
    said = re.findall(r"^- \*\*(.+?)\*\*（`(\w+)`(.*)$", inputs, flags=re.MULTILINE)
    wanted = [(texts[f"{key}.inputs.{item.id}.name"], item.id) for item in schema.inputs]
    assert [(name, item) for name, item, _ in said] == wanted
    assert len(re.findall(r"^- \*\*", outputs, flags=re.MULTILINE)) == len(schema.outputs)
    for item, (_, _, text) in zip(schema.inputs, said, strict=True):
        default = getattr(item, "default", None)
        if default not in (None, "") and not isinstance(item, io.Boolean.Input):
            assert f"`{default}`" in text, f"{item.id}: its default is {default}"


@complete
@pytest.mark.parametrize("language", READMES)
def test_readme_has_the_pictures_nodes_workflows_and_downloads_of_the_english_one(language):
    english, text = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", READMES[language]))
    for shared in (
        r"^!\[.*?\](\(.+?\))$",
        r"^\| .+?[(（]`(PaintsUndo\w+)`[)）] \|",
        r"^\| `(paintsundo_\w+)` \|",
        r"^hf .+$",
    ):
        assert sorted(re.findall(shared, text, re.MULTILINE)) == sorted(
            re.findall(shared, english, re.MULTILINE)
        )
    names = dict(re.findall(r"^\| (.+?) ?[(（]`(PaintsUndo\w+)`[)）] \|", text, re.MULTILINE))
    texts = translations.translated_texts(language)
    for name, node in names.items():
        assert texts[f"nodeDefs.{node}.display_name"] == name


def test_a_missing_a_changed_and_a_removed_text_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(translations, "LOCALES", tmp_path)
    monkeypatch.setattr(translations, "HELP", tmp_path)
    folder = tmp_path / "zh"
    folder.mkdir()
    words = {
        "PaintsUndoTwo": {"display_name": "二", "description": "两", "inputs": {"gone": {"name": "没了"}}}
    }
    (folder / "nodeDefs.json").write_text(json.dumps(words), encoding="utf-8")
    two = "nodeDefs.PaintsUndoTwo"
    english = {
        f"{two}.display_name": "Two",
        f"{two}.description": "Makes two.",
        f"{two}.outputs.0.name": "pair",
    }
    translations.mark("zh", english)
    changed = {**english, f"{two}.description": "Makes two of one."}
    state = translations.state_of("zh", changed)
    assert state.missing == [f"{two}.outputs.0.name"]
    assert state.stale == [f"{two}.description"]
    assert state.superfluous == [f"{two}.inputs.gone.name"]
    translations.mark("zh", changed)
    assert translations.state_of("zh", changed).stale == []
