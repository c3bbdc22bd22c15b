"""Nodes of the single-frame model: the native path's conditioning, and keyframes in one step."""

from typing import Any

import comfy.samplers
from comfy_api.latest import io

from ..paintsundo_models.constants import (
    DEFAULT_KEYFRAME_CFG,
    DEFAULT_KEYFRAME_NEGATIVE,
    DEFAULT_KEYFRAME_SEED,
    DEFAULT_KEYFRAME_STEPS,
    DEFAULT_OPERATION_STEPS,
    GRID,
    KEYFRAME_MAX_SIDE,
    OPERATION_STEP_MAX,
    SEED_MAX,
)
from ..paintsundo_models.host.sampling import SamplerSettings
from ..paintsundo_models.keyframes import encode_picture, keyframe_conditioning, predict_keyframes
from ..paintsundo_models.operation_steps import parse_operation_steps
from ..paintsundo_models.pictures import sizes
from .previews import results_shown

STEPS_MEANING = (
    f"0 is the finished picture, {OPERATION_STEP_MAX} the first stroke on the white canvas; about 400 loses the shading, "
    "about 800 the colours, about 950 leaves a rough sketch"
)


def image_input() -> io.Image.Input:
    """The finished picture."""
    return io.Image.Input(
        "image",
        tooltip="The finished picture, one, of any size. It is resized to width x height and its overhang cut off; transparent "
        "parts become white.",
    )


def size_inputs() -> list[io.Int.Input]:
    """Width and height of the keyframes."""
    return [
        io.Int.Input(
            name,
            default=0,
            min=0,
            max=KEYFRAME_MAX_SIDE,
            step=GRID,
            tooltip=f"{name.capitalize()} of the keyframes in pixels, a multiple of 64. 0: by the picture's own shape, at about "
            "the 512x640 pixels of the training (at most a third more). Larger shows more detail, takes more memory and may repeat things.",
        )
        for name in ("width", "height")
    ]


def operation_steps_input() -> io.String.Input:
    """Several operation steps as text."""
    return io.String.Input(
        "operation_steps",
        default=DEFAULT_OPERATION_STEPS,
        tooltip=f"One keyframe each: whole numbers separated by commas or spaces; {STEPS_MEANING}. They are sorted, and each counts once. "
        "5 to 7 make a good video.",
    )


def prediction_inputs(operation_step_input: io.Int.Input | io.String.Input) -> list:
    """The inputs that both prediction nodes share, with their own input for the operation step."""
    return [
        io.Model.Input(
            "model", tooltip="MODEL of the PaintsUndo Single-Frame Loader; LoRAs for SD 1.5 may lie between."
        ),
        io.Clip.Input("clip", tooltip="CLIP of the PaintsUndo Single-Frame Loader."),
        io.Vae.Input("vae", tooltip="VAE of the PaintsUndo Single-Frame Loader."),
        image_input(),
        operation_step_input,
        io.String.Input(
            "prompt",
            default="",
            multiline=True,
            tooltip="Tags that say what the picture shows, as Tag Picture (WD14) writes them. Read literally, at most 75 tokens. "
            "Empty works, with vaguer sketches.",
        ),
        io.String.Input(
            "negative_prompt",
            default=DEFAULT_KEYFRAME_NEGATIVE,
            multiline=True,
            tooltip="Tags of what must not appear. The default is the reference's.",
        ),
        *size_inputs(),
        *sampling_inputs(),
    ]


def sampling_inputs() -> list:
    """How to sample."""
    return [
        io.Int.Input(
            "seed",
            default=DEFAULT_KEYFRAME_SEED,
            min=0,
            max=SEED_MAX,
            control_after_generate=True,
            tooltip="The noise that all keyframes of a picture share. Another number, another way to paint it; the same number, "
            "the same keyframes, one by one or together.",
        ),
        io.Int.Input(
            "steps",
            default=DEFAULT_KEYFRAME_STEPS,
            min=1,
            max=1000,
            tooltip="Sampling steps. 50: the reference. Fewer are faster and rougher; time grows with them.",
        ),
        io.Float.Input(
            "cfg",
            default=DEFAULT_KEYFRAME_CFG,
            min=0.0,
            max=30.0,
            step=0.1,
            tooltip="How strongly the prompt rules. 1: not at all, and twice as fast. 3: the reference. High: hard, burnt colours.",
        ),
        io.Combo.Input(
            "sampler_name",
            options=comfy.samplers.KSampler.SAMPLERS,
            default="dpmpp_2m",
            tooltip="The sampler; dpmpp_2m is the reference's. Ancestral and SDE samplers run keyframe by keyframe, so that they "
            "stay alike.",
        ),
        io.Combo.Input(
            "scheduler",
            options=comfy.samplers.KSampler.SCHEDULERS,
            default="karras",
            tooltip="How the noise falls from step to step; karras is the reference's.",
        ),
    ]


