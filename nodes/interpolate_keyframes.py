"""Nodes that make a segment: the conditioning for any sampler, and a node that does everything from pictures to frames."""

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
from ..paintsundo_models.host.objects import MultiFrameObjects, Prompts
from ..paintsundo_models.host.sampling import SamplerSettings
from ..paintsundo_models.host.segment_store import users_store
from ..paintsundo_models.pictures.sizes import FIT_CROP, FITS, NEAREST_TRAINED, RESOLUTIONS
from ..paintsundo_models.segments import ORIGINAL_SAMPLER, ORIGINAL_SCHEDULER
from .choices import Choice, require_choice
from .multi_frame_sampling import CATEGORY, model_input
from .page_features import PAINTING_VIDEO, SEGMENT, advanced, searched_as, shown_again
from .previews import box_of, cut_shown, show_in_place_of_latent
from .progress_text import say_on_node, segment_text

TEXTS = {
    segments.SAMPLED: "segment made now",
    segments.REUSED: "segment from an earlier run",
    segments.FADED: "segment cross-faded",
}
"""What the node says of each segment, by where it came from."""


def sampler_names() -> list[str]:
    """Return the samplers of Interpolate Keyframes: the original's, then ComfyUI's."""
    return [ORIGINAL_SAMPLER, *comfy.samplers.KSampler.SAMPLERS]


def scheduler_names() -> list[str]:
    """Return the schedulers of Interpolate Keyframes: the original's, then ComfyUI's."""
    return [ORIGINAL_SCHEDULER, *comfy.samplers.KSampler.SCHEDULERS]


def picture_inputs() -> list[io.Image.Input]:
    """Make the inputs for the first and the last picture of a segment."""
    return [
        io.Image.Input(
            "start_image",
            tooltip="The more finished picture, which becomes frame 1. One picture of any size, as Keyframe Pairs outputs it.",
        ),
        io.Image.Input(
            "end_image",
            tooltip="The earlier stage, which becomes frame 16. It is resized and cropped to the size of the first.",
        ),
    ]


def segment_inputs() -> list:
    """Make the inputs that both nodes of this file end with."""
    return [
        io.Int.Input(
            "fs",
            default=DEFAULT_FS,
            min=1,
            max=30,
            tooltip="The frame-rate number of the training, 1 to 30. 3: as in the original program. Lower: larger changes between "
            "frames; higher: smaller ones. It does not change the number of frames.",
            **advanced(),
        ),
        Choice(
            "resolution",
            options=list(RESOLUTIONS),
            default=NEAREST_TRAINED,
            tooltip="Width x height of the frames in pixels. nearest trained size: the one of the four sizes of the training that fits "
            "the picture best. size of the pictures: the picture's size, rounded to multiples of 64; more detail, but memory and "
            "time grow with the area.",
            **advanced(),
        ),
    ]


