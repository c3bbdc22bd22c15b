"""Nodes of the single-frame model: the conditioning for KSampler, and nodes that do everything from picture to keyframes."""

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
from ..paintsundo_models.host.objects import Prompts, SingleFrameObjects
from ..paintsundo_models.host.sampling import SamplerSettings
from ..paintsundo_models.keyframes import encode_picture, keyframe_conditioning, predict_keyframes
from ..paintsundo_models.operation_steps import parse_operation_steps
from ..paintsundo_models.pictures import sizes
from .choices import Choice, require_choice
from .early_checks import not_made_yet
from .page_features import KEYFRAME, PAINTING_VIDEO, advanced, searched_as
from .previews import results_shown

STEPS_MEANING = (
    f"0 is the finished picture, at about 400 the shading is gone, at about 800 the colours, about 950 leaves a rough sketch, "
    f"{OPERATION_STEP_MAX} is the first stroke on the white canvas"
)


def image_input(lazy: bool = False) -> io.Image.Input:
    """Make the input for the finished picture; lazy: it waits until the widgets are checked."""
    return io.Image.Input(
        "image",
        lazy=lazy,
        tooltip="The finished picture: one picture of any size. It is resized and cropped to width x height. Transparent "
        "parts become white.",
    )


def size_inputs() -> list[io.Int.Input]:
    """Make the inputs for width and height of the keyframes."""
    return [
        io.Int.Input(
            name,
            default=0,
            min=0,
            max=KEYFRAME_MAX_SIDE,
            step=GRID,
            tooltip=f"{name.capitalize()} of the keyframes in pixels, 0 to 2048, a multiple of 64. 0: follows the picture's shape, at "
            "about the area of 512 x 640, the size of the training (at most a third more). Larger: more detail, more memory and "
            "time, and things may repeat.",
        )
        for name in ("width", "height")
    ]


def operation_steps_input() -> io.String.Input:
    """Make the input for several operation steps as text."""
    return io.String.Input(
        "operation_steps",
        default=DEFAULT_OPERATION_STEPS,
        tooltip="How many undos the keyframes lie before the finished picture: whole numbers from 0 to 999, separated by commas or "
        f"spaces, one for each keyframe. {STEPS_MEANING}. They are sorted, and each counts once. 5 to 7 make a good video.",
    )


def prediction_inputs(operation_step_input: io.Int.Input | io.String.Input) -> list:
    """Make the inputs of both prediction nodes around the node's own input for the operation step."""
    return [
        io.Model.Input(
            "model",
            lazy=True,
            tooltip="MODEL of the PaintsUndo Single-Frame Loader; LoRAs for SD 1.5 may lie between.",
        ),
        io.Clip.Input("clip", lazy=True, tooltip="CLIP of the PaintsUndo Single-Frame Loader."),
        io.Vae.Input("vae", lazy=True, tooltip="VAE of the PaintsUndo Single-Frame Loader."),
        image_input(lazy=True),
        operation_step_input,
        io.String.Input(
            "prompt",
            default="",
            multiline=True,
            tooltip="Tags that say what the picture shows, as Tag Picture (WD14) writes them; at most 75 tokens. They are read "
            "literally, without emphasis syntax. Empty works, with vaguer sketches.",
        ),
        io.String.Input(
            "negative_prompt",
            default=DEFAULT_KEYFRAME_NEGATIVE,
            multiline=True,
            tooltip="Tags of what must not appear; at most 75 tokens. The default is the original program's.",
        ),
        *size_inputs(),
        *sampling_inputs(),
    ]


def sampling_inputs() -> list:
    """Make the inputs for sampling."""
    return [
        io.Int.Input(
            "seed",
            default=DEFAULT_KEYFRAME_SEED,
            min=0,
            max=SEED_MAX,
            control_after_generate=True,
            tooltip="Seed of the noise that all keyframes share. Another number paints the picture another way; the same number "
            "makes the same keyframes again, together or one by one.",
        ),
        io.Int.Input(
            "steps",
            default=DEFAULT_KEYFRAME_STEPS,
            min=1,
            max=1000,
            tooltip="Sampling steps, 1 to 1000. Fewer are faster and rougher. 50: as in the original program.",
        ),
        io.Float.Input(
            "cfg",
            default=DEFAULT_KEYFRAME_CFG,
            min=0.0,
            max=30.0,
            step=0.1,
            tooltip="How strongly the prompt acts, 0 to 30. 1: no guidance, and twice as fast. 3: as in the original program. High: "
            "hard, burnt colours.",
            **advanced(),
        ),
        Choice(
            "sampler_name",
            options=comfy.samplers.KSampler.SAMPLERS,
            default="dpmpp_2m",
            tooltip="The sampler. dpmpp_2m: as in the original program. Ancestral and SDE samplers run keyframe by keyframe, so that "
            "all keyframes get the same noise.",
            **advanced(),
        ),
        Choice(
            "scheduler",
            options=comfy.samplers.KSampler.SCHEDULERS,
            default="karras",
            tooltip="How the noise falls from step to step. karras: as in the original program. linear_quadratic with the samplers "
            "dpm_fast and dpm_adaptive: only noise.",
            **advanced(),
        ),
    ]


