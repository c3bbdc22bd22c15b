"""The procedural painter: repeatable paintings, a steady course from blank to finished, variety."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from training.scenes import OPERATIONS, SUBJECTS, Painting

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 128, 192
STEPS = [0, 120, 333, 480, 700, 990]
DIGEST = f"""
import hashlib
from training.scenes import Painting
print(*(hashlib.sha256(Painting(s, {WIDTH}, {HEIGHT}).states({STEPS}).tobytes()).hexdigest() for s in range(3)))
"""


def ink(states):
    """Share of pixels that are not white, for each picture."""
    return (states.min(axis=-1) < 250).mean(axis=(1, 2))


def test_painting_of_the_same_seed_is_the_same_bytes_here_and_in_another_process():
    here = []
    for seed in range(3):
        one, two = (Painting(seed, WIDTH, HEIGHT).states(STEPS) for _ in range(2))
        assert np.array_equal(one, two)
        here.append(hashlib.sha256(one.tobytes()).hexdigest())
    there = subprocess.run(
        [sys.executable, "-c", DIGEST], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert there.stdout.split() == here


def test_states_in_any_order_equal_single_states():
    painting = Painting(11, WIDTH, HEIGHT)
    steps = [500, 0, 999, 731, 730, 500, 1]
    states = painting.states(steps)
    assert states.shape == (len(steps), HEIGHT, WIDTH, 3)
    assert states.dtype == np.uint8
    for state, step in zip(states, steps, strict=True):
        assert np.array_equal(state, painting.state(step))


def test_states_of_no_steps_are_an_empty_array():
    assert Painting(0, WIDTH, HEIGHT).states([]).shape == (0, HEIGHT, WIDTH, 3)


def test_first_operation_leaves_the_canvas_almost_white():
    for seed in range(20):
        state = Painting(seed, WIDTH, HEIGHT).state(OPERATIONS - 1)
        assert state.mean() >= 0.98 * 255
        assert state.min() < 255


def test_finished_picture_is_painted():
    for seed in range(40):
        state = Painting(seed, WIDTH, HEIGHT).state(0)
        assert state.std() > 20
        assert ink(state[None])[0] > 0.2


def test_ink_grows_with_the_operations():
    pairs = []
    for seed in range(40):
        shares = ink(Painting(seed, WIDTH, HEIGHT).states([*range(0, OPERATIONS, 100), OPERATIONS - 1]))
        # A highlight may turn a few pixels nearly white; the construction lines vanish in one interval.
        pairs += (shares[:-1] >= shares[1:] - 0.002).tolist()
    assert np.mean(pairs) >= 0.95


def test_every_stretch_of_operations_changes_the_picture():
    for seed in range(10):
        states = Painting(seed, WIDTH, HEIGHT).states(range(0, OPERATIONS, 25)).astype(np.int16)
        changed = np.abs(np.diff(states, axis=0)).max(axis=(1, 2, 3))
        assert (changed > 0).all()


def test_lines_come_before_colours_at_the_same_time_in_all_scenes():
    for seed in range(30):
        before, after = Painting(seed, WIDTH, HEIGHT).states([660, 370]).astype(np.int16)
        saturated = [(np.ptp(state, axis=-1) > 70).mean() for state in (before, after)]
        assert saturated[0] < 0.06  # lines only; dark blue and brown inks are not quite grey
        assert ink(after[None])[0] > 0.15


def test_construction_lines_are_gone_when_the_flats_begin():
    for seed in range(20):
        state = Painting(seed, WIDTH, HEIGHT).state(OPERATIONS - 365).astype(np.int16)
        centre = state[:, WIDTH // 2 - 2 : WIDTH // 2 + 3]
        guide = np.abs(centre - np.array([170, 189, 215])).max(axis=-1) < 12
        assert guide.mean() < 0.05


def test_every_subject_occurs_in_200_seeds():
    assert {Painting(seed, 32, 48).subject for seed in range(200)} == set(SUBJECTS)


def test_different_seeds_differ():
    pictures = {Painting(seed, WIDTH, HEIGHT).state(0).tobytes() for seed in range(30)}
    assert len(pictures) == 30


@pytest.mark.parametrize(("width", "height"), [(192, 128), (128, 128), (96, 256), (320, 200)])
def test_other_sizes_show_the_same_subject(width, height):
    for seed in range(12):
        painting = Painting(seed, width, height)
        state = painting.state(0)
        assert painting.subject == Painting(seed, WIDTH, HEIGHT).subject
        assert state.shape == (height, width, 3)
        assert ink(state[None])[0] > 0.15


def test_a_larger_picture_is_the_same_scene():
    for seed in range(6):
        small = Painting(seed, WIDTH, HEIGHT).state(0).astype(np.float64)
        large = Painting(seed, 4 * WIDTH, 4 * HEIGHT).state(0).astype(np.float64)
        shrunk = large.reshape(HEIGHT, 4, WIDTH, 4, 3).mean(axis=(1, 3))
        assert np.abs(shrunk - small).mean() < 4


@pytest.mark.parametrize("step", [-1, OPERATIONS, 5000])
def test_a_step_outside_of_the_painting_is_refused(step):
    painting = Painting(0, 64, 64)
    with pytest.raises(ValueError, match=str(step)):
        painting.state(step)
    with pytest.raises(ValueError, match=str(step)):
        painting.states([0, step])


@pytest.mark.parametrize(("width", "height"), [(0, 64), (64, -1), (15, 32), (64, 512), (9000, 9000)])
def test_a_silly_size_is_refused(width, height):
    with pytest.raises(ValueError, match=f"{width}x{height}"):
        Painting(0, width, height)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=str(seed)):
        Painting(seed, 64, 64)
