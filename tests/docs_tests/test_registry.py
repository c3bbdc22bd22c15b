"""What the registry reads: pyproject.toml, the list of files, the pictures. And versions that several files name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it to Python 3.10

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NEEDED = [  # to run the nodes, their help pages, the templates and paint.py
    "__init__.py",
    "pyproject.toml",
    "requirements.txt",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "paint.py",
    "docs/pictures/house.png",
    *("nodes/**/*.py", "nodes/web/**/*", "paintsundo_models/**/*.py", "paintsundo_models/demo/*"),
    *("example_workflows/*", "tools/*.py", "docs/*.md", "locales/**/*", "subgraphs/*"),
]
LARGEST_WITHOUT_DEMO = 6_000_000  # bytes


def git(*arguments):
    if not (ROOT / ".git").exists():
        pytest.skip("this folder is not a clone")
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


@pytest.fixture(scope="module")
def packed():
    """The files of the registry's package: all files in git without those of .comfyignore, which has the syntax of .gitignore."""
    return git("ls-files") - git("ls-files", "--cached", "--ignored", "--exclude-from=.comfyignore")


def test_package_holds_all_that_runs(packed):
    tracked = git("ls-files")
    for pattern in NEEDED:
        files = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern)} & tracked
        assert files or pattern.startswith(("locales", "subgraphs")), pattern
        assert files <= packed, pattern


def test_package_leaves_out_what_only_developers_need(packed):
    folders = {name.split("/")[0] for name in packed if "/" in name}
    assert not folders & {"tests", "training", "benchmarks", "assets", ".github", ".ci"}
    rest = [name for name in packed if not name.startswith("paintsundo_models/demo/")]
    assert sum((ROOT / name).stat().st_size for name in rest) < LARGEST_WITHOUT_DEMO


def test_name_and_version_follow_the_registrys_rules():
    project = PYPROJECT["project"]
    assert re.fullmatch(r"[a-z]+([-_.]?[a-z0-9]+)*", project["name"])
    assert "comfy" not in project["name"]
    assert len(project["name"]) < 100
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert (ROOT / project["license"]["file"]).is_file()
    assert (ROOT / project["readme"]).is_file()
    assert "Operating System :: OS Independent" in project["classifiers"]
    assert PYPROJECT["tool"]["comfy"]["requires-comfyui"] == ">=0.3.75"


def test_addresses_lead_to_one_repository_and_to_files_that_exist():
    urls, comfy = PYPROJECT["project"]["urls"], PYPROJECT["tool"]["comfy"]
    repository = urls["Repository"].removeprefix("https://github.com/")
    assert all(url.startswith(f"https://github.com/{repository}") for url in urls.values())
    for key in ("Icon", "Banner"):
        path = comfy[key].removeprefix(f"https://raw.githubusercontent.com/{repository}/main/")
        assert (ROOT / path).is_file(), path


def test_icon_is_a_square_of_400_and_banner_21_to_9_and_both_are_small():
    for name, size in (("icon", (400, 400)), ("banner", (1260, 540))):
        file = ROOT / "assets" / f"{name}.png"
        with Image.open(file) as picture:
            assert picture.size == size
        assert file.stat().st_size < 50_000
        assert file.with_suffix(".svg").is_file()


def test_changelog_has_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", changelog, flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1].startswith(f"{PYPROJECT['project']['version']} - ")


def test_ruff_and_pyright_have_one_version_everywhere():
    requirements = (ROOT / "tests" / "requirements.txt").read_text(encoding="utf-8")
    ruff = re.search(r"^ruff==(.+)$", requirements, flags=re.MULTILINE)[1]
    pyright = re.search(r"^pyright\S*==(.+)$", requirements, flags=re.MULTILINE)[1]
    assert f"rev: v{ruff}\n" in (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    said = f"ruff {ruff} and pyright {pyright}"
    assert said in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_code_has_nothing_that_the_registry_s_validation_warns_of():
    """`comfy node validate` looks with ruff for exec, eval and several statements on a line."""
    rules = ["ruff", "check", "--quiet", "--select", "S102,S307,E702", str(ROOT)]
    done = subprocess.run([sys.executable, "-m", *rules], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