def require_sampling_choices(sampler_name: str, scheduler: str) -> None:
    """Check names that came through links.

    Raises:
        ValueError: this ComfyUI has no such sampler or scheduler.
    """
    require_choice("sampler_name", sampler_name, comfy.samplers.KSampler.SAMPLERS)
    require_choice("scheduler", scheduler, comfy.samplers.KSampler.SCHEDULERS)


def check_steps(operation_steps: str | None) -> bool | str:
    """Return True if the operation steps can be read, else a message, for validate_inputs.

    None means that the input is linked: its value is known only when the node runs.
    """
    try:
        if operation_steps is not None:
            parse_operation_steps(operation_steps)
    except ValueError as error:
        return str(error)
    return True


class _PredictionNode(io.ComfyNode):
    """What both prediction nodes check before the models are loaded."""

    @classmethod
    def check_lazy_status(
        cls, width: int, height: int, cfg: float, sampler_name: str, scheduler: str, **others: object
    ) -> list[str]:
        """Check what would fail when the models are there, and ask for them."""
        sizes.check_keyframe_sides(width, height)
        require_sampling_choices(sampler_name, scheduler)
        SamplerSettings(0, 1, cfg, sampler_name, scheduler)
        return not_made_yet(others)


class KeyframeConditioning(io.ComfyNode):
    """Add the finished picture and the operation steps to prompts, so that KSampler predicts keyframes."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoKeyframeConditioning",
            display_name="Keyframe Conditioning",
            category="PaintsUndo/keyframes",
            description="Adds the finished picture and the operation steps to prompts, so that KSampler and VAE Decode make keyframes. "
            "The original program samples with dpmpp_2m, karras, 50 steps, cfg 3.",
            **searched_as(*KEYFRAME),
            inputs=[
                io.Conditioning.Input(
                    "positive",
                    tooltip="CLIP Text Encode of the tags, with the CLIP of the PaintsUndo Single-Frame Loader.",
                ),
                io.Conditioning.Input(
                    "negative", tooltip="CLIP Text Encode of what must not appear, with the same CLIP."
                ),
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
                    tooltip="One empty latent for each operation step, in rising order. All share one noise.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, operation_steps: str | None = None) -> bool | str:
        return check_steps(operation_steps)

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


class PredictKeyframe(_PredictionNode):
    """Predict one keyframe at one operation step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoPredictKeyframe",
            display_name="Predict Keyframe",
            category="PaintsUndo/keyframes",
            description="Paints the picture as it was at one operation step. The node shows the keyframe and, if the picture was cropped, "
            "what was cut off.",
            is_output_node=True,  # it shows pictures, so it can be run alone
            **searched_as(*KEYFRAME, *PAINTING_VIDEO),
            inputs=prediction_inputs(
                io.Int.Input(
                    "operation_step",
                    default=500,
                    min=0,
                    max=OPERATION_STEP_MAX,
                    tooltip=f"How many undos the keyframe lies before the finished picture, 0 to 999. {STEPS_MEANING}.",
                )
            ),
            outputs=[
                io.Image.Output(
                    display_name="keyframe", tooltip="The keyframe: one picture of width x height pixels."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        clip: io.Clip.Type,
        vae: io.Vae.Type,
        image: io.Image.Type,
        operation_step: int,
        prompt: str,
        negative_prompt: str,
        width: int,
        height: int,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
    ) -> io.NodeOutput:
        require_sampling_choices(sampler_name, scheduler)
        keyframes = predict_keyframes(
            SingleFrameObjects(model, clip, vae),
            image,
            [operation_step],
            Prompts(prompt, negative_prompt),
            SamplerSettings(seed, steps, cfg, sampler_name, scheduler),
            width,
            height,
        )
        return io.NodeOutput(keyframes, ui=results_shown(cls, keyframes, image))


class PredictKeyframes(_PredictionNode):
    """Predict several keyframes from one noise."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoPredictKeyframes",
            display_name="Predict Keyframes",
            category="PaintsUndo/keyframes",
            description="Paints the picture as it was at several operation steps, all from one noise, so that the keyframes look alike. "
            "The node shows them and, if the picture was cropped, what was cut off.",
            is_output_node=True,
            **searched_as(*KEYFRAME, *PAINTING_VIDEO),
            inputs=prediction_inputs(operation_steps_input()),
            outputs=[
                io.Image.Output(
                    display_name="keyframes",
                    tooltip="Batch in undo order: one picture for each operation step, in rising order.",
                ),
                io.String.Output(
                    display_name="operation_steps",
                    tooltip="The operation steps of the keyframes as text: sorted, each once.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, operation_steps: str | None = None) -> bool | str:
        return check_steps(operation_steps)

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        clip: io.Clip.Type,
        vae: io.Vae.Type,
        image: io.Image.Type,
        operation_steps: str,
        prompt: str,
        negative_prompt: str,
        width: int,
        height: int,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
    ) -> io.NodeOutput:
        require_sampling_choices(sampler_name, scheduler)
        wanted = parse_operation_steps(operation_steps)
        keyframes = predict_keyframes(
            SingleFrameObjects(model, clip, vae),
            image,
            wanted,
            Prompts(prompt, negative_prompt),
            SamplerSettings(seed, steps, cfg, sampler_name, scheduler),
            width,
            height,
        )
        return io.NodeOutput(keyframes, ", ".join(map(str, wanted)), ui=results_shown(cls, keyframes, image))
