"""What is missing or out of date in the translations: `python tools/translations.py [--mark LANGUAGE]`.

`locales/LANGUAGE/` holds what the page shows: nodeDefs.json and main.json in the page's own form, and english.json, which
holds a hash of each English text at the time of its translation. English itself needs no file, because the page takes it
from the nodes. The help pages are `nodes/web/docs/NODE/LANGUAGE.md`. When you have translated something, or have seen that a
translation still says the same as the English, run the command with --mark LANGUAGE.
"""

import argparse
import asyncio
import hashlib
import importlib.util
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (
    __name__ == "__main__"
):  # only as a command: on the path of tests, the clone's nodes/ would hide ComfyUI's nodes.py
    sys.path.insert(0, str(ROOT))

from tools.under_comfyui import prepare, run_command_under_comfyui  # noqa: E402

LANGUAGES = ("zh", "ja")
"""The page's names of the languages, which are the names of the folders and the help pages too."""
LOCALES, HELP = ROOT / "locales", ROOT / "nodes" / "web" / "docs"
PACK_CATEGORY = "PaintsUndo"
CATEGORIES_OF_THE_PAGE = ("loaders", "video")
"""Categories that ComfyUI's own nodes have too: the page translates them."""
CONTROL = "control_after_generate"
PAGE = "docs"


@dataclass(frozen=True)
class State:
    """The keys of the texts that need work in one language.

    Attributes:
        missing: there is no translation.
        stale: the English was changed after the translation.
        superfluous: there is no such English text any more.
    """

    missing: list[str]
    stale: list[str]
    superfluous: list[str]

    def lines(self) -> list[str]:
        """Return one line of text for each key."""
        found = {"missing": self.missing, "stale": self.stale, "superfluous": self.superfluous}
        return [f"{what}: {key}" for what, keys in found.items() for key in keys]


def english_texts(schemas: Sequence[Any]) -> dict[str, str]:
    """Return all English texts of the nodes and their help pages.

    Args:
        schemas: the nodes' io.Schema.

    Returns:
        Text by key. The key is the path in the page's translations, such as `nodeDefs.NODE.inputs.seed.tooltip`, or
        `docs.NODE` for the whole help page.
    """
    texts = {}
    for schema in schemas:
        node = f"nodeDefs.{schema.node_id}"
        texts[f"{node}.display_name"] = schema.display_name
        texts[f"{node}.description"] = schema.description
        for item in schema.inputs:
            texts[f"{node}.inputs.{item.id}.name"] = item.id
            texts[f"{node}.inputs.{item.id}.tooltip"] = item.tooltip
            if getattr(item, CONTROL, None):
                texts[f"{node}.inputs.{CONTROL}.name"] = CONTROL
        for number, output in enumerate(schema.outputs):
            # An output named as its type has the page's own word for the type.
            if output.display_name != output.io_type:
                texts[f"{node}.outputs.{number}.name"] = output.display_name
            texts[f"{node}.outputs.{number}.tooltip"] = output.tooltip
        for category in schema.category.split("/"):
            if category not in (PACK_CATEGORY, *CATEGORIES_OF_THE_PAGE):
                texts[f"nodeCategories.{category}"] = category
        texts[f"{PAGE}.{schema.node_id}"] = (HELP / f"{schema.node_id}.md").read_text(encoding="utf-8")
    return texts


def translated_texts(language: str) -> dict[str, str]:
    """Return the translations of one language by the keys of `english_texts`."""
    texts = {}
    for file, prefix in (("nodeDefs", "nodeDefs."), ("main", "")):
        path = LOCALES / language / f"{file}.json"
        if path.exists():
            _flatten(json.loads(path.read_text(encoding="utf-8")), prefix, texts)
    for page in sorted(HELP.glob(f"*/{language}.md")):
        texts[f"{PAGE}.{page.parent.name}"] = page.read_text(encoding="utf-8")
    return texts


def state_of(language: str, english: dict[str, str]) -> State:
    """Compare the translations of one language with the English texts."""
    translated, marks = translated_texts(language), _marks(language)
    return State(
        missing=[key for key in english if not translated.get(key)],
        stale=[
            key for key, text in english.items() if translated.get(key) and marks.get(key) != hashed(text)
        ],
        superfluous=sorted(translated.keys() - english.keys()),
    )


def mark(language: str, english: dict[str, str]) -> None:
    """Write down that all translations that are there say what the English says now."""
    translated = translated_texts(language)
    marks = {key: hashed(english[key]) for key in sorted(translated.keys() & english.keys())}
    text = json.dumps(marks, indent=2) + "\n"
    (LOCALES / language / "english.json").write_text(text, encoding="utf-8")


def hashed(text: str) -> str:
    """Return a short hash of an English text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _marks(language: str) -> dict[str, str]:
    path = LOCALES / language / "english.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _flatten(tree: dict[str, Any], prefix: str, texts: dict[str, str]) -> None:
    for key, value in tree.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{key}.", texts)
        else:
            texts[f"{prefix}{key}"] = value


def _schemas_of_the_pack() -> list[Any]:
    """Load the pack as ComfyUI does, and return its nodes' schemas."""
    name = "paintsundo_pack"
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{ROOT} is not a package")
    pack = importlib.util.module_from_spec(spec)
    sys.modules[name] = pack
    spec.loader.exec_module(pack)
    asyncio.run(pack.comfy_entrypoint())  # registers models/paintsundo
    nodes = importlib.import_module(f"{name}.nodes")
    return [node.define_schema() for node in nodes.NODES]


def main(argv: list[str]) -> int:
    """Run the command; return 0 if nothing is missing, stale or superfluous."""
    parser = argparse.ArgumentParser("translations.py", description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument(
        "--mark", metavar="LANGUAGE", choices=LANGUAGES, help="all translations that are there are up to date"
    )
    options = parser.parse_args(argv)

    def work(_: object) -> int:
        logging.disable(logging.WARNING)  # what ComfyUI says about packages that nothing here needs
        prepare()
        sys.path.remove(str(ROOT))  # `import nodes` has to find ComfyUI's nodes.py
        english = english_texts(_schemas_of_the_pack())
        if options.mark:
            for key in state_of(options.mark, english).stale:
                print(f"{options.mark} is taken as up to date: {key}")
            mark(options.mark, english)
        states = {language: state_of(language, english) for language in LANGUAGES}
        for language, state in states.items():
            print("\n".join(f"{language} {line}" for line in state.lines()) or f"{language}: up to date")
        return 1 if any(state.lines() for state in states.values()) else 0

    return run_command_under_comfyui(__file__, ROOT / "requirements.txt", work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
