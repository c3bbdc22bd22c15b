"""Many pictures: which ones a command line means, what is known of them, and what a killed or second run leaves."""

import argparse
import json
import os
from pathlib import Path

import pytest

from tools import batch, manifest, painting, sources
from tools.command import CommandError
from tools.progress import BatchBars

ROOT = Path(__file__).resolve().parents[2]


def options(*pictures, **given):
    names = (
        "output",
        "seed",
        "steps",
        "operation_steps",
        "prompt",
        "segment_prompt",
        "hold",
        "format",
        "pace",
    )
    names += ("duration", "variants", "fast")
    return argparse.Namespace(**{**dict.fromkeys(names), **given}, cpu=True, pictures=list(pictures))


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    for name in (
        "b.png",
        "a.jpg",
        "a.png",
        "a.b.png",
        "sub/deep/C.PNG",
        "sub/notes.txt",
        ".hidden/x.png",
        ".y.png",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def places(given, left_out):
    return {source.name: source.place for source in sources.Sources(given, left_out)}


def test_sub_folders_keep_their_shape_and_equal_names_stay_apart(pictures, tmp_path):
    assert places([pictures], tmp_path / "out") == {
        "a.b.png": "a.b",
        "a.jpg": "a_jpg",
        "a.png": "a_png",
        "b.png": "b",
        "sub/deep/C.PNG": "sub/deep/C",
    }


def test_of_several_folders_each_has_its_own_and_results_are_no_pictures(pictures, tmp_path):
    other = tmp_path / "other"
    (other / "results").mkdir(parents=True)
    for name in ("a.png", "results/a_painting_frames.png"):
        (other / name).touch()
    assert places([pictures / "b.png", other], other / "results") == {"b.png": "b", "other/a.png": "other/a"}


@pytest.mark.skipif(os.name == "nt", reason="links need rights")
def test_folders_that_contain_themselves_end(pictures, tmp_path):
    (pictures / "loop").symlink_to(pictures, target_is_directory=True)
    os.mkfifo(pictures / "pipe.png")
    assert len(places([pictures], tmp_path / "out")) == 5


def test_patterns_are_replaced_as_windows_does_not(pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    (pictures / "[x].png").touch()
    found = sources.expanded(["*.png", "[x].png", "no*.gif", "b.png"])
    assert list(map(str, found)) == ["[x].png", "a.b.png", "a.png", "b.png", "[x].png", "no*.gif", "b.png"]


def finished(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for path in paths:
        path.write_text(name) if (name := path.name) and path.suffix else path.mkdir()
    return paths


def open_batch(tmp_path, *pictures, **given):
    (tmp_path / "out").mkdir(exist_ok=True)
    return batch.Batch(ROOT, options(*pictures, **given), tmp_path / "out", BatchBars())


def paint_due(tmp_path, many, names=("painting_frames.png", "painting.mp4")):
    """What a run does, without a ComfyUI: every picture that is due gets these results. Their names."""
    due = []
    for picture, _ in many.due():
        many.keep(
            picture, finished(tmp_path / "out" / ".paintsundo" / "x", *names), {"checkpoints": ["mine"]}
        )
        due.append(picture.source.name)
    return due


def test_only_what_is_new_or_changed_or_removed_is_due(pictures, tmp_path):
    assert len(paint_due(tmp_path, open_batch(tmp_path, pictures))) == 5
    assert (tmp_path / "out" / "sub" / "deep" / "C_painting.mp4").is_file()
    assert (tmp_path / "out" / "a_jpg_painting.mp4").is_file()
    again = open_batch(tmp_path, pictures)
    assert paint_due(tmp_path, again) == []
    assert (again.tally.there, again.tally.painted, again.tally.failed) == (5, 0, 0)
    (pictures / "b.png").write_bytes(b"another picture")
    (tmp_path / "out" / "a.b_painting.mp4").unlink()
    (pictures / "a.jpg").rename(pictures / "sub" / "moved.jpg")
    assert paint_due(tmp_path, open_batch(tmp_path, pictures)) == ["a.b.png", "b.png"]
    assert (tmp_path / "out" / "b_painting-2.mp4").is_file(), "the older painting stays"
    assert not (tmp_path / "out" / "a.b_painting-2.mp4").exists()
    assert len(paint_due(tmp_path, open_batch(tmp_path, pictures, seed=7))) == 5
    # Where it is computed makes no difference.
    assert paint_due(tmp_path, open_batch(tmp_path, pictures, seed=7, cluster="auto", by="segment")) == []


@pytest.mark.parametrize(
    "names", [("painting",), ("painting_variants.png", "painting_seed7.mp4", "painting_seed8.mp4")]
)
def test_results_of_every_kind_keep_together(pictures, tmp_path, names):
    taken = tmp_path / "out" / f"b_painting{names[-1].removeprefix('painting')}"
    taken.parent.mkdir()
    taken.touch()
    assert paint_due(tmp_path, open_batch(tmp_path, pictures / "b.png"), names) == ["b.png"]
    assert {path.name for path in taken.parent.iterdir()} == {
        taken.name,
        ".paintsundo",
        manifest.MANIFEST,
        *(name.replace("painting", "b_painting-2", 1) for name in names),
    }


def test_unreadable_file_fails_alone_and_is_tried_again(pictures, tmp_path, monkeypatch, capsys):
    read = Path.read_bytes

    def read_bytes(path):
        if path.name == "a.png":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    many = open_batch(tmp_path, pictures)
    assert len(paint_due(tmp_path, many)) == 4
    assert "a.png: FAILED. It cannot be read: Permission denied." in capsys.readouterr().out
    assert "Failed:         1" in many.table(60)
    monkeypatch.undo()
    assert paint_due(tmp_path, open_batch(tmp_path, pictures)) == ["a.png"]


def test_folder_that_cannot_be_read_fails_alone(pictures, tmp_path, capsys):
    (pictures / "gone").mkdir()
    many = open_batch(tmp_path, pictures)
    names = []
    for due, _ in many.due():
        names.append(due.source.name)
        if len(names) == 1:
            (pictures / "gone").rmdir()  # its name was read with those of the pictures beside it
    assert names == ["a.jpg", "a.png", "a.b.png", "b.png", "sub/deep/C.PNG"]
    assert "gone: FAILED. It cannot be read: No such file or directory." in capsys.readouterr().out
    assert "Failed:         1" in many.table(60)


@pytest.fixture
def kept(tmp_path):
    """A manifest with results under the key "aa"."""
    folder = tmp_path / "out"
    folder.mkdir()
    book = manifest.Manifest(folder)
    book.keep(
        "aa", folder / "a_painting", finished(tmp_path / "x", "painting_frames.png", "painting.mp4"), {}
    )
    return book


def test_line_that_a_killed_run_left_unfinished_costs_nothing(kept, tmp_path):
    with kept.path.open("ab") as file:
        file.write(b'{"key": "bb", "resul')
    assert manifest.Manifest(kept.folder).find("bb") is None
    book = manifest.Manifest(kept.folder)
    book.keep("cc", kept.folder / "c_painting", finished(tmp_path / "x", "painting.mp4"), {})
    for reader in (book, kept, manifest.Manifest(kept.folder)):
        reader.refresh()
        assert reader.find("aa")
        assert reader.find("cc")["results"] == {"c_painting.mp4": 12}


@pytest.mark.parametrize(
    "line", [b"\xff\xfe\n", b"[]\n", b"null\n", b'{"key": 5, "results": {}}\n', b"[" * 9000 + b"\n"]
)
def test_foreign_lines_are_passed_over(kept, line):
    kept.path.write_bytes(line + kept.path.read_bytes())
    assert manifest.Manifest(kept.folder).find("aa")


def test_second_run_keeps_what_the_first_has_made_meanwhile(kept, tmp_path):
    second = manifest.Manifest(kept.folder)
    for book, expected in ((kept, ["b_painting.mp4"]), (second, None)):
        moved = book.keep(
            "bb", kept.folder / "b_painting", finished(tmp_path / book.__repr__()[-9:-1], "painting.mp4"), {}
        )
        assert (moved and [path.name for path in moved]) == expected
    assert sorted(path.name for path in kept.folder.glob("b*")) == ["b_painting.mp4"]


def test_run_that_is_killed_between_the_moves_leaves_no_half_and_no_second_name(kept, tmp_path):
    (kept.folder / "a_painting.mp4").unlink()  # as if killed after the sheet
    assert kept.find("aa") is None
    files = finished(tmp_path / "x", "painting_frames.png", "painting.mp4")
    moved = manifest.Manifest(kept.folder).keep("aa", kept.folder / "a_painting", files, {})
    assert [path.name for path in moved] == ["a_painting_frames.png", "a_painting.mp4"]
    (kept.folder / "a_painting.mp4").unlink()
    (kept.folder / "a_painting_frames.png").write_text("somebody has drawn on it")
    files = finished(tmp_path / "x", "painting_frames.png", "painting.mp4")
    moved = manifest.Manifest(kept.folder).keep("aa", kept.folder / "a_painting", files, {})
    assert [path.name for path in moved] == ["a_painting-2_frames.png", "a_painting-2.mp4"]


def test_lines_say_what_a_data_set_needs(pictures, tmp_path):
    paint_due(tmp_path, open_batch(tmp_path, pictures / "b.png", seed=7))
    (line,) = (tmp_path / "out" / manifest.MANIFEST).read_text(encoding="utf-8").splitlines()
    entry = json.loads(line)
    assert (entry["picture"], entry["options"]["seed"], entry["checkpoints"]) == ("b.png", 7, ["mine"])
    assert entry["version"] == batch.version(ROOT)
    assert not set(entry["options"]) & {"cpu", "pictures", "output"}


def test_folder_of_the_results(pictures, tmp_path):
    assert batch.output_folder(options(pictures), ROOT) == ROOT / "output" / "pictures"
    assert batch.output_folder(options(pictures / "a.png", pictures / "b.png"), ROOT) == ROOT / "output"
    with pytest.raises(CommandError, match="Of several pictures it is a folder"):
        batch.output_folder(options(pictures, output=tmp_path / "a.mp4"), ROOT)
    with pytest.raises(CommandError, match="the folder of the pictures. Name another"):
        batch.output_folder(options(pictures, output=pictures), ROOT)


def test_table_of_very_many_pictures_shows_failures_and_sums():
    tally = batch.Tally(
        painted=90, there=5, by_demo=2, failed=30, rows=[("a", "b")] * 20, failures=[("x.png", "no")] * 20
    )
    many = object.__new__(batch.Batch)
    many.tally, many.output = tally, Path("out")
    lines = many.table(3600).splitlines()
    assert lines.count("  x.png  FAILED. no") == 20
    assert "  ... and 10 more failures, in paintsundo.jsonl" in lines
    assert "There already:  5, 2 of them by the built-in demo" in lines
    assert "Time:           60 min 0 s, 90 pictures an hour" in lines


class Answer:
    """A client whose ComfyUI refuses an incomplete checkpoint, in the words of the loader."""

    def queue(self, prompt):
        raise painting.PromptError("refused", [f"{prompt['load']['inputs']['checkpoint']}: vae missing."])


def test_installed_checkpoints_that_cannot_be_used_are_named():
    demo = painting.Checkpoints(True, "demo", "demo", (("Loader", "mine (cannot be used)"),))
    reasons = [painting.reason_unusable(Answer(), *entry) for entry in demo.unusable]
    text = painting.describe(demo, False, True, reasons)
    assert "those that are installed cannot be used:\n  mine (cannot be used): vae missing." in text
    assert "not installed" not in text
    assert "not installed" in painting.describe(demo, False, True)
