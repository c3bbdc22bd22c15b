"""Plans of operation steps: the divisions, and the node that makes them with small seeded models."""

import pytest
import torch
from comfy_execution.graph_utils import ExecutionBlocker
from paintsundo_pack.nodes.plan_steps import PlanSteps
from paintsundo_pack.paintsundo_models import loading, planning
from paintsundo_pack.paintsundo_models.host.single_frame import TRAINED_SIZES
from paintsundo_pack.paintsundo_models.operation_steps import parse_operation_steps


def plan(division, count=6, share=0.0):
    return planning.steps_of(planning.with_sketch_share(division, share), count)


def probes(*greys):
    """Plain pictures at PROBE_STEPS."""
    return torch.tensor(greys, dtype=torch.float32)[:, None, None, None].expand(-1, 64, 64, 3)


FADING = probes(0.2, 0.3, 0.4, 0.5, 0.9, 0.95, 0.98, 0.99)
"""Half of the change lies between steps 450 and 550."""


def test_original_list_is_the_originals_for_its_count_and_divides_alike_for_others():
    assert plan(planning.original_division()) == [400, 600, 800, 900, 950, 999]
    few, many = (plan(planning.original_division(), count) for count in (3, 13))
    assert few == [550, 850, 962]
    assert many[1:10:2] == [400, 600, 800, 900, 950]


def test_even_steps_are_even():
    assert plan(planning.even_division(), 4) == [200, 400, 600, 800]


def test_equal_change_puts_the_keyframes_where_the_picture_changes():
    steps = plan(planning.change_division(FADING))
    assert steps == sorted(set(steps))
    assert sum(450 <= step <= 550 for step in steps) >= 2
    assert steps[0] > 100, "some part is spread evenly over all steps"
    assert steps[-1] > 550


def test_blank_picture_is_divided_evenly():
    assert plan(planning.change_division(probes(*[1.0] * 8)), 4) == [200, 400, 600, 800]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_sketch_share_gives_the_sketch_at_least_its_part(share):
    division = planning.change_division(FADING)
    before = sum(step >= 800 for step in plan(division, 19))
    steps = plan(division, 19, share)
    assert sum(step >= 800 for step in steps) >= max(before, round(19 * share))
    assert plan(planning.original_division(), share=0.5) == [400, 600, 800, 900, 950, 999], (
        "it has that already"
    )


@pytest.mark.parametrize("count", [1, 2, 6, 20, planning.MAX_KEYFRAMES])
@pytest.mark.parametrize("share", [0, 0.9])
def test_every_plan_has_its_count_of_different_steps(count, share):
    steep = planning.change_division(probes(*[0.0] * 7, 1.0))
    for division in (planning.original_division(), planning.even_division(), steep):
        steps = plan(division, count, share)
        assert len(steps) == count
        assert steps == sorted(set(steps))
        assert steps[0] >= 1
        assert steps[-1] <= 999


@pytest.mark.parametrize("count", [0, planning.MAX_KEYFRAMES + 1])
def test_count_out_of_range_is_refused(count):
    with pytest.raises(ValueError, match="number of keyframes must be from 1"):
        plan(planning.even_division(), count)


def test_node_plans_without_models_and_gives_no_probes():
    result = PlanSteps.execute(count=6, spacing="original list", sketch_share=0.0)
    assert result.args[0] == "400, 600, 800, 900, 950, 999"
    assert isinstance(result.args[1], ExecutionBlocker)


def test_equal_change_paints_probes_and_plans_the_same_each_time(seeded_checkpoints):
    model, clip, vae = loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")
    setattr(vae, TRAINED_SIZES, ((64, 64),))  # or the probes would be as large as the released model's
    picture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    sizes = {"count": 5, "spacing": "equal change", "sketch_share": 0.2}
    with torch.inference_mode():  # as ComfyUI runs nodes
        first, second = (
            PlanSteps.execute(**sizes, model=model, clip=clip, vae=vae, image=picture, prompt="1girl").args
            for _ in range(2)
        )
    assert len(first[1]) == len(planning.PROBE_STEPS)
    assert first[0] == second[0]
    assert len(parse_operation_steps(first[0])) == 5


def test_equal_change_without_its_inputs_is_refused_by_names():
    with pytest.raises(ValueError, match="nothing is connected to clip, vae"):
        PlanSteps.validate_inputs(spacing="equal change", model=None, image=None)
    assert "nothing is connected to model" in str(PlanSteps.validate_inputs(spacing="equal change"))
    with pytest.raises(ValueError, match="nothing is connected to model, clip, vae, image"):
        PlanSteps.execute(count=6, spacing="equal change", sketch_share=0.0)
