"""Names of files: what passes can be stored on every system, and what is made of a name is a name again."""

import re
from datetime import datetime
from pathlib import PureWindowsPath

from hypothesis import given
from hypothesis import strategies as st
from paintsundo_pack.paintsundo_models.file_names import (
    MOST_BYTES,
    cut_to_bytes,
    trouble_with,
    with_dates,
    with_widgets,
)

ANY_TEXT = st.text(st.characters(codec=None), max_size=60) | st.text("ab/.\\: con1漢🎨\n\ud83d%", max_size=40)
LONG = st.text("a漢é🎨", min_size=60, max_size=300)
FORBIDDEN_IN_WINDOWS = '<>:"|?*'


@given(ANY_TEXT | LONG, st.integers(0, 40))
def test_path_that_passes_has_only_names_that_linux_and_windows_store(path, added):
    if trouble_with(path, added) is not None:
        return
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        assert len(part.encode()) + (added if is_last else 0) <= MOST_BYTES
        assert not re.search(rf"[\x00-\x1f\x7f{re.escape(FORBIDDEN_IN_WINDOWS)}]", part)
        if not is_last:
            assert part[-1] not in ". "
            assert not PureWindowsPath(part).is_reserved()


@given(ANY_TEXT | LONG, st.integers(0, 40))
def test_trouble_is_one_printable_end_of_a_sentence(path, added):
    trouble = trouble_with(path, added)
    assert trouble is None or (trouble.startswith("has ") and "\n" not in trouble)


@given(ANY_TEXT | LONG, st.integers(0, 300))
def test_cut_name_is_its_longest_start_that_fits_and_cutting_again_changes_nothing(name, most):
    cut = cut_to_bytes(name, most)
    assert name.startswith(cut)
    size = len(cut.encode("utf-8", "surrogatepass"))
    assert size <= most or cut == name
    assert cut_to_bytes(cut, most) == cut
    if cut != name and not re.search("[\ud800-\udfff]", name):
        assert size + len(name[len(cut)].encode()) > most


@given(ANY_TEXT, st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_dates_leave_no_date_behind_and_texts_without_one_alone(text, now):
    replaced = with_dates(text, now)
    if "%date:" not in text:
        assert replaced == text
    stamped = with_dates("%date:yyyy-MM-dd hh-mm-ss%", now)
    assert datetime.strptime(stamped.zfill(19), "%Y-%m-%d %H-%M-%S") == now.replace(microsecond=0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["nodes", "id", "inputs", "class_type", "title", "properties", "_meta", "Node name for S&R"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(ANY_TEXT | st.just("%A.b%"), JSON, JSON)
def test_graphs_of_any_shape_never_break_a_name(text, prompt, workflow):
    replaced = with_widgets(text, prompt, workflow)
    if "%" not in text:
        assert replaced == text


@given(st.text(max_size=200))
def test_value_of_a_widget_brings_no_folder_and_no_forbidden_letter_into_a_name(value):
    prompt = {"1": {"class_type": "A", "inputs": {"b": value}}}
    name = with_widgets("x%A.b%y", prompt, None)
    assert not re.search(r'[/\\<>:"|?*\x00-\x1f\x7f]', name)
    assert len(name.encode("utf-8", "surrogatepass")) <= 102
