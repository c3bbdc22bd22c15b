"""The node that chooses the operation steps for Predict Keyframes."""

from comfy_api.latest import io, ui
from comfy_execution.graph_utils import ExecutionBlocker

from ..paintsundo_models import planning
from ..paintsundo_models.constants import DEFAULT_OPERATION_STEPS
from ..paintsundo_models.host.objects import SingleFrameObjects
from .choices import Choice, require_choice

NOT_CONNECTED = object()
"""Marks an unconnected input. For a linked one, whose value is known only when the node runs, the host passes None."""


def refusal(missing: list[str]) -> str:
    """Return the message for equal change without these inputs."""
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
            description="Chooses the operation steps of the keyframes. With equal change, the node first paints eight rough keyframes, "
            "and then divides the painting so that every segment shows about as much change.",
            inputs=[
                io.Int.Input(
                    "count",
                    default=len(DEFAULT_OPERATION_STEPS.split(",")),
                    min=1,
                    max=planning.MAX_KEYFRAMES,
                    tooltip="How many keyframes, 1 to 32. Each makes the video one segment (15 frames) longer, and the time grows in "
                    "proportion. There is one segment more than keyframes, because Arrange Keyframes adds both ends.",
                ),
                Choice(
                    "spacing",
                    options=list(planning.SPACINGS),
                    default=planning.SPACING_ORIGINAL,
                    tooltip=f"original list: {DEFAULT_OPERATION_STEPS} as in the original program, or the same proportions with another "
                    "count; half of the segments show the sketch, and most of the painting happens in two. even steps: equal "
                    "distances. equal change: every segment changes about as much of the picture; the sketch, which changes "
                    "little, gets fewer segments unless sketch_share is raised.",
                ),
                io.Float.Input(
                    "sketch_share",
                    default=0.0,
                    min=0.0,
                    max=0.9,
                    step=0.05,
                    tooltip=f"The smallest share of the segments for the sketch (steps {planning.SKETCH_FROM_STEP} to 999), 0 to 0.9. 0: "
                    "the spacing decides. 0.3: at least about two of seven. Higher: more time for the first lines, less for the colours.",
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
                    "image",
                    optional=True,
                    tooltip="For equal change: the finished picture, one picture of any size.",
                ),
                io.String.Input(
                    "prompt",
                    default="",
                    optional=True,
                    tooltip="For equal change: the same tags as in Predict Keyframes. Empty works too.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="operation_steps",
                    tooltip="The operation steps in rising order, separated by commas, for operation_steps of Predict Keyframes.",
                ),
                io.Image.Output(
                    display_name="probes",
                    tooltip=f"The rough keyframes of equal change, at the steps {', '.join(map(str, planning.PROBE_STEPS))}. With "
                    "another spacing there are none, and nodes connected here do not run.",
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
        inputs = {"model": model, "clip": clip, "vae": vae, "image": image}
        missing = [name for name, value in inputs.items() if value is NOT_CONNECTED]
        try:
            if spacing is not None:  # None: linked, so the value is known only at the run
                require_choice("spacing", spacing, planning.SPACINGS)
            if spacing == planning.SPACING_CHANGE and missing:
                raise ValueError(refusal(missing))
        except ValueError as error:
            if len(missing) < len(inputs):
                raise  # the host reports an error once, at the node, and a returned text at the connected inputs too
            return str(error)
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
        require_choice("spacing", spacing, planning.SPACINGS)
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
