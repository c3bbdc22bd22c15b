"""Treat the pack badly and write what happened into docs/reliability.md: `python tools/torture.py`, an hour or more on two cores.

Every kind runs through a real ComfyUI server with the built-in demo, on the processor. The exit code is 1 if a bar of
the page is missed. Uses the ComfyUI that paint.py uses.
"""

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (
    __name__ == "__main__"
):  # only as a command: on the path of tests, the clone's nodes/ would hide ComfyUI's nodes.py
    sys.path.insert(0, str(ROOT))

from tools.installation import Installation  # noqa: E402
from tools.reliability import cancels, caps, files, kills, prompts, soak, threads  # noqa: E402
from tools.reliability.bench import Bench  # noqa: E402
from tools.reliability.page import require_places, write_table  # noqa: E402
from tools.reliability.report import Report  # noqa: E402
from tools.studio import server_errors  # noqa: E402
from tools.under_comfyui import run_command_under_comfyui  # noqa: E402

PAGE = ROOT / "docs" / "reliability.md"
SEED = 18
KINDS = {
    "prompts": (prompts.torture, 800, 40),
    "files": (files.torture, 40, 2),
    "cancels": (cancels.torture, 50, 2),
    "kills": (kills.torture, 12, 1),
    "caps": (caps.torture, 12, 1),
    "soak": (soak.torture, 100, 6),
    "threads": (threads.torture, 4, 1),
}
"""Function, rounds, rounds with --quick."""


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="torture.py", description=(__doc__ or "").partition(":")[0] + ".")
    parser.add_argument("--only", action="append", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument(
        "--quick", action="store_true", help="a few rounds of each, to see that the command works"
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the random choices (default {SEED})")
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="the file with the tables (default docs/reliability.md)"
    )
    options = parser.parse_args(argv)
    requirements = ROOT / "requirements.txt"
    return run_command_under_comfyui(__file__, requirements, lambda installation: run(installation, options))


def run(installation: Installation, options: argparse.Namespace) -> int:
    """Run the kinds one after the other; write each table as soon as it is known. Returns the exit code.

    Raises:
        CommandError: the page has no place for a table.
    """
    require_places(options.page, options.only or KINDS)
    is_met = True
    with (
        tempfile.TemporaryDirectory(prefix="paintsundo_torture_", ignore_cleanup_errors=True) as folder,
        server_errors(),
    ):
        bench = Bench(installation, Path(folder) / "comfyui", options.seed, say)
        try:
            for kind in options.only or KINDS:
                function, rounds, few = KINDS[kind]
                say(f"{kind}:")
                start = time.monotonic()
                report: Report = function(bench, few if options.quick else rounds)
                report.figure("time of this kind", f"{time.monotonic() - start:.0f} s")
                say(report.table())
                write_table(options.page, kind, about(bench, kind, options), report.table())
                is_met = is_met and report.is_met
        finally:
            bench.close()
    return 0 if is_met else 1


def about(bench: Bench, kind: str, options: argparse.Namespace) -> str:
    """Return the line above a table: command, machine, versions, date."""
    system = bench.server.client.system_stats()["system"]
    command = f"python tools/torture.py --only {kind}" + (" --quick" if options.quick else "")
    if options.seed != SEED:
        command += f" --seed {options.seed}"
    return (
        f"`{command}`, {datetime.date.today().isoformat()}: {processor()}, "
        f"{system['ram_total'] / 2**30:.0f} GB, {platform.system()}, ComfyUI {system['comfyui_version']}, "
        f"torch {system['pytorch_version']}, Python {platform.python_version()}."
    )


def processor() -> str:
    """Return the processor's name and how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    information = Path("/proc/cpuinfo")
    names = information.read_text(encoding="utf-8").splitlines() if information.is_file() else []
    name = next(
        (line.split(":", 1)[1].strip() for line in names if line.startswith("model name")), platform.machine()
    )
    return f"{name}, {cores} cores"


def say(line: str) -> None:
    """Print a line at once, because a run is mostly written to a file and watched there."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
