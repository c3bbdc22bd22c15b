"""What the documents say about names, options, defaults, sizes and files is what the code and the data have."""

import math
import os
import re
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path
from urllib.parse import unquote

import folder_paths
import pytest
from comfy_api.latest import io
from paintsundo_pack.nodes import NODES
from paintsundo_pack.paintsundo_models.host.folders import checkpoint_path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
HELP = ROOT / "nodes" / "web" / "docs"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted(HELP.rglob("*.md"))]
SCHEMAS = {schema.node_id: schema for schema in (node.define_schema() for node in NODES)}
WORKFLOWS = {file.stem for file in (ROOT / "example_workflows").glob("*.json")}


def text_of(file):
    return file.read_text(encoding="utf-8")


def prose_of(file):
    """The text without code blocks."""
    return re.sub(r"^```.*?^```", "", text_of(file), flags=re.MULTILINE | re.DOTALL)


def anchors(file):
    """Anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(file), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(text, heading):
    """Rows of the first table below a heading that starts with these words, without its head, as lists of cells."""
    section = re.search(rf"^#+ {heading}.*?$(.*?)(?=^#|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert section, f"there is no heading {heading!r}"
    rows = re.findall(r"^\|(.+)\|$", section[1], flags=re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows[2:]]


def items(text, heading):
    """Name and text of each list item `- **name** ...` below a heading that starts with these words."""
    section = re.search(rf"^#+ {heading}.*?$(.*?)(?=^#|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert section, f"there is no heading {heading!r}"
    return re.findall(r"^- \*\*(.+?)\*\*(.*)$", section[1], flags=re.MULTILINE)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_relative_links_lead_to_files_and_headings(file):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(file)):
        if "://" in target:
            continue
        path, _, anchor = unquote(target).partition("#")
        aim = (file.parent / path).resolve() if path else file
        assert aim.exists(), target
        if anchor:
            assert anchor in anchors(aim), target


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_node_ids_and_workflows_that_are_named_exist(file):
    text = text_of(file)
    assert set(re.findall(r"\bPaintsUndo[A-Z]\w+", text)) <= SCHEMAS.keys()
    named = re.findall(r"workflows?:? `(\w+)`|\(`(paintsundo_\w+)`\)", text, flags=re.IGNORECASE)
    assert {name for pair in named for name in pair if name} <= WORKFLOWS


def test_readme_lists_every_node_by_its_name_and_every_workflow():
    listed = dict(re.findall(r"^\| (.+) \(`(PaintsUndo\w+)`\) \|", text_of(README), flags=re.MULTILINE))
    assert {node_id: name for name, node_id in listed.items()} == {
        node_id: schema.display_name for node_id, schema in SCHEMAS.items()
    }
    assert {row[0].strip("`") for row in table(text_of(README), "Quick start")} == WORKFLOWS


def test_readme_has_the_options_of_the_command_in_its_words():
    environment = {**os.environ, "COLUMNS": "1000", "NO_COLOR": "1"}
    command = [sys.executable, str(ROOT / "paint.py"), "--help"]
    shown = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    options = dict(re.findall(r"^  (--\S+(?: \[?[A-Z_]+\]?)?)\s{2,}(.+)$", shown, flags=re.MULTILINE))
    assert options, shown
    assert {row[0].strip("`"): row[1] for row in table(text_of(README), "The two commands")} == options


def test_readme_sizes_are_those_of_the_released_tensors(golden):
    half = {
        part: sum(math.prod(shape) for shape in shapes.values()) * 2 / 1e9
        for part, shapes in golden.released()["tensors"].items()
    }
    block = re.search(r"^models/paintsundo/$.*?^```", text_of(README), flags=re.MULTILINE | re.DOTALL)[0]
    for model in ("single_frame", "multi_frame"):
        sizes = {part.split(".")[1]: gb for part, gb in half.items() if part.startswith(model)}
        lines = block.split(f"paints_undo_{model}/")[1].split("├──")[0]
        assert float(re.search(r"([\d.]+) GB", lines)[1]) == round(sum(sizes.values()), 2)
        said = {name: float(gb) for name, gb in re.findall(r"(\w+) (\d\.\d\d)(?! GB)", lines)}
        assert said == {name: round(gb, 2) for name, gb in sizes.items()}


@pytest.mark.parametrize("file", sorted(HELP.rglob("*.md")), ids=lambda file: file.stem)
def test_help_page_fits_the_narrow_panel_and_has_no_dead_links(file):
    page = prose_of(file)
    # ComfyUI shows the page in a panel of 285 pixels, where tables run out at the right.
    assert not re.search(r"^\|", page, flags=re.MULTILINE), (
        "in place of the table write items: - **name** (range; default `...`): text"
    )
    # The panel opens links relative to ComfyUI's own page, where this pack's pages are not.
    assert all("://" in target for target in re.findall(r"\]\(([^)\s]+)\)", page))


@pytest.mark.parametrize("node_id", SCHEMAS)
def test_help_page_names_the_nodes_inputs_and_outputs(node_id):
    page, schema = text_of(HELP / f"{node_id}.md"), SCHEMAS[node_id]
    assert page.startswith(f"# {schema.display_name}\n")
    assert [name for name, _ in items(page, "Inputs")] == [item.id for item in schema.inputs]
    assert [name for name, _ in items(page, "Output")] == [item.display_name for item in schema.outputs]


@pytest.mark.parametrize("node_id", SCHEMAS)
def test_help_page_has_the_defaults_of_the_widgets(node_id):
    said = dict(items(text_of(HELP / f"{node_id}.md"), "Inputs"))
    for item in SCHEMAS[node_id].inputs:
        # An empty text needs no default in the page; a list of files has none in the schema.
        if getattr(item, "default", None) in (None, ""):
            continue
        default = re.search(r"default `(.+?)`", said[item.id])
        assert default, f"{item.id}: say its default as: default `...`"
        if isinstance(item, io.Boolean.Input):
            assert default[1] == ("on" if item.default else "off"), item.id
        elif isinstance(item, io.Int.Input | io.Float.Input):
            assert float(default[1]) == item.default, item.id
        else:
            assert default[1] == item.default, item.id


def test_readme_s_extra_model_paths_find_the_download_of_the_original_program(
    seeded_checkpoints, tmp_path, monkeypatch
):
    for name, folder in seeded_checkpoints.items():
        hub = tmp_path / "hf_download" / "hub" / f"models--lllyasviel--paints_undo_{name}"
        shutil.copytree(folder, hub / "snapshots" / "0123abcd")
        (hub / "refs").mkdir()
        (hub / "refs" / "main").write_text("0123abcd")
    block = re.search(r"^```yaml\n(.*?)^```", text_of(README), flags=re.MULTILINE | re.DOTALL)[1]
    config = tmp_path / "extra_model_paths.yaml"
    config.write_text(block.replace("/path/to/Paints-UNDO", tmp_path.as_posix()), encoding="utf-8")
    paths, extensions = folder_paths.folder_names_and_paths["paintsundo"]
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "paintsundo", (list(paths), extensions))
    # Not "import utils": other modules of the host put another one of that name first on the path.
    spec = util.spec_from_file_location("extra_config", f"{folder_paths.base_path}/utils/extra_config.py")
    extra_config = util.module_from_spec(spec)
    spec.loader.exec_module(extra_config)
    extra_config.load_extra_path_config(str(config))
    for kind in ("single-frame", "multi-frame"):
        name = f"models--lllyasviel--paints_undo_{kind.replace('-', '_')}/snapshots/0123abcd"
        assert checkpoint_path(name, kind).is_dir()


def test_architecture_names_every_module_of_the_pack():
    section = re.search(r"^## Modules$.*?(?=^## )", text_of(ROOT / "docs" / "architecture.md"), re.M | re.S)[
        0
    ]
    named = set(re.findall(r"`(?:[\w/]+/)?(\w+)(?:\.py)?`", section))
    for folder in ("nodes", "paintsundo_models"):
        for file in (ROOT / folder).rglob("*.py"):
            assert file.stem == "__init__" or file.stem in named, file


def test_modules_that_the_documents_name_exist():
    folders = ("nodes", "paintsundo_models", "tools", "tests")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")] + list(ROOT.glob("*.py"))
    paths = [file.relative_to(ROOT).as_posix() for file in files]
    named = re.findall(r"`([\w/]+\.py)`", text_of(ROOT / "docs" / "architecture.md"))
    for row in table(text_of(ROOT / "docs" / "porting.md"), "From theirs to ours"):
        named += re.findall(r"`([\w/]+\.py)`", row[2])
    assert len(named) > 30
    for name in named:
        assert any(f"/{path}".endswith(f"/{name}") for path in paths), name
