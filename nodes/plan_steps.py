"""Which operation steps the keyframes take: before Predict Keyframes."""

from comfy_api.latest import io, ui
from comfy_execution.graph_utils import ExecutionBlocker

from ..paintsundo_models import planning
from ..paintsundo_models.constants import DEFAULT_OPERATION_STEPS
from ..paintsundo_models.host.objects import SingleFrameObjects

NOT_CONNECTED = object()
"""Tells an input that is left open from one whose value is known only when it runs, for which the host gives None."""


def refusal(missing: list[str]) -> str:
    """Why equal change cannot run without these inputs."""
    return (
        f'spacing "{planning.SPACING_CHANGE}" looks at how the picture is painted, and nothing is connected to '
        f"{', '.join(missing)}. Connect the single-frame loader and the finished picture, or choose "
        f'"{planning.SPACING_ORIGINAL}" or "{planning.SPACING_EVEN}".'
    )


class PlanSteps(io.ComfyNode):
    """Choose operation steps so that the segments get equal parts of the painting."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoPlanSteps",
            display_name="Plan Operation Steps",
            category="PaintsUndo/keyframes",
            description="Chooses the operation steps of the keyframes. With equal change it paints eight rough keyframes first and "
            "divides the painting so that as much happens in one segment as in the next.",
            inputs=[
                io.Int.Input(
                    "count",
                    default=len(DEFAULT_OPERATION_STEPS.split(",")),
                    min=1,
                    max=planning.MAX_KEYFRAMES,
                    tooltip="How many keyframes. The video gets one segment more, as Arrange Keyframes adds the finished picture and "
                    "the white canvas; each segment is 15 frames long and takes its time to sample.",
                ),
                io.Combo.Input(
                    "spacing",
                    options=list(planning.SPACINGS),
                    default=planning.SPACING_ORIGINAL,
                    tooltip=f"original list: {DEFAULT_OPERATION_STEPS}, as the original program; other counts divide alike. Half of "
                    "its segments are the sketch, and most of the painting happens in two. even steps: the same number of steps "
                    "everywhere. equal change: as much of the picture changes in each segment; the sketch, which changes little, "
                    "then gets fewer segments, and sketch_share gives it some back.",
                ),
                io.Float.Input(
                    "sketch_share",
                    default=0.0,
                    min=0.0,
                    max=0.9,
                    step=0.05,
                    tooltip=f"Part of the segments that the sketch (steps {planning.SKETCH_FROM_STEP} to 999) gets at least. 0: as the "
                    "spacing divides. 0.3: at least about two of seven. More is more time for the first lines, and less for the colours.",
                ),
                io.Model.Input(
                    "model",
                    optional=True,
                    tooltip="For equal change: MODEL of the PaintsUndo Single-Frame Loader.",
                ),
                io.Clip.Input(
                    "clip",
                    optional=True,
                    tooltip="For equal change: CLIP of the PaintsUndo Single-Frame Loader.",
                ),
                io.Vae.Input(
                    "vae",
                    optional=True,
                    tooltip="For equal change: VAE of the PaintsUndo Single-Frame Loader.",
                ),
                io.Image.Input(
                    "image", optional=True, tooltip="For equal change: the finished picture, one."
                ),
                io.String.Input(
                    "prompt",
                    default="",
                    optional=True,
                    tooltip="For equal change: the tags that Predict Keyframes gets. Empty works too.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="operation_steps",
                    tooltip="The steps, rising, separated by commas: for operation_steps of Predict Keyframes.",
                ),
                io.Image.Output(
                    display_name="probes",
                    tooltip=f"The rough keyframes of equal change, at the steps {', '.join(map(str, planning.PROBE_STEPS))}. With "
                    "another spacing there are none, and what is connected here does not run.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        spacing: str | None = None,
        model: object = NOT_CONNECTED,
        clip: object = NOT_CONNECTED,
        vae: object = NOT_CONNECTED,
        image: object = NOT_CONNECTED,
    ) -> bool | str:
        # None: linked, known only when it runs.
        if spacing is not None and spacing not in planning.SPACINGS:
            return f'There is no spacing "{spacing}"; there are: {", ".join(planning.SPACINGS)}.'
        inputs = {"model": model, "clip": clip, "vae": vae, "image": image}
        missing = [name for name, value in inputs.items() if value is NOT_CONNECTED]
        if spacing == planning.SPACING_CHANGE and missing:
            return refusal(missing)
        return True

    @classmethod
    def execute(
        cls,
        count: int,
        spacing: str,
        sketch_share: float,
        model: io.Model.Type | None = None,
        clip: io.Clip.Type | None = None,
        vae: io.Vae.Type | None = None,
        image: io.Image.Type | None = None,
        prompt: str = "",
    ) -> io.NodeOutput:
        probes = ExecutionBlocker(None)
        if spacing == planning.SPACING_ORIGINAL:
            division = planning.original_division()
        elif spacing == planning.SPACING_EVEN:
            division = planning.even_division()
        else:
            if model is None or clip is None or vae is None or image is None:
                inputs = {"model": model, "clip": clip, "vae": vae, "image": image}
                raise ValueError(refusal([name for name, value in inputs.items() if value is None]))
            probes = planning.predict_probes(SingleFrameObjects(model, clip, vae), image, prompt)
            division = planning.change_division(probes)
        steps = planning.steps_of(planning.with_sketch_share(division, sketch_share), count)
        text = ", ".join(map(str, steps))
        return io.NodeOutput(text, probes, ui=ui.PreviewText(text))
