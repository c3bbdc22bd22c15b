"""The torture command at its smallest: every kind runs through a server, and fills its table."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.installation import Installation
from tools.reliability.page import tables_of
from tools.reliability.report import HEADINGS
from tools.torture import KINDS, PAGE
from tools.under_comfyui import INSTALLATION_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
COMFY = os.environ.get("COMFYUI_PATH", str(ROOT.parents[1]))
INSTALLATION = Installation(Path(sys.executable), Path(COMFY), is_pinned=False)


def test_every_kind_runs_and_nothing_is_lost(tmp_path):
    page = shutil.copyfile(PAGE, tmp_path / "page.md")
    environment = {"COMFYUI_PATH": COMFY, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "torture.py"), "--quick", "--page", str(page)],
        env={**os.environ, **environment, INSTALLATION_VARIABLE: INSTALLATION.encode()},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    text = page.read_text(encoding="utf-8")
    assert text.count(" --quick`, ") == len(KINDS)
    tables = tables_of(text)
    assert list(tables) == list(KINDS)
    for kind, (headings, *rows) in tables.items():
        assert headings == list(HEADINGS)
        # How long something takes depends on what else the machine does.
        missed = [row for row in rows if row[3] == "**no**" and not row[1].endswith(" s")]
        assert not missed, (kind, missed, result.stdout)