def check_sizes_and_steps(
    width: int | None, height: int | None, operation_steps: str | None = None
) -> bool | str:
    """For validate_inputs, so that nothing runs in vain; None means linked, known only later."""
    try:
        sizes.check_keyframe_sides(width or 0, height or 0)
        if operation_steps is not None:
            parse_operation_steps(operation_steps)
    except ValueError as error:
        return str(error)
    return True


class KeyframeConditioning(io.ComfyNode):
    """What turns the host's KSampler into a predictor of keyframes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoKeyframeConditioning",
            display_name="Keyframe Conditioning",
            category="PaintsUndo/keyframes",
            description="Adds the finished picture and the operation steps to prompts, for KSampler (reference: dpmpp_2m, karras, "
            "50 steps, cfg 3) and VAE Decode.",
            inputs=[
                io.Conditioning.Input(
                    "positive", tooltip="CLIP Text Encode of the tags, with the single-frame model's CLIP."
                ),
                io.Conditioning.Input("negative", tooltip="CLIP Text Encode of what must not appear."),
                io.Vae.Input("vae", tooltip="VAE of the PaintsUndo Single-Frame Loader."),
                image_input(),
                operation_steps_input(),
                *size_inputs(),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="positive", tooltip="The prompt with the picture and the operation steps."
                ),
                io.Conditioning.Output(display_name="negative", tooltip="The negative prompt with the same."),
                io.Latent.Output(
                    display_name="latent",
                    tooltip="One empty latent for each operation step, rising; all share one noise.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, width: int | None = None, height: int | None = None, operation_steps: str | None = None
    ) -> bool | str:
        return check_sizes_and_steps(width, height, operation_steps)

    @classmethod
    def execute(
        cls,
        positive: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        vae: io.Vae.Type,
        image: io.Image.Type,
        operation_steps: str,
        width: int,
        height: int,
    ) -> io.NodeOutput:
        steps = parse_operation_steps(operation_steps)
        picture = encode_picture(vae, image, width, height)
        return io.NodeOutput(*keyframe_conditioning(positive, negative, picture, steps))


class PredictKeyframe(io.ComfyNode):
    """One keyframe at one operation step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoPredictKeyframe",
            display_name="Predict Keyframe",
            category="PaintsUndo/keyframes",
            description="Paints the picture as it was at one operation step, and shows it, with what was cut off where anything was.",
            inputs=prediction_inputs(
                io.Int.Input(
                    "operation_step",
                    default=500,
                    min=0,
                    max=OPERATION_STEP_MAX,
                    tooltip=f"How many undos: {STEPS_MEANING}.",
                )
            ),
            outputs=[io.Image.Output(display_name="keyframe", tooltip="One picture, width x height.")],
        )

    @classmethod
    def validate_inputs(cls, width: int | None = None, height: int | None = None) -> bool | str:
        return check_sizes_and_steps(width, height)

    @classmethod
    def execute(cls, image: io.Image.Type, operation_step: int, **inputs: Any) -> io.NodeOutput:
        pictures = predict(image, [operation_step], **inputs)
        return io.NodeOutput(pictures, ui=results_shown(cls, pictures, image))


class PredictKeyframes(io.ComfyNode):
    """Several keyframes that belong together."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoPredictKeyframes",
            display_name="Predict Keyframes",
            category="PaintsUndo/keyframes",
            description="Paints the picture as it was at several operation steps, with one noise, so that they belong together. "
            "Shows them, with what was cut off where anything was.",
            inputs=prediction_inputs(operation_steps_input()),
            outputs=[
                io.Image.Output(
                    display_name="keyframes", tooltip="Batch in undo order: one picture a step, rising."
                ),
                io.String.Output(
                    display_name="operation_steps", tooltip="The steps as they were used: sorted, each once."
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, width: int | None = None, height: int | None = None, operation_steps: str | None = None
    ) -> bool | str:
        return check_sizes_and_steps(width, height, operation_steps)

    @classmethod
    def execute(cls, image: io.Image.Type, operation_steps: str, **inputs: Any) -> io.NodeOutput:
        steps = parse_operation_steps(operation_steps)
        pictures = predict(image, steps, **inputs)
        return io.NodeOutput(pictures, ", ".join(map(str, steps)), ui=results_shown(cls, pictures, image))


def predict(
    image: io.Image.Type,
    operation_steps: list[int],
    model: io.Model.Type,
    clip: io.Clip.Type,
    vae: io.Vae.Type,
    prompt: str,
    negative_prompt: str,
    width: int,
    height: int,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
) -> io.Image.Type:
    """Keyframes from the inputs of prediction_inputs."""
    settings = SamplerSettings(seed, steps, cfg, sampler_name, scheduler)
    return predict_keyframes(
        model, clip, vae, image, operation_steps, prompt, negative_prompt, settings, width, height
    )
