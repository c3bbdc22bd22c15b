"""Nodes of the multi-frame model: the native path's conditioning, sampler, schedule and options, and a segment in one step."""

import comfy.samplers
from comfy_api.latest import io

from ..paintsundo_models import segments
from ..paintsundo_models.constants import (
    DEFAULT_FS,
    DEFAULT_SEGMENT_CFG,
    DEFAULT_SEGMENT_PROMPT,
    DEFAULT_SEGMENT_SEED,
    DEFAULT_SEGMENT_STEPS,
    SEED_MAX,
)
from ..paintsundo_models.host.sampling import SamplerSettings
from ..paintsundo_models.pictures.sizes import NEAREST_TRAINED, RESOLUTIONS
from ..paintsundo_models.segments import REFERENCE_SAMPLER, REFERENCE_SCHEDULER
from .multi_frame_sampling import CATEGORY, model_input
from .previews import box_of, cut_shown


def picture_inputs() -> list[io.Image.Input]:
    """The two pictures between which the frames are made."""
    return [
        io.Image.Input(
            "start_image",
            tooltip="The more finished picture: frame 1. One picture; Keyframe Pairs gives lists of them.",
        ),
        io.Image.Input(
            "end_image", tooltip="The earlier stage: frame 16. Cut to the same size as the first."
        ),
    ]


def segment_inputs() -> list:
    """What both ways of conditioning can set."""
    return [
        io.Int.Input(
            "fs",
            default=DEFAULT_FS,
            min=1,
            max=30,
            tooltip="The frame-rate number of the training. 3 is what the reference always uses. Low: larger steps between frames; "
            "high: smaller ones. It does not change the number of frames.",
        ),
        io.Combo.Input(
            "resolution",
            options=list(RESOLUTIONS),
            default=NEAREST_TRAINED,
            tooltip="Width x height of the frames. The model was trained on four sizes, and the nearest fits best. The size of the "
            "pictures (on a grid of 64) shows more detail, and takes memory and time as its area grows.",
        ),
    ]


class InterpolationConditioning(io.ComfyNode):
    """What turns the host's samplers into an interpolator of two pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoInterpolationConditioning",
            display_name="Interpolation Conditioning",
            category=CATEGORY,
            description="Adds two pictures to prompts, for SamplerCustom (reference: PaintsUndo DDIM Sampler, trailing, 50 steps, "
            "cfg 7.5) or KSampler, and VAE Decode.",
            inputs=[
                io.Conditioning.Input(
                    "positive", tooltip="CLIP Text Encode with the multi-frame model's CLIP. Keep it general."
                ),
                io.Conditioning.Input("negative", tooltip='CLIP Text Encode of "" in the reference.'),
                io.ClipVision.Input(
                    "clip_vision", tooltip="CLIP_VISION of the PaintsUndo Multi-Frame Loader."
                ),
                io.Vae.Input("vae", tooltip="VAE of the PaintsUndo Multi-Frame Loader."),
                *picture_inputs(),
                *segment_inputs(),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="The prompt with both pictures."),
                io.Conditioning.Output(
                    display_name="negative", tooltip="The negative prompt with grey pictures."
                ),
                io.Latent.Output(display_name="latent", tooltip="Empty latent of 16 frames."),
                io.Vae.Output(
                    display_name="VAE",
                    tooltip="The VAE that knows both pictures: decode with this one, or the frames lose the pictures' detail.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        positive: io.Conditioning.Type,
        negative: io.Conditioning.Type,
        clip_vision: io.ClipVision.Type,
        vae: io.Vae.Type,
        start_image: io.Image.Type,
        end_image: io.Image.Type,
        fs: int,
        resolution: str,
    ) -> io.NodeOutput:
        return io.NodeOutput(
            *segments.interpolation_conditioning(
                positive, negative, clip_vision, vae, start_image, end_image, fs, resolution
            )
        )


class Interpolate(io.ComfyNode):
    """A segment in one step."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoInterpolate",
            display_name="Interpolate Keyframes",
            category=CATEGORY,
            description="Makes 16 frames from one picture to the other. Behind Keyframe Pairs it runs once a pair. Where the frames' "
            "size cuts the picture, it shows what is lost.",
            inputs=[
                model_input(),
                io.Clip.Input("clip", tooltip="CLIP of the PaintsUndo Multi-Frame Loader."),
                io.Vae.Input("vae", tooltip="VAE of the PaintsUndo Multi-Frame Loader."),
                io.ClipVision.Input(
                    "clip_vision", tooltip="CLIP_VISION of the PaintsUndo Multi-Frame Loader."
                ),
                *picture_inputs(),
                io.String.Input(
                    "prompt",
                    default=DEFAULT_SEGMENT_PROMPT,
                    multiline=True,
                    tooltip="Keep it general (1girl, 1boy, or nothing, then: masterpiece, best quality). Not the tags of the picture: "
                    "they name things that early stages do not have yet, and the model would paint them in.",
                ),
                io.String.Input(
                    "negative_prompt",
                    default="",
                    multiline=True,
                    tooltip="What must not appear. Empty: the reference.",
                ),
                io.Int.Input(
                    "seed",
                    default=DEFAULT_SEGMENT_SEED,
                    min=0,
                    max=SEED_MAX,
                    control_after_generate=True,
                    tooltip="Noise of this segment; Keyframe Pairs gives each pair its own. Change one segment's to re-roll it alone.",
                ),
                io.Int.Input(
                    "steps",
                    default=DEFAULT_SEGMENT_STEPS,
                    min=1,
                    max=1000,
                    tooltip="Sampling steps; time grows with them. 50: the reference. Fewer are faster and rougher.",
                ),
                io.Float.Input(
                    "cfg",
                    default=DEFAULT_SEGMENT_CFG,
                    min=0.0,
                    max=30.0,
                    step=0.1,
                    tooltip="How strongly prompt and pictures rule. 1: freely, and twice as fast. 7.5: the reference. High: hard contrast.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    options=[REFERENCE_SAMPLER, *comfy.samplers.KSampler.SAMPLERS],
                    default=REFERENCE_SAMPLER,
                    tooltip="paintsundo_ddim is the reference's sampler; every other of ComfyUI's works too.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=[REFERENCE_SCHEDULER, *comfy.samplers.KSampler.SCHEDULERS],
                    default=REFERENCE_SCHEDULER,
                    tooltip="How the noise falls from step to step; trailing is the reference's.",
                ),
                *segment_inputs(),
            ],
            outputs=[
                io.Image.Output(
                    display_name="frames", tooltip="16 frames in undo order, from start_image to end_image."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        model: io.Model.Type,
        clip: io.Clip.Type,
        vae: io.Vae.Type,
        clip_vision: io.ClipVision.Type,
        start_image: io.Image.Type,
        end_image: io.Image.Type,
        prompt: str,
        negative_prompt: str,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        fs: int,
        resolution: str,
    ) -> io.NodeOutput:
        settings = SamplerSettings(seed, steps, cfg, sampler_name, scheduler)
        images = (start_image, end_image)
        frames = segments.interpolate(
            model, clip, vae, clip_vision, images, prompt, negative_prompt, settings, fs, resolution
        )
        cut = cut_shown(cls, start_image, box_of(start_image, frames))
        return io.NodeOutput(frames, ui={"images": cut}) if cut else io.NodeOutput(frames)
