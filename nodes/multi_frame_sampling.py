"""Nodes that say how the multi-frame model samples: sampler, schedule, guidance, temporal window."""

from comfy_api.latest import io

from ..paintsundo_models import segments
from ..paintsundo_models.constants import DEFAULT_GUIDANCE_RESCALE, DEFAULT_SEGMENT_STEPS
from ..paintsundo_models.host.model_options import with_guidance, with_temporal_window
from ..paintsundo_models.multi_frame.windows import TEMPORAL_WINDOWS

CATEGORY = "PaintsUndo/interpolation"


def model_input() -> io.Model.Input:
    """MODEL of the multi-frame loader."""
    return io.Model.Input(
        "model", tooltip="MODEL of the PaintsUndo Multi-Frame Loader, or what nodes made of it."
    )


class DDIMSampler(io.ComfyNode):
    """The reference's sampler."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoDDIMSampler",
            display_name="PaintsUndo DDIM Sampler",
            category=CATEGORY,
            description="The sampler of the reference, for SamplerCustom with the PaintsUndo Trailing Scheduler.",
            inputs=[
                io.Float.Input(
                    "eta",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Share of fresh noise at each step. 1: the reference. 0: none; then the seed sets only the beginning.",
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
    """The reference's schedule."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoTrailingScheduler",
            display_name="PaintsUndo Trailing Scheduler",
            category=CATEGORY,
            description="The schedule of the reference: evenly spaced steps that begin at pure noise. Works with every sampler.",
            inputs=[
                model_input(),
                io.Int.Input(
                    "steps",
                    default=DEFAULT_SEGMENT_STEPS,
                    min=1,
                    max=1000,
                    tooltip="Sampling steps; time grows with them. 50: the reference. Every number works.",
                ),
                io.Float.Input(
                    "denoise",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="1: from pure noise. Lower: only the last part of a longer schedule, to rework frames that are given.",
                ),
            ],
            outputs=[io.Sigmas.Output(display_name="SIGMAS", tooltip="For SamplerCustom.")],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, steps: int, denoise: float) -> io.NodeOutput:
        return io.NodeOutput(segments.trailing_sigmas(model, steps, denoise))


class Guidance(io.ComfyNode):
    """How guidance acts on the multi-frame model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        def share(name: str, default: float, tooltip: str) -> io.Float.Input:
            return io.Float.Input(name, default=default, min=0.0, max=1.0, step=0.01, tooltip=tooltip)

        return io.Schema(
            node_id="PaintsUndoGuidance",
            display_name="PaintsUndo Guidance",
            category=CATEGORY,
            description="Changes how guidance (cfg) acts on the multi-frame model.",
            inputs=[
                model_input(),
                share(
                    "rescale",
                    DEFAULT_GUIDANCE_RESCALE,
                    "How far the guided result is brought back to the contrast of the unguided one. 0: not at all, harsh "
                    "colours. 0.7: the reference. 1: fully, flat colours.",
                ),
                share(
                    "start",
                    0.0,
                    "Share of the sampling from which guidance is on. 0: from the beginning. Higher: freer first shapes, and "
                    "half the time for the steps before.",
                ),
                share(
                    "end",
                    1.0,
                    "Share of the sampling at which guidance goes off. 1: never. Lower: half the time for the steps after.",
                ),
            ],
            outputs=[io.Model.Output(display_name="MODEL", tooltip="The same model with this guidance.")],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, rescale: float, start: float, end: float) -> io.NodeOutput:
        return io.NodeOutput(with_guidance(model, rescale, start, end))


class TemporalWindowNode(io.ComfyNode):
    """Spatial attention that also reads other frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoTemporalWindow",
            display_name="PaintsUndo Temporal Window",
            category=CATEGORY,
            description="Lets each frame's self-attention read other frames too. The weights were trained with it; the reference "
            "leaves it off.",
            inputs=[
                model_input(),
                io.Combo.Input(
                    "window",
                    options=list(TEMPORAL_WINDOWS),
                    default=TEMPORAL_WINDOWS[0],
                    tooltip="Which frames: prv the one before, first the first one, roll the ones before and after (the last "
                    "counts as before the first). Steadier frames; attention takes 2 (roll: 3) times as long.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="MODEL", tooltip="The same model with the window switched on.")
            ],
        )

    @classmethod
    def execute(cls, model: io.Model.Type, window: str) -> io.NodeOutput:
        return io.NodeOutput(with_temporal_window(model, window))
