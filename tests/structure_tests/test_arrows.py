"""The arrows between the modules, and the budget of their length."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACK = sorted(
    [ROOT / "__init__.py", *(ROOT / "nodes").rglob("*.py"), *(ROOT / "paintsundo_models").rglob("*.py")]
)
MODELS = ROOT / "paintsundo_models"
COMMANDS = [file for name in ("tools", "training", "benchmarks") for file in (ROOT / name).rglob("*.py")]
EVERYTHING = sorted({*PACK, *ROOT.glob("*.py"), *COMMANDS, *(ROOT / "tests").rglob("*.py")})

HEAVY = {"c2pa", "imageio_ffmpeg", "onnxruntime", "PIL", "av", "transformers", "diffusers", "xformers"}
FACTS = {
    "constants",
    "errors",
    "file_names",
    "layout",
    "operation_steps",
    "per_segment",
    "processor",
    "schedule",
}
ARROWS = {
    "constants": set(),
    "errors": set(),
    "file_names": set(),
    "layout": set(),
    "processor": set(),
    "schedule": set(),
    "operation_steps": {"constants"},
    "per_segment": {"constants"},
    "multi_frame": FACTS,
    "checkpoints": FACTS | {"multi_frame"},
    "pictures": FACTS,
    "video": FACTS | {"pictures"},
    "host": FACTS | {"checkpoints", "multi_frame", "pictures"},
    "loading": FACTS | {"checkpoints", "host", "multi_frame"},
    "keyframes": FACTS | {"checkpoints", "host", "pictures"},
    "planning": FACTS | {"host", "keyframes", "video"},
    "segments": FACTS | {"checkpoints", "host", "multi_frame", "pictures", "video"},
}
"""What each room (a folder or a file of paintsundo_models) may import: the map of docs/architecture.md."""

WITHOUT_HOST = FACTS | {"checkpoints", "pictures", "video"}
PACKAGES_OF_EVERYONE = {"torch", "numpy", "safetensors", "einops"}
ADAPTERS = {"host", "keyframes", "loading", "planning", "segments"}
COMPONENT_HOST = (
    "comfy.ops",
    "comfy.ldm",
    "comfy.patcher_extension",
    "comfy.model_sampling",
    "comfy.samplers",
)
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
EXEMPT = {"define_schema", "execute"}


def module_level_imports(file):
    """Names of the modules imported at a file's top level; relative ones begin with dots."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def is_host(name):
    return name.split(".")[0] in {
        "comfy",
        "comfy_api",
        "comfy_extras",
        "folder_paths",
        "node_helpers",
        "latent_preview",
        "nodes",
    }


@pytest.mark.parametrize("file", PACK, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_optional_or_heavy_package_at_import(file):
    assert not {name.split(".")[0] for name in module_level_imports(file)} & HEAVY


def room(file):
    """The folder or file of paintsundo_models that a file belongs to."""
    return file.relative_to(MODELS).parts[0].removesuffix(".py")


def imported_modules(file):
    """Files of the pack that a file imports at its top level."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        folder = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        if folder.with_suffix(".py").is_file():
            yield folder.with_suffix(".py")
        else:
            yield from (
                folder / f"{alias.name}.py" for alias in node.names if (folder / f"{alias.name}.py").is_file()
            )


MODEL_FILES = [file for file in sorted(MODELS.rglob("*.py")) if file.name != "__init__.py"]


@pytest.mark.parametrize("file", MODEL_FILES, ids=lambda file: file.relative_to(MODELS).as_posix())
def test_arrows_between_rooms_run_one_way(file):
    reached = {room(target) for target in imported_modules(file)} - {room(file)}
    assert reached <= ARROWS[room(file)]


def test_names_of_node_files_say_their_layer():
    """A name that both layers use sends a stranger to the wrong file."""
    nodes = {file.stem for file in (ROOT / "nodes").glob("*.py")} - {"__init__"}
    assert not nodes & {room(file) for file in MODEL_FILES}
    assert not nodes & {file.stem for file in MODEL_FILES}


def test_no_circle():
    arrows = {file: set(imported_modules(file)) for file in PACK}
    while leaves := [file for file, targets in arrows.items() if not targets & arrows.keys()]:
        for file in leaves:
            del arrows[file]
    assert not arrows


@pytest.mark.parametrize(
    "file",
    [file for file in MODEL_FILES if room(file) in WITHOUT_HOST],
    ids=lambda file: file.relative_to(MODELS).as_posix(),
)
def test_modules_without_the_host_know_nothing_of_it(file):
    imported = [module for module in module_level_imports(file) if not module.startswith(".")]
    assert not [module for module in imported if is_host(module)]
    assert {module.split(".")[0] for module in imported} <= PACKAGES_OF_EVERYONE | sys.stdlib_module_names


def test_only_the_adapters_know_the_rest_of_the_host():
    for file in MODEL_FILES:
        if room(file) in ADAPTERS:
            continue
        known = [name for name in module_level_imports(file) if is_host(name)]
        assert all(name.startswith(COMPONENT_HOST) for name in known), file


@pytest.mark.parametrize("file", sorted((MODELS / "multi_frame").glob("*.py")), ids=lambda file: file.stem)
def test_components_use_the_hosts_layers_and_nothing_else_of_it(file):
    imported = list(module_level_imports(file))
    assert not [name for name in imported if is_host(name) and not name.startswith(COMPONENT_HOST)]


@pytest.mark.parametrize(
    "file", sorted(MODELS.rglob("*.py")), ids=lambda file: file.relative_to(MODELS).as_posix()
)
def test_models_know_no_node(file):
    assert not [
        name
        for name in module_level_imports(file)
        if name.startswith("comfy_api") or "nodes" in name.split(".")
    ]


@pytest.mark.parametrize("file", EVERYTHING, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_files_and_functions_keep_the_budget(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in EXEMPT:
            docstring = ast.get_docstring(node, clean=False) or ""
            length = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"
