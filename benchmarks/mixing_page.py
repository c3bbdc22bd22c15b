"""The tables of docs/mixing.md: read what they say, and fill in what was found. Standard library only."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.markdown import table

NOT_THERE = "–"  # a host that does not have the node
MODELS = ("Keyframes", "Segments")
TABLES = ("Node", "Sampler")
"""Heads of the first column of the tables that hold outcomes."""

TIMES = "Saves time"
"""Head of the first column of the table of times."""

Found = Mapping[str, Mapping[str, str]]
"""{row: {"Keyframes" or "Segments": word}}"""


@dataclass(frozen=True)
class Table:
    """One table of outcomes in the document."""

    kind: str  # "Node" or "Sampler"
    versions: tuple[str, ...]
    rows: dict[str, list[str]]  # by name without backticks: the cells behind the name
    notes_head: str  # head of the last column, the text by hand; "" if there is none
    span: tuple[int, int]  # lines of the document


def tables(text: str) -> Iterator[Table]:
    """Yield the document's tables of outcomes."""
    lines = text.splitlines()
    start = 0
    while start < len(lines):
        if not lines[start].startswith("| "):
            start += 1
            continue
        end = start
        while end < len(lines) and lines[end].startswith("|"):
            end += 1
        head, *rows = (_cells(line) for line in lines[start:end])
        if head[0] in TABLES:
            columns = [re.fullmatch(rf"{MODELS[0]} (\S+)", cell) for cell in head]
            versions = tuple(match[1] for match in columns if match)
            notes = head[-1] if len(head) == 2 + len(MODELS) * len(versions) else ""
            named = {row[0].strip("`"): row[1:] for row in rows[1:]}
            yield Table(head[0], versions, named, notes, (start, end))
        start = end


def expected(text: str, kind: str, version: str) -> dict[str, dict[str, str]]:
    """Return what the tables of a kind say of this version; of the newest one, if they do not have this version."""
    said = {}
    for found in tables(text):
        if found.kind != kind:
            continue
        column = found.versions.index(version) if version in found.versions else len(found.versions) - 1
        count = len(found.versions)
        for name, cells in found.rows.items():
            said[name] = {model: cells[number * count + column] for number, model in enumerate(MODELS)}
    return said


def differences(text: str, kind: str, version: str, found: Found) -> tuple[list[str], list[str]]:
    """Compare with the tables: return a line for each row that differs, and the names of rows that are not there."""
    said = expected(text, kind, version)
    wrong = [
        f"{name}, {model}: {word}, and the table says {said[name][model]}"
        for name, words in found.items()
        for model, word in words.items()
        if name in said and said[name][model] not in (word, NOT_THERE)
    ]
    return wrong, [name for name in found if name not in said]


def updated(text: str, kind: str, version: str, found: Found) -> str:
    """Return the document with the outcomes of this version; new rows come last in the last table of the kind."""
    chosen = [entry for entry in tables(text) if entry.kind == kind]
    known = {name for entry in chosen for name in entry.rows}
    new = [name for name in found if name not in known]
    lines = text.splitlines()
    for entry in reversed(chosen):
        rows = dict(entry.rows)
        if entry is chosen[-1]:
            empty = [NOT_THERE] * (len(MODELS) * len(entry.versions)) + [""] * bool(entry.notes_head)
            rows |= {name: list(empty) for name in sorted(new)}
        lines[slice(*entry.span)] = _filled(entry, rows, version, found).splitlines()
    return "\n".join(lines) + "\n"


def _filled(entry: Table, rows: Mapping[str, list[str]], version: str, found: Found) -> str:
    versions = [*entry.versions, *([version] if version not in entry.versions else [])]
    versions.sort(key=lambda text: [int(part) for part in re.findall(r"\d+", text)])
    old, lines = len(entry.versions), []
    for name, cells in rows.items():
        words = []
        for number, model in enumerate(MODELS):
            by_version = dict(zip(entry.versions, cells[number * old :], strict=False))
            if model in found.get(name, {}):
                by_version[version] = found[name][model]
            words += [by_version.get(each, NOT_THERE) for each in versions]
        lines.append([f"`{name}`", *words, *([cells[-1]] if entry.notes_head else [])])
    head = [entry.kind, *(f"{model} {each}" for model in MODELS for each in versions)]
    return table([*head, *([entry.notes_head] if entry.notes_head else [])], lines)


def with_times(text: str, times: str) -> str:
    """Return the document with this table in place of its table of times, or before the nodes if it has none."""
    if f"| {TIMES} |" not in text:
        return text.replace("\n## Nodes\n", f"\n{times}\n\n## Nodes\n", 1)
    return re.sub(rf"^\| {TIMES} \|.*?\n(?=\n)", lambda _: f"{times}\n", text, flags=re.MULTILINE | re.DOTALL)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
