"""How far a run is, from the messages of the server."""

import pytest

from tools.progress import RunProgress

PROMPT = {
    "1": {"class_type": "Load", "inputs": {}},
    "2": {"class_type": "Paint", "inputs": {}, "_meta": {"title": "Paint It"}},
    "3": {"class_type": "Save", "inputs": {}},
}


@pytest.fixture
def progress():
    return RunProgress(PROMPT, {"Paint": 8}, {"Paint": 4})


def test_fraction_rises_by_shares_runs_and_steps(progress):
    assert progress.fraction == 0
    progress.feed("executing", {"node": "1"})
    progress.feed("executing", {"node": "2"})
    assert progress.fraction == pytest.approx(0.1)
    progress.feed("progress", {"node": "2", "value": 5, "max": 10})
    assert progress.fraction == pytest.approx(0.1 + 0.8 / 8)
    progress.feed("progress", {"node": "2", "value": 10, "max": 10})
    progress.feed("progress", {"node": "2", "value": 1, "max": 10})
    assert progress.fraction == pytest.approx(0.1 + 0.8 * 1.1 / 4)
    assert progress.label == "Paint It 2 of 4, step 1/10"
    progress.feed("executing", {"node": "3"})
    assert progress.fraction == pytest.approx(0.9)
    progress.feed("executing", {"node": None})
    assert progress.fraction == pytest.approx(1.0)
    assert progress.label == ""


def test_fraction_never_falls_with_more_runs_than_expected(progress):
    progress.feed("executing", {"node": "2"})
    seen = []
    for _ in range(7):
        for value in (1, 2, 3):
            progress.feed("progress", {"node": "2", "value": value, "max": 3})
            seen.append(progress.fraction)
    assert seen == sorted(seen)
    assert max(seen) <= 0.8


def test_node_that_checks_its_widgets_first_is_not_done_by_that():
    prompt = {**PROMPT, "3": {"class_type": "Save", "inputs": {"pictures": ["2", 0], "name": "a"}}}
    progress = RunProgress(prompt, {"Paint": 8}, {})
    for node, fraction in (("3", 0), ("1", 0), ("2", 0.1), ("3", 0.9)):
        progress.feed("executing", {"node": node})
        assert progress.fraction == pytest.approx(fraction)


def test_fraction_cached_nodes_count_as_done(progress):
    progress.feed("execution_cached", {"nodes": ["1", "2", "77"]})
    assert progress.fraction == pytest.approx(0.9)


def test_progress_of_another_node_or_without_end_is_ignored(progress):
    progress.feed("executing", {"node": "2"})
    progress.feed("progress", {"node": "9", "value": 1, "max": 2})
    progress.feed("progress", {"node": "2", "value": 1, "max": 0})
    progress.feed("status", {})
    assert progress.fraction == 0
