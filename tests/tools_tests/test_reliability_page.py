"""The page of the torture run: the command's tables in it, and what writes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.command import CommandError
from tools.installation import Installation
from tools.reliability.page import begin_mark, end_mark, require_places, tables_of, write_table
from tools.reliability.prompts import is_python, own_lines
from tools.reliability.report import HEADINGS, Report
from tools.torture import KINDS, PAGE, ROOT
from tools.under_comfyui import INSTALLATION_VARIABLE


def test_page_has_a_table_of_every_kind_with_the_columns_of_the_command():
    tables = tables_of(PAGE.read_text(encoding="utf-8"))
    assert list(tables) == list(KINDS)
    for kind, (headings, *rows) in tables.items():
        assert headings == list(HEADINGS), kind
        assert rows
        assert all(len(row) == len(HEADINGS) for row in rows)
        # What has a bar says whether it held, and what has none does not.
        assert all(bool(row[2]) == (row[3] in ("yes", "**no**")) for row in rows)


def test_every_table_says_how_when_and_where_it_was_made():
    text = PAGE.read_text(encoding="utf-8")
    for kind in KINDS:
        about = text.partition(begin_mark(kind))[2].strip().splitlines()[0]
        for part in (f"python tools/torture.py --only {kind}`", " cores", "ComfyUI ", "torch ", "Python "):
            assert part in about, kind
        assert "--quick" not in about


def test_table_is_replaced_and_the_prose_stays(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{begin_mark('soak')}\nold\n{end_mark('soak')}\nafter\n", encoding="utf-8")
    lines: list[str] = []
    report = Report(lines.append)
    report.count("prompts", 3)
    report.none_of("lost", ["a file"])
    report.at_most("growth", 4.0, 5.0, "%")
    write_table(page, "soak", "about", report.table())
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert tables_of(text) == {
        "soak": [
            list(HEADINGS),
            ["prompts", "3", "", ""],
            ["lost", "1", "0", "**no**"],
            ["growth", "4 %", "at most 5 %", "yes"],
        ]
    }
    assert lines == ["    lost: a file"]
    assert not report.is_met
    with pytest.raises(CommandError, match="no place for the figures of kills"):
        write_table(page, "kills", "about", "")


def test_page_without_places_is_refused_before_an_hour_of_torture(tmp_path: Path):
    require_places(PAGE, KINDS)
    page = tmp_path / "page.md"
    command = [sys.executable, str(ROOT / "tools" / "torture.py"), "--only", "soak", "--page", str(page)]
    installation = Installation(Path(sys.executable), tmp_path / "no ComfyUI", is_pinned=False)
    environment = {**os.environ, INSTALLATION_VARIABLE: installation.encode()}

    def said() -> str:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert result.returncode == 1
        return result.stderr

    assert "page.md cannot be read: No such file" in said()
    page.write_text("text", encoding="utf-8")
    assert "page.md has no place for the figures of soak" in said()


def test_words_of_python_are_told_from_sentences():
    assert is_python("'<=' not supported between instances of 'float' and 'NoneType'")
    assert is_python("[Errno 36] File name too long")
    assert is_python("Traceback (most recent call last):")
    assert not is_python("fps is no number: an object of another type (str) came.")
    refused = (
        "ComfyUI refused the workflow: x\n  node a (B): Value not in list: c\n"
        "  node a (B): Custom validation failed for node: ours"
    )
    assert own_lines(refused) == "  node a (B): Custom validation failed for node: ours"
    assert own_lines("a node's error") == "a node's error"
