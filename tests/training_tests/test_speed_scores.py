"""Sampling settings compared on the same pictures and seeds, and the page made of the comparison."""

import json
from pathlib import Path

import pytest

from tools.painting import DEMO_WORKFLOW, INTERPOLATE
from tools.painting import KEYFRAMES as KEYFRAMES_NODE
from training import speed_page
from training import speed_scores as scores
from training.speed_run import CHOSEN, REFERENCES, SETTINGS, planned
from training.speed_scores import GUIDED, KEYFRAMES, SEGMENTS, Run, RunFile, Setting

FAST, FEWER = REFERENCES[SEGMENTS][1], CHOSEN[SEGMENTS]


def runs_of(setting, errors, seconds=1.0, seed=0):
    """One run with each error, of the pictures 0, 1, ..."""
    return [
        Run(setting.name, picture, seed, {"between": error, "ends": 2 * error}, seconds)
        for picture, error in enumerate(errors)
    ]


def test_only_the_same_pictures_and_seeds_are_compared():
    runs = runs_of(FAST, [1.0, 2.0]) + runs_of(FEWER, [1.5, 2.5, 99.0]) + runs_of(FEWER, [99.0], seed=1)
    found = scores.compare(runs, FEWER, FAST, "between")
    assert (found.runs, found.mean, found.standard_error) == (2, 0.5, 0.0)
    assert scores.compare(runs, FEWER, FAST, "ends").mean == 1.0
    assert not scores.compare(runs, FEWER, REFERENCES[SEGMENTS][0], "between").costs_nothing


def test_seeds_of_a_picture_are_averaged_before_pictures_are():
    runs = runs_of(FAST, [0.0, 0.0]) + runs_of(FAST, [0.0, 0.0], seed=1)
    runs += runs_of(FEWER, [1.0, 3.0]) + runs_of(FEWER, [-1.0, -1.0], seed=1)
    found = scores.compare(runs, FEWER, FAST, "between")
    assert (found.runs, found.mean, found.standard_error) == (4, 0.5, pytest.approx(0.5))


@pytest.mark.parametrize(
    ("errors", "is_free"), [([0.9, 0.9, 1.0], True), ([1.1, 1.1, 1.1], False), ([1.0, 0.8, 1.15], True)]
)
def test_a_setting_costs_nothing_within_one_standard_error(errors, is_free):
    runs = runs_of(FAST, [1.0, 1.0, 1.0]) + runs_of(FEWER, errors)
    assert scores.costs_nothing(runs, FEWER, REFERENCES[SEGMENTS]) is is_free


def test_it_has_to_hold_against_every_reference_that_was_measured():
    default = REFERENCES[SEGMENTS][0]
    runs = runs_of(FAST, [1.0, 1.0]) + runs_of(FEWER, [1.0, 1.0]) + runs_of(default, [0.9, 0.9])
    assert not scores.costs_nothing(runs, FEWER, (default, FAST))
    assert scores.costs_nothing(runs, FEWER, (FAST,))


def test_cheapest_is_the_one_with_least_time_of_those_that_cost_nothing():
    half, bad = (Setting(SEGMENTS, "dpmpp_2m", steps, "none") for steps in (2, 1))
    runs = runs_of(FAST, [1.0, 1.0], 9) + runs_of(FEWER, [1.0, 1.0], 5)
    runs += runs_of(half, [0.9, 0.9], 3) + runs_of(bad, [2.0, 2.0], 1)
    assert scores.cheapest(runs, [FAST, FEWER, half, bad], (FAST,)) == half


def test_runs_are_kept_and_not_made_again(tmp_path):
    path = tmp_path / "output" / "runs.jsonl"
    for run in runs_of(FAST, [1.0, 2.0]):
        RunFile(path).add(run)
    with path.open("a") as file:
        file.write('{"setting": "broken o')  # the process was ended while it wrote
    again = RunFile(path)
    assert again.runs == runs_of(FAST, [1.0, 2.0])
    assert again.has(FAST, 1, 0)
    assert not again.has(FAST, 1, 1)
    again.add(Run(FAST.name, 1, 1, {"between": 1.0, "ends": 1.0}, 1.0))
    assert len(RunFile(path).runs) == 3


def test_all_pictures_come_with_the_first_seed_before_the_second_begins():
    order = [(seed, picture) for seed, picture, settings in planned(2, 2) if FEWER in settings]
    assert order == [(0, 0), (0, 1), (1, 0), (1, 1)]
    asked = {setting for *_, settings in planned(24, 3) for setting in settings}
    assert asked == set(SETTINGS)


def test_page_has_a_line_for_each_setting_that_was_measured(tmp_path):
    runs = runs_of(FAST, [1.0, 2.0], 9) + runs_of(FEWER, [0.5, 1.5], 2)
    for kind_setting in (REFERENCES[KEYFRAMES][1], CHOSEN[KEYFRAMES]):
        runs += [
            Run(kind_setting.name, picture, 0, {"middle": 0.1, "canvas": 0.0, "finished": 17.0}, 3.0)
            for picture in range(2)
        ]
    text = speed_page.write(runs, tmp_path).read_text(encoding="utf-8")
    assert f"| {FEWER.sampler} | {FEWER.steps} | none | 2 | 1.0000 (-0.5000 ± 0.0000) |" in text
    assert text.count("yes, the demo's") == 2
    assert f"The cheapest that costs nothing: {FEWER.name.partition(': ')[2]}." in text


def test_the_demos_workflow_takes_the_chosen_settings():
    graph = json.loads((Path(__file__).resolve().parents[2] / DEMO_WORKFLOW).read_text(encoding="utf-8"))
    values = {node["type"]: node.get("widgets_values") for node in graph["nodes"]}
    for node, kind, first, guided_cfg in ((KEYFRAMES_NODE, KEYFRAMES, 7, 3), (INTERPOLATE, SEGMENTS, 4, 7.5)):
        steps, cfg, sampler = values[node][first : first + 3]
        chosen = CHOSEN[kind]
        assert (steps, sampler) == (chosen.steps, chosen.sampler)
        assert cfg == (guided_cfg if chosen.guidance == GUIDED else 1)
    assert values[INTERPOLATE][-1] == 1, "pictures that differ by less are cross-faded"
