"""Sheets of stages: where the pictures stand, what is written below them, in which font; and the node."""

import numpy as np
import pytest
import torch
from comfy_api.latest import io
from paintsundo_pack.nodes.draw_stage_sheet import GIVEN, StageSheet
from paintsundo_pack.paintsundo_models.pictures import fonts, stage_sheet
from paintsundo_pack.paintsundo_models.pictures.stage_sheet import draw_sheet, step_labels, wrap
from PIL import Image

GROUND = 226


def pictures(count, size=(60, 40)):
    """Plain pictures, each of a colour that no other has."""
    return [Image.new("RGB", size, (20 * i + 10, 200, 40)) for i in range(count)]


def places(sheet, count):
    """Left, top, right and bottom of each of `pictures` on a sheet."""
    pixels = np.asarray(sheet)
    found = []
    for picture in pictures(count):
        rows, columns = np.nonzero((pixels == picture.getpixel((0, 0))).all(-1))
        found.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return found


def ink_below(sheet, place, room=14):
    """Darkest pixel in the strip below a picture."""
    left, _, right, bottom = place
    return np.asarray(sheet)[bottom + 3 : bottom + room, left:right].min()


def test_pictures_stand_in_rows_with_their_labels_below():
    sheet = draw_sheet(pictures(5), ["a", "b", "", "d", "e"], columns=3)
    found = places(sheet, 5)
    assert all((right - left, bottom - top) == (60, 40) for left, top, right, bottom in found)
    assert [top for _, top, _, _ in found[:3]] == [found[0][1]] * 3
    assert [left for left, *_ in found[3:]] == [left for left, *_ in found[:2]]
    assert found[3][1] > found[0][3]
    assert [bool(ink_below(sheet, place) < 150) for place in found] == [True, True, False, True, True]


def test_title_stands_above_and_moves_the_rest_down():
    plain, titled = (draw_sheet(pictures(2), ["a", "b"], title=title) for title in ("", "Stages"))
    down = places(titled, 2)[0][1] - places(plain, 2)[0][1]
    assert titled.height - plain.height == down > 15
    assert np.asarray(titled)[:down].min() < 150


@pytest.mark.parametrize("size", stage_sheet.SHEET_SIZES)
@pytest.mark.parametrize(("count", "picture"), [(1, (60, 40)), (8, (40, 60)), (12, (60, 40)), (7, (90, 20))])
def test_sheet_has_its_size_and_every_picture_on_it(size, count, picture):
    sheet = draw_sheet(pictures(count, picture), ["a long label of words"] * count, "Title", size=size)
    if size == stage_sheet.A4:
        assert sheet.size in ((2480, 3508), (3508, 2480))
    if size == stage_sheet.LETTER:
        assert sheet.size in ((2550, 3300), (3300, 2550))
    if size == stage_sheet.SCREEN:
        assert sheet.width == 1920
    found = places(sheet, count)
    aspects = [(right - left) / (bottom - top) for left, top, right, bottom in found]
    assert aspects == pytest.approx([picture[0] / picture[1]] * count, rel=0.1)
    assert all(right < sheet.width and bottom + 12 < sheet.height for _, _, right, bottom in found)
    if size == stage_sheet.OWN_SIZE:
        assert (found[0][2] - found[0][0], found[0][3] - found[0][1]) == picture


def test_white_canvas_is_seen_on_both_grounds():
    for size, ground in ((stage_sheet.SCREEN, GROUND), (stage_sheet.A4, 255)):
        pixels = np.asarray(draw_sheet([Image.new("RGB", (60, 40), "white")], [""], size=size))
        assert pixels[0, 0, 0] == ground
        assert {GROUND, 190} & set(np.unique(pixels)), "another ground, or a frame around it"


def test_too_many_pictures_for_a_page_are_refused():
    with pytest.raises(ValueError, match="do not fit on A4"):
        draw_sheet(pictures(1, (60, 4000)) * 100, [""] * 100, columns=1, size=stage_sheet.A4)
    with pytest.raises(ValueError, match="1 to 100 pictures; got 101"):
        draw_sheet(pictures(1) * 101, [""] * 101)


