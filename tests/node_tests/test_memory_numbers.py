"""No number in a widget chooses memory, also where it comes through a link, which the host does not check."""

import math
from fractions import Fraction

import comfy.model_management
import pytest
import torch
from comfy_api.latest import io
from paintsundo_pack.nodes import NODES
from paintsundo_pack.nodes.assemble_video import AssembleVideo
from paintsundo_pack.nodes.mask_changes import ChangeMask
from paintsundo_pack.nodes.multi_frame_sampling import TrailingScheduler
from paintsundo_pack.nodes.plan_steps import PlanSteps
from paintsundo_pack.nodes.predict_keyframes import KeyframeConditioning, PredictKeyframe
from paintsundo_pack.nodes.variants import Variants
from paintsundo_pack.paintsundo_models import keyframes, loading
from paintsundo_pack.paintsundo_models.host.objects import Prompts
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings
from paintsundo_pack.paintsundo_models.operation_steps import read_operation_steps
from paintsundo_pack.paintsundo_models.per_segment import read_seeds
from paintsundo_pack.paintsundo_models.pictures.sizes import OWN_SIZE, frame_size
from paintsundo_pack.paintsundo_models.pictures.stage_sheet import draw_sheet
from paintsundo_pack.paintsundo_models.video.assembly import AssemblySettings, assemble
from PIL import Image

from benchmarks.live_memory import LiveTensors

PICTURE = torch.rand(1, 64, 64, 3)
SEGMENT = torch.rand(16, 64, 64, 3)
NUMBERS = [
    (node, field)
    for node in NODES
    for field in node.define_schema().inputs
    if isinstance(field, io.Int.Input | io.Float.Input)
]


@pytest.mark.parametrize(("node", "field"), NUMBERS, ids=lambda value: getattr(value, "id", None))
def test_every_number_has_limits(node, field):
    assert field.min is not None
    assert field.max is not None
    assert field.min <= field.default <= field.max


@pytest.fixture(scope="module")
def single_frame(seeded_checkpoints):
    return loading.load_single_frame(seeded_checkpoints["single_frame"], "fp32")


def run(node, **inputs):
    """Run a node with its defaults and these inputs, with every input a list where it takes lists."""
    schema = node.define_schema()
    given = {field.id: field.default for field in schema.inputs if isinstance(field, io.WidgetInput)} | inputs
    if schema.is_input_list:
        given = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    return type(node.__name__, (node,), {"hidden": io.HiddenHolder.from_dict({})}).execute(**given)


HUGE = [
    (Variants, "count", 10**12, "from 1 to 100"),
    (Variants, "count", -1, "from 1 to 100"),
    (PlanSteps, "count", 10**12, "from 1 to 32"),
    (AssembleVideo, "fps", 1e12, "0.01 to 1000"),
    (AssembleVideo, "hold_first", 1e12, "hold_first must be 0 to 600"),
    (AssembleVideo, "hold_last", math.inf, "hold_last must be 0 to 600"),
    (AssembleVideo, "hold_last", math.nan, "hold_last must be 0 to 600"),
    (AssembleVideo, "duration", 1e12, "0 .by fps. to 600"),
    (ChangeMask, "softness", 10**12, "from 0 to 256"),
]


@pytest.mark.parametrize(("node", "name", "value", "words"), HUGE)
def test_huge_number_through_a_link_is_refused_in_words(node, name, value, words):
    others = {} if node in (Variants, PlanSteps) else {"frames": SEGMENT}
    with LiveTensors() as live, pytest.raises(ValueError, match=words):
        run(node, **others, **{name: value})
    assert live.peak < 10e6


MODEL_NUMBERS = [
    (PredictKeyframe, "width", 64 * 10**9, "multiple of 64 up to 2048"),
    (PredictKeyframe, "steps", 10**12, "steps is 1000000000000, and must be from 1 to 1000"),
    (PredictKeyframe, "steps", 0, "must be from 1 to 1000"),
    (KeyframeConditioning, "height", 64 * 10**9, "multiple of 64 up to 2048"),
]


@pytest.mark.parametrize(("node", "name", "value", "words"), MODEL_NUMBERS)
def test_huge_number_for_a_model_is_refused_in_words(node, name, value, words, single_frame):
    model, clip, vae = single_frame
    objects = {"model": model, "clip": clip, "vae": vae, "image": PICTURE}
    if node is KeyframeConditioning:
        objects = {"positive": [], "negative": [], "vae": vae, "image": PICTURE}
    with LiveTensors() as live, pytest.raises(ValueError, match=words):
        run(node, **objects, **{name: value})
    assert live.peak < 100e6


def test_huge_number_of_sampling_steps_is_refused(seeded_checkpoints):
    model = loading.load_multi_frame(seeded_checkpoints["multi_frame"], "fp32").model
    with pytest.raises(ValueError, match="1000"):
        run(TrailingScheduler, model=model, steps=10**12)


@pytest.mark.parametrize("word", ["1000", "9" * 5000, "1" + "0" * 100_000])
def test_numbers_of_thousands_of_digits_are_refused_in_words(word):
    with pytest.raises(ValueError, match="is no operation step. Write whole numbers"):
        read_operation_steps(f"400, {word}")
    if len(word) > 20:
        with pytest.raises(ValueError, match="is no whole number from 0"):
            read_seeds(word)


def test_segment_of_a_huge_picture_is_refused_in_words():
    assert frame_size(OWN_SIZE, torch.empty(1, 2048, 64, 3, device="meta")) == (2048, 64)
    with pytest.raises(ValueError, match=r'would have 4096x64 pixels.*2048.*"nearest trained size"'):
        frame_size(OWN_SIZE, torch.empty(1, 64, 4096, 3, device="meta"))


def test_sheet_of_huge_pictures_is_refused_in_words():
    picture = Image.new("RGB", (3000, 3000))
    with pytest.raises(ValueError, match="may have 400 million"):
        draw_sheet([picture] * 100, ["a"] * 100, size="as the pictures")


def test_more_keyframes_than_main_memory_has_room_for_are_refused_before_the_sampling(
    single_frame, monkeypatch
):
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_, **__: 2_000_000)
    settings = SamplerSettings(1, 1000, 1.0, "euler", "karras")
    with pytest.raises(
        ValueError, match=r"100 frames of 64x64 pixels take .* GB of main memory.*fewer operation steps"
    ):
        keyframes.predict_keyframes(
            single_frame, PICTURE, list(range(100)), Prompts("", ""), settings, 64, 64
        )


HELD = {"hold_first": 60.0, "hold_last": 60.0}


def test_held_frames_take_no_memory_until_an_output_wants_them(monkeypatch):
    """60 seconds at both ends at 60 frames a second, 448x384: 15 GB as one batch."""
    segment = torch.rand(16, 384, 448, 3)
    with LiveTensors() as live:
        video = assemble([segment], AssemblySettings(rate=Fraction(60), **HELD))
        count = sum(1 for _ in video.played)
    assert count == 2 * 3600 + 16
    assert live.peak < 10e6, f"{live.peak / 1e6:.0f} MB beyond the segment"

    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_, **__: 10_000_000_000)
    made = []
    monkeypatch.setattr(torch, "empty", lambda *shape, **_: made.append(shape))
    with pytest.raises(
        ValueError,
        match=r"7216 frames of 448x384 pixels take 14.9 GB.*Disconnect the outputs video and frames",
    ):
        run(AssembleVideo, frames=segment, fps=60.0, **HELD)
    assert not made
