"""Nodes for sampling with the multi-frame model: sampler, schedule, guidance, temporal window."""

from comfy_api.latest import io

from ..paintsundo_models import segments
from ..paintsundo_models.constants import DEFAULT_GUIDANCE_RESCALE, DEFAULT_SEGMENT_STEPS
from ..paintsundo_models.host.model_options import check_interval, with_guidance, with_temporal_window
from ..paintsundo_models.multi_frame.windows import TEMPORAL_WINDOWS
from .choices import Choice, require_choice
from .early_checks import not_made_yet

CATEGORY = "PaintsUndo/interpolation"


def model_input(lazy: bool = False) -> io.Model.Input:
    """Make the input for the MODEL of the multi-frame loader; lazy: it waits until the widgets are checked."""
    return io.Model.Input(
        "model",
        lazy=lazy,
        tooltip="MODEL of the PaintsUndo Multi-Frame Loader, directly or through nodes that change a MODEL.",
    )


class DDIMSampler(io.ComfyNode):
    """Output the original program's sampler."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoDDIMSampler",
            display_name="PaintsUndo DDIM Sampler",
            category=CATEGORY,
            description="The original program's sampler, for SamplerCustom, together with the PaintsUndo Trailing Scheduler.",
            inputs=[
                io.Float.Input(
                    "eta",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much fresh noise each step adds, 0 to 1. 1: as in the original program. 0: none; the seed then decides only "
                    "the first noise.",
                )
            ],
            outputs=[
                io.Sampler.Output(
                    display_name="SAMPLER", tooltip="For SamplerCustom, with the multi-frame MODEL only."
                )
            ],
        )

    @classmethod
    def execute(cls, eta: float) -> io.NodeOutput:
        return io.NodeOutput(segments.ddim_sampler(eta))


class TrailingScheduler(io.ComfyNode):
    """Output the original program's schedule."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoTrailingScheduler",
            display_name="PaintsUndo Trailing Scheduler",
            category=CATEGORY,
            description="The original program's schedule: evenly spaced steps that begin at pure noise. Works with every sampler.",
            inputs=[
                model_input(lazy=True),
                io.Int.Input(
                    "steps",
                    default=DEFAULT_SEGMENT_STEPS,
                    min=1,
                    max=1000,
                    tooltip="Sampling steps, 1 to 1000. Fewer are faster and rougher. 50: as in the original program.",
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Which part of the schedule to run, 0 to 1. 1: all of it, from pure noise. Lower: only its end, which changes "
                    "the frames of a given latent; the lower, the less.",
                ),
            ],
            outputs=[io.Sigmas.Output(display_name="SIGMAS", tooltip="For SamplerCustom.")],
        )

    @classmethod
    def check_lazy_status(cls, steps: int, denoise: float, **others: object) -> list[str]:
        """Check what would fail when the model is there, and ask for it."""
        segments.check_schedule(steps, denoise)
        return not_made_yet(others)

    @classmethod
    def execute(cls, model: io.Model.Type, steps: int, denoise: float) -> io.NodeOutput:
        return io.NodeOutput(segments.trailing_sigmas(model, steps, denoise))


class Guidance(io.ComfyNode):
    """Change how guidance acts on the multi-frame model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        def share(name: str, default: float, tooltip: str) -> io.Float.Input:
            return io.Float.Input(name, default=default, min=0.0, max=1.0, step=0.01, tooltip=tooltip)

        return io.Schema(
            node_id="PaintsUndoGuidance",
            display_name="PaintsUndo Guidance",
            category=CATEGORY,
            description="Changes how guidance (cfg) acts on the multi-frame model: how strongly it raises the contrast, and during which "
            "steps it is on.",
            inputs=[
                model_input(lazy=True),
                share(
                    "rescale",
                    DEFAULT_GUIDANCE_RESCALE,
                    "How far the contrast that guidance adds is taken back, 0 to 1. 0: not at all, harsh colours. 0.7: as in the "
                    "original program. 1: fully, flat colours.",
                ),
                share(
                    "start",
                    0.0,
                    "Where in the sampling guidance begins, as a share from 0 to 1. 0: at the first step. Higher: the first shapes "
                    "are freer, and the steps before take half the time.",
                ),
                share(
                    "end",
                    1.0,
                    "Where in the sampling guidance ends, as a share from 0 to 1. 1: never. Lower: the steps after it take half "
                    "the time.",
                ),
            ],
            outputs=[io.Model.Output(display_name="MODEL", tooltip="The same model with this guidance.")],
        )

    @classmethod
    def check_lazy_status(cls, start: float, end: float, **others: object) -> list[str]:
        """Check what would fail when the model is there, and ask for it."""
        check_interval(start, end)
        return not_made_yet(others)

    @classmethod
    def execute(cls, model: io.Model.Type, rescale: float, start: float, end: float) -> io.NodeOutput:
        return io.NodeOutput(with_guidance(model, rescale, start, end))


class TemporalWindowNode(io.ComfyNode):
    """Let spatial self-attention read other frames too."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoTemporalWindow",
            display_name="PaintsUndo Temporal Window",
            category=CATEGORY,
            description="Lets each frame's self-attention read other frames too. The weights were trained with it; the original program "
            "does not use it.",
            inputs=[
                model_input(),
                Choice(
                    "window",
                    options=list(TEMPORAL_WINDOWS),
                    default=TEMPORAL_WINDOWS[0],
                    tooltip="Which frames each frame reads besides itself. prv: the frame before. first: the first frame. roll: the "
                    "frames before and after, in a ring. prv and first double the time of spatial self-attention, roll triples it.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="MODEL", tooltip="The same model with the window switched on.")
            ],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, window: str) -> io.NodeOutput:
        require_choice("window", window, list(TEMPORAL_WINDOWS))
        return io.NodeOutput(with_temporal_window(model, window))