class InterpolationConditioning(io.ComfyNode):
    """Add two pictures to prompts, so that the host's samplers make the frames between them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoInterpolationConditioning",
            display_name="Interpolation Conditioning",
            category=CATEGORY,
            description="Adds two pictures to prompts, so that SamplerCustom or KSampler, and VAE Decode, make the frames between them. "
            "The original program samples with the PaintsUndo DDIM Sampler, the trailing schedule, 50 steps, cfg 7.5.",
            **searched_as(*SEGMENT),
            inputs=[
                io.Conditioning.Input(
                    "positive",
                    tooltip="CLIP Text Encode of a general prompt, with the CLIP of the PaintsUndo Multi-Frame Loader.",
                ),
                io.Conditioning.Input(
                    "negative",
                    tooltip="CLIP Text Encode with the same CLIP. The original program uses the empty text.",
                ),
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
                    display_name="negative",
                    tooltip="The negative prompt with both pictures, which the vision encoder sees as grey.",
                ),
                io.Latent.Output(display_name="latent", tooltip="Empty latent of 16 frames."),
                io.Vae.Output(
                    display_name="VAE",
                    tooltip="The VAE that knows both pictures. Decode with this one: with another, the frames lose the pictures' detail.",
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
        require_choice("resolution", resolution, list(RESOLUTIONS))
        return io.NodeOutput(
            *segments.interpolation_conditioning(
                positive, negative, clip_vision, vae, start_image, end_image, fs, resolution
            )
        )


class Interpolate(io.ComfyNode):
    """Make a segment: 16 frames from one picture to another."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoInterpolate",
            display_name="Interpolate Keyframes",
            category=CATEGORY,
            description="Makes 16 frames from one picture to the other. Behind Keyframe Pairs it runs once for each pair. If the frames' "
            "size crops the picture, the node shows what is cut off.",
            **searched_as(*SEGMENT, *PAINTING_VIDEO),
            **shown_again(),
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
                    tooltip="A general prompt: 1girl, 1boy or nothing, then masterpiece, best quality; at most 75 tokens. Do not use the "
                    "tags of the picture: they name things that early stages do not have yet, and the model would paint them in.",
                ),
                io.String.Input(
                    "negative_prompt",
                    default="",
                    multiline=True,
                    tooltip="What must not appear; at most 75 tokens. Empty: as in the original program.",
                ),
                io.Int.Input(
                    "seed",
                    default=DEFAULT_SEGMENT_SEED,
                    min=0,
                    max=SEED_MAX,
                    control_after_generate=True,
                    tooltip="Seed of the noise of this segment. Another number gives other strokes; the same number makes the same frames "
                    "again. Keyframe Pairs outputs a different seed for each pair.",
                ),
                io.Int.Input(
                    "steps",
                    default=DEFAULT_SEGMENT_STEPS,
                    min=1,
                    max=1000,
                    tooltip="Sampling steps, 1 to 1000. Fewer are faster and rougher. 50: as in the original program.",
                ),
                io.Float.Input(
                    "cfg",
                    default=DEFAULT_SEGMENT_CFG,
                    min=0.0,
                    max=30.0,
                    step=0.1,
                    tooltip="How strongly prompt and pictures act, 0 to 30. 1: no guidance, and twice as fast. 7.5: as in the original "
                    "program. High: hard contrast.",
                    **advanced(),
                ),
                Choice(
                    "sampler_name",
                    options=sampler_names(),
                    default=ORIGINAL_SAMPLER,
                    tooltip="The sampler. paintsundo_ddim: as in the original program. All of ComfyUI's samplers work too.",
                    **advanced(),
                ),
                Choice(
                    "scheduler",
                    options=scheduler_names(),
                    default=ORIGINAL_SCHEDULER,
                    tooltip="How the noise falls from step to step. trailing: as in the original program. linear_quadratic with the "
                    "samplers dpm_fast and dpm_adaptive: only noise.",
                    **advanced(),
                ),
                *segment_inputs(),
                Choice(
                    "fit",
                    options=list(FITS),
                    default=FIT_CROP,
                    optional=True,
                    tooltip="How the pictures get the shape of the frames. crop: what sticks out is cut off, up to a sixth of the "
                    "picture, as in the original program. whole: nothing is cut; the pictures are laid on white, and the frames get "
                    "the pictures' shape again afterwards, a little smaller.",
                ),
                io.Boolean.Input(
                    "match_colours",
                    default=False,
                    optional=True,
                    tooltip="On: the frames' colours are corrected by the two pictures, so that the video does not change its tint "
                    "where two segments meet. Off: the colours stay as the model painted them, as in the original program.",
                ),
                io.Boolean.Input(
                    "reuse",
                    default=True,
                    optional=True,
                    tooltip="On: a segment that was finished before, with the same pictures, prompt, model and settings, is taken from "
                    "disk, even after a restart of ComfyUI; the result is exactly the same. Off: every segment is sampled, and none is "
                    "kept on disk.",
                ),
                io.Float.Input(
                    "fade_below",
                    default=0.0,
                    min=0.0,
                    max=float(segments.LEVELS),
                    step=0.1,
                    optional=True,
                    tooltip="Pictures that differ by less than this are cross-faded at once, without sampling: the mean difference of "
                    "all pixels, in levels from 0 to 255. 1: pictures that look the same, such as the first faint strokes and the "
                    "canvas. 0: never, as in the original program.",
                    **advanced(),
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="frames",
                    tooltip="One segment: 16 frames in undo order, from start_image to end_image.",
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
        fit: str = FIT_CROP,
        match_colours: bool = False,
        reuse: bool = True,
        fade_below: float = 0.0,
    ) -> io.NodeOutput:
        require_choice("sampler_name", sampler_name, sampler_names())
        require_choice("scheduler", scheduler, scheduler_names())
        require_choice("resolution", resolution, list(RESOLUTIONS))
        require_choice("fit", fit, list(FITS))
        settings = SamplerSettings(seed, steps, cfg, sampler_name, scheduler)
        if text := segment_text(start_image):
            say_on_node(text)
        segment = segments.interpolate(
            MultiFrameObjects(model, clip, vae, clip_vision),
            (start_image, end_image),
            Prompts(prompt, negative_prompt),
            settings,
            fs,
            resolution,
            fit,
            match_colours,
            users_store() if reuse else None,
            fade_below,
        )
        if segment.origin == segments.SAMPLED:
            show_in_place_of_latent(segment.frames)
        cut = []
        if fit == FIT_CROP:
            cut = cut_shown(cls, start_image, box_of(start_image, segment.frames))
        # The host joins what the runs of a list show, and wants the same entries from each of them.
        return io.NodeOutput(segment.frames, ui={"images": cut, "text": (TEXTS[segment.origin],)})
