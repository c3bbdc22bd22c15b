"""filename_prefix: what no file can be named is refused before the run, at this input, and leaves no folder."""

import os
from datetime import datetime

import folder_paths
import pytest
from paintsundo_pack.nodes.assemble_video import AssembleVideo
from paintsundo_pack.nodes.output_names import LONGEST_ADDED, clean_prefix
from paintsundo_pack.paintsundo_models.file_names import (
    MOST_BYTES,
    cut_to_bytes,
    with_dates,
    with_widgets,
)

LONGEST = MOST_BYTES - LONGEST_ADDED


@pytest.fixture
def output(tmp_path, monkeypatch):
    folder = tmp_path / "output"
    folder.mkdir()
    monkeypatch.setattr(folder_paths, "output_directory", str(folder))
    return folder


REFUSED = {
    "a" * 300: "a name of 300 bytes",
    "漢" * 90: "a name of 270 bytes",
    "漢" * 90 + "/a": "a name of 270 bytes",
    "a" * (LONGEST + 1): f"and {LONGEST} is the most",
    "a\0b": "control character",
    "a\nb": "control character",
    "a\ud83db": "half of a letter or emoji",
    "a:b": "has :, which Windows",
    'what?/a"b': 'has " ?, which Windows',
    "con/a": 'the name "con"',
    "LPT1.x": "keeps for a device",
    "a./b": 'a folder "a."',
    "../x": "leads out of ComfyUI's output folder",
    "/etc/x": "leads out of ComfyUI's output folder",
    "taken/a": "there is a file of that folder's name",
    "taken/b/c/d": "there is a file of that folder's name",
}


@pytest.mark.parametrize("prefix", REFUSED)
def test_name_that_cannot_be_saved_is_refused_in_a_sentence(output, prefix):
    (output / "taken").write_text("a file")
    answer = AssembleVideo.validate_inputs(filename_prefix=[prefix])
    assert isinstance(answer, str)
    assert answer.startswith('filename_prefix is "')
    assert REFUSED[prefix] in answer
    assert answer.isprintable()
    assert [path.name for path in output.iterdir()] == ["taken"]


TAKEN = {
    "a" * LONGEST: "a" * LONGEST,
    "漢" * (LONGEST // 3): "漢" * (LONGEST // 3),
    "new/folders/a": "new/folders/a",
    "CON": "CON",  # the file is named CON_00001_.mp4
    "sub\\a": "sub/a",
    "a%width%": "a%width%",
    "Émile 🎨": "Émile 🎨",
}


@pytest.mark.parametrize("prefix", TAKEN)
def test_name_that_can_be_saved_passes_and_leaves_no_folder(output, prefix):
    assert AssembleVideo.validate_inputs(filename_prefix=[prefix]) is True
    assert clean_prefix(prefix) == TAKEN[prefix]
    assert list(output.iterdir()) == []


def test_longest_name_is_stored_in_every_form(output):
    name = clean_prefix("a" * LONGEST)
    (output / f"{name}_00001_").mkdir()
    (output / f"{name}_00001_" / f"{name}_00001_00001_.png").touch()
    (output / f"{name}_00001_.webm").touch()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere"
)
def test_folder_that_cannot_be_written_is_refused(output):
    output.chmod(0o500)
    try:
        assert "allow ComfyUI to write there" in AssembleVideo.validate_inputs(filename_prefix=["a"])
    finally:
        output.chmod(0o700)


def test_the_host_decides_about_linked_folders(output, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (output / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    try:
        folder_paths.get_save_image_path("link/a", str(output))
        allowed = True
    except Exception:  # noqa: BLE001  the host raises Exception itself
        allowed = False
    assert (AssembleVideo.validate_inputs(filename_prefix=["link/a"]) is True) == allowed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%date:yyyy-MM-dd%/a", "2026-03-09/a"),
        ("%date:yy%_%date:d.M.yyyy hh-mm-ss%", "26_9.3.2026 07-05-04"),
        ("%date:h%%date:m%%date:s%", "754"),
        ("%year% 100%", "%year% 100%"),
    ],
)
def test_dates_are_put_in_as_the_page_does(text, expected):
    assert with_dates(text, datetime(2026, 3, 9, 7, 5, 4)) == expected


PROMPT = {
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 7, "steps": ["9", 0]},
        "_meta": {"title": "My sampler"},
    },
    "4": {"class_type": "Text", "inputs": {"text": 'a/b:"c"\n' + "漢" * 90}},
}
WORKFLOW = {
    "nodes": [
        {"id": 3, "title": "Renamed", "properties": {"Node name for S&R": "First"}},
        "broken",
        {"id": 4},
    ]
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%First.seed%", "7"),
        ("%Renamed.seed%", "7"),
        ("%My sampler.seed%", "7"),
        ("%KSampler.seed%", "7"),
        ("%KSampler.steps%", "%KSampler.steps%"),
        ("%Nobody.seed%_%width%", "%Nobody.seed%_%width%"),
        ("%Text.text%", "a_b__c__" + "漢" * 30),
    ],
)
def test_widgets_are_put_in_as_the_page_does(text, expected):
    assert with_widgets(text, PROMPT, WORKFLOW) == expected


@pytest.mark.parametrize(
    "graph", [None, [], "x", {"nodes": 3}, {"nodes": [None, {"properties": 1}]}, {"a": None}]
)
def test_graph_of_any_shape_leaves_the_text(graph):
    assert with_widgets("%A.b%", graph, graph) == "%A.b%"


@pytest.mark.parametrize("most", range(8))
def test_names_are_cut_between_letters(most):
    cut = cut_to_bytes("a漢🎨", most)
    assert "a漢🎨".startswith(cut)
    assert len(cut.encode()) <= most < len(cut.encode()) + 4
