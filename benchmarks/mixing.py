"""Try every node, sampler and scheduler of a ComfyUI between ours: `python benchmarks/mixing.py`. See docs/mixing.md.

The command starts itself again under the Python of a ComfyUI: the one that COMFYUI_PATH names, or one that is installed
inside this clone. It needs no checkpoints.
"""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent

if not __package__:  # started as a script, and not imported by a test
    sys.path.insert(0, str(ROOT))

from tools.python_guard import require_python  # noqa: E402

require_python("mixing.py")

from benchmarks import mixing_page  # noqa: E402
from tools.under_comfyui import prepare, run_command_under_comfyui  # noqa: E402

if TYPE_CHECKING:
    from benchmarks.mixing_chain import Chain
    from benchmarks.mixing_host import HostNode

DOCUMENT = ROOT / "docs" / "mixing.md"
NODES, SLOW_NODES, SAMPLERS, PAIRS, TIME = "nodes", "slow", "samplers", "pairs", "time"
PARTS = {
    NODES: "nodes that take seconds at most",
    SLOW_NODES: "nodes that merge or compile",
    SAMPLERS: "each sampler and each scheduler",
    PAIRS: "every pair of sampler and scheduler",
    TIME: "what the nodes that save time save and cost, with the demo",
}
CHANGED = 1
"""Exit code of --check where the document says something else."""


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the program."""
    parser = argparse.ArgumentParser(
        prog="mixing.py",
        description="Try every node, sampler and scheduler of a ComfyUI between ours, and write docs/mixing.md.",
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="; ".join(f"{name}: {text}" for name, text in PARTS.items())
    )
    parser.add_argument("--check", action="store_true", help="compare with the document and change nothing")
    parser.add_argument("--node", action="append", help="only this node; may be given again")
    options = parser.parse_args(argv)
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    options.parts = options.parts or [NODES, SLOW_NODES, SAMPLERS]
    return options


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = arguments(argv)
    requirements = ROOT / "benchmarks" / "requirements.txt"
    return run_command_under_comfyui(
        __file__, requirements, lambda _: run(options), ValueError, is_optional=True
    )


def run(options: argparse.Namespace) -> int:
    """Try what the options ask for, and write or compare; return the exit code."""
    prepare(threads=1)
    import comfy.utils
    import torch

    from benchmarks.mixing_host import host_version, load_host_nodes

    warnings.simplefilter("ignore")
    comfy.utils.set_progress_bar_enabled(False)
    nodes, version = load_host_nodes(), host_version()
    text = DOCUMENT.read_text(encoding="utf-8")
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        if TIME in options.parts:
            from benchmarks.mixing_time import time_table

            DOCUMENT.write_text(mixing_page.with_times(text, time_table(nodes)), encoding="utf-8")
            return 0
        found = outcomes(nodes, Path(folder), options)
    if options.check:
        return check(text, version, found)
    for kind, rows in found.items():
        text = mixing_page.updated(text, kind, version, rows)
    DOCUMENT.write_text(text, encoding="utf-8")
    return 0


def check(text: str, version: str, found: Mapping[str, mixing_page.Found]) -> int:
    """Print how the findings differ from the document; return the exit code."""
    code = 0
    is_listed = version in {each for entry in mixing_page.tables(text) for each in entry.versions}
    if not is_listed:
        print(
            f"docs/mixing.md has no columns for {version} yet; compared with the newest one, for information."
        )
    for kind, rows in found.items():
        wrong, unknown = mixing_page.differences(text, kind, version, rows)
        for line in wrong:
            print(f"CHANGED  {line}")
            code = CHANGED if is_listed else 0
        if unknown:
            print(f"Not in the table yet: {', '.join(unknown)}")
    return code


def outcomes(
    nodes: "Mapping[str, HostNode]", folder: Path, options: argparse.Namespace
) -> dict[str, dict[str, dict[str, str]]]:
    """Try nodes, samplers and schedulers; return {kind of table: {row: {model: word}}}."""
    import folder_paths

    from benchmarks.mixing_chain import make_chains, write_checkpoints
    from benchmarks.mixing_samplers import pairs, words_of_samplers

    folder_paths.set_output_directory(str(folder))  # SaveLatent writes a file
    chains = make_chains(write_checkpoints(folder), folder, nodes)
    found: dict[str, dict[str, dict[str, str]]] = {}
    for chain in chains.values():
        words: dict[str, dict[str, str]] = {}
        if {NODES, SLOW_NODES} & set(options.parts):
            words["Node"] = node_words(chain, options)
        if {SAMPLERS, PAIRS} & set(options.parts) and not options.node:
            words["Sampler"] = words_of_samplers(chain, pairs(is_whole=PAIRS in options.parts))
        for kind, rows in words.items():
            for name, word in rows.items():
                found.setdefault(kind, {}).setdefault(name, {})[chain.name.capitalize()] = word
    return found


def node_words(chain: "Chain", options: argparse.Namespace) -> dict[str, str]:
    """Try each node on a chain; return {row: word}. Prints what was refused and what failed."""
    from benchmarks.mixing_outcomes import FAILS, REFUSED, try_mixture
    from benchmarks.mixing_rows import SLOW, mixtures

    plain, words = chain.sample({}), {}
    for mixture in mixtures(chain.nodes):
        part = SLOW_NODES if mixture.node.name in SLOW else NODES
        if mixture.node.name not in options.node if options.node else part not in options.parts:
            continue
        outcome = try_mixture(chain, mixture, plain)
        words[mixture.label] = outcome.word
        if not options.check and (options.node or outcome.word in (FAILS, REFUSED)):
            print(f"{mixture.label}, {chain.name}: {outcome.word}: {outcome.note}", flush=True)
    return words


if __name__ == "__main__":
    sys.exit(main())
