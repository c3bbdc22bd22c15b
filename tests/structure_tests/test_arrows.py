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

HEAVY = {"imageio_ffmpeg", "onnxruntime", "PIL", "av", "transformers", "diffusers", "xformers"}
WITHOUT_HOST = (
    "checkpoints",
    "constants",
    "errors",
    "images",
    "layout",
    "operation_steps",
    "parts",
    "schedule",
    "tagger",
    "timeline",
    "video",
)
PACKAGES_OF_EVERYONE = {"torch", "numpy", "safetensors", "einops"}
ADAPTERS = ("interpolation", "keyframes", "loading")  # with host/, what else may know the host
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


@pytest.mark.parametrize("name", WITHOUT_HOST)
def test_modules_without_the_host_know_nothing_of_it(name):
    imported = list(module_level_imports(MODELS / f"{name}.py"))
    assert not [module for module in imported if is_host(module)]
    ours = [module.lstrip(".").split(".")[0] for module in imported if module.startswith(".")]
    assert set(ours) <= set(WITHOUT_HOST)
    others = {module.split(".")[0] for module in imported if not module.startswith(".")}
    assert others <= PACKAGES_OF_EVERYONE | sys.stdlib_module_names


def test_only_the_adapters_know_the_rest_of_the_host():
    for file in MODELS.rglob("*.py"):
        if file.parent.name == "host" or file.stem in ADAPTERS:
            continue
        known = [name for name in module_level_imports(file) if is_host(name)]
        assert all(name.startswith(COMPONENT_HOST) for name in known), file


@pytest.mark.parametrize("file", sorted((MODELS / "multi_frame").glob("*.py")), ids=lambda file: file.stem)
def test_components_use_the_hosts_layers_and_nothing_else_of_it(file):
    imported = list(module_level_imports(file))
    assert not [name for name in imported if is_host(name) and not name.startswith(COMPONENT_HOST)]
    upward = {name.lstrip(".").split(".")[0] for name in imported if name.startswith("..")}
    assert upward <= {"constants", "errors", "layout", "schedule"}


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