@pytest.mark.parametrize(
    "text",
    ["a label of several words", "Donaudampfschifffahrtsgesellschaft", "長い名前の段階", "", "two\nlines"],
)
def test_wrapped_lines_fit_and_lose_nothing(text):
    font = fonts.FontFace("").at(13)
    lines = wrap(text, font, 70, 9)
    assert all(font.getlength(line) <= 70 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")


def test_what_is_beyond_the_last_line_ends_with_an_ellipsis():
    font = fonts.FontFace("").at(13)
    lines = wrap("many words " * 20, font, 70, 2)
    assert len(lines) == 2
    assert lines[-1].endswith("…")
    assert font.getlength(lines[-1]) <= 70


@pytest.mark.parametrize(
    ("steps", "count", "labels"),
    [
        ("400, 800", 2, ["flat colours (400)", "line art (800)"]),
        ("400, 800", 3, ["finished", "flat colours (400)", "line art (800)"]),
        ("0, 950, 999", 3, ["finished (0)", "rough sketch (950)", "first stroke (999)"]),
        ("100, 999", 4, ["finished", "shading (100)", "first stroke (999)", "white canvas"]),
    ],
)
def test_steps_name_the_stages(steps, count, labels):
    assert step_labels(steps, count) == labels


def test_steps_of_other_keyframes_are_refused():
    with pytest.raises(ValueError, match="has 2 steps, and there are 5 pictures"):
        step_labels("400, 800", 5)


def test_english_needs_no_font_of_the_system_and_others_say_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(fonts, "_listed", lambda: ())
    fonts._find_face.cache_clear()
    (tmp_path / "broken.ttf").write_bytes(b"none")
    assert fonts.fonts_for(["Stages", "line art (800), 3.5 s"]) == [fonts.FontFace("")] * 2
    monkeypatch.setattr(fonts, "_listed", lambda: (tmp_path / "broken.ttf",))
    with pytest.raises(ValueError, match='all the letters of "完成"'):
        fonts.fonts_for(["Stages", "完成"])
    with pytest.raises(ValueError, match="完成"):
        StageSheet.validate_inputs(labels="完成", title="", operation_steps="")
    fonts._find_face.cache_clear()


@pytest.mark.parametrize(
    "texts",
    [["线稿", "完成"], ["ラフスケッチ", "完成"], ["스케치"], ["Эскиз"], ["Überschrift é"], ["Sketch, 线稿"]],
)
def test_font_of_the_system_has_every_letter_or_its_lack_is_said(texts):
    """Which fonts there are differs from computer to computer; either answer is checked."""
    if any(fonts._find_face(fonts._letters(text), fonts._script("".join(texts))) is None for text in texts):
        with pytest.raises(ValueError, match="has all the letters of"):
            fonts.fonts_for(texts)
        return
    faces = fonts.fonts_for(texts)
    for face, text in zip(faces, texts, strict=True):
        drawn = [fonts._drawn(face.at(40), letter) for letter in sorted(set(text) - {" "})]
        assert fonts._drawn(face.at(40), "\U0010fffe") not in drawn
        assert len(set(drawn)) == len(drawn), "each letter has its own form"


@pytest.mark.parametrize(
    ("texts", "script"), [("线稿完成", "SC"), ("下描き 完成", "JP"), ("스케치", "KR"), ("Sketch", "")]
)
def test_forms_of_chinese_characters_follow_the_texts(texts, script):
    assert fonts._script(texts) == script


def run(images, **widgets):
    inputs = {
        field.id: widgets.get(field.id, field.default)
        for field in StageSheet.define_schema().inputs
        if isinstance(field, io.WidgetInput)
    }
    (sheet,) = StageSheet.execute(images=images, **inputs).args
    return sheet


@pytest.fixture
def batch(tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    return torch.stack([torch.from_numpy(np.asarray(p, dtype=np.float32) / 255) for p in pictures(5)])


def test_node_turns_keyframes_round_and_leaves_frames(batch):
    for order, rising in (("painting (turned round)", False), (GIVEN, True)):
        sheet = run(batch, columns=5, size=stage_sheet.OWN_SIZE, order=order)
        assert sheet.dtype == torch.float32
        image = Image.fromarray((sheet[0].numpy() * 255).round().astype(np.uint8))
        lefts = [left for left, *_ in places(image, 5)]
        assert lefts == sorted(lefts, reverse=not rising)


@pytest.mark.parametrize(
    "widgets",
    [
        {"labels": "a\nb\nc\nd\ne"},
        {"operation_steps": "100, 400, 800"},
        {"fps": 4.0, "order": GIVEN},
        {},
    ],
)
def test_node_labels_every_picture(batch, widgets):
    sheet = run(batch, size=stage_sheet.OWN_SIZE, **widgets)
    image = Image.fromarray((sheet[0].numpy() * 255).round().astype(np.uint8))
    assert all(ink_below(image, place) < 150 for place in places(image, 5))


def test_node_takes_some_of_many_and_says_where_labels_do_not_fit(batch):
    sheet = run(batch, most=3, columns=3, size=stage_sheet.OWN_SIZE)
    assert sheet.shape[2] == 3 * 72 + 12
    with pytest.raises(ValueError, match="labels has 4 lines, and the sheet shows 3 pictures"):
        run(batch, most=3, labels="a\nb\nc\nd")
    with pytest.raises(ValueError, match="no operation step"):
        StageSheet.validate_inputs(labels="", operation_steps="400, x")
    assert StageSheet.validate_inputs(labels="a", title="b", operation_steps=None) is True
