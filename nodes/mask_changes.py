"""The node that marks what each frame of a painting added."""

from comfy_api.latest import io

from ..paintsundo_models.pictures.change_mask import MAX_SOFTNESS, change_masks
from ..paintsundo_models.pictures.inputs import composite_on_white
from ..paintsundo_models.video.timeline import ORDER_PAINTING, ORDERS
from .choices import Choice, require_choice
from .page_features import searched_as


class ChangeMask(io.ComfyNode):
    """Make a mask for each frame: what it added to the frame before."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoChangeMask",
            display_name="Change Mask",
            category="PaintsUndo/video",
            description="Makes a mask of what each frame of a painting added to the frame before, to inpaint only that or to look "
            "at it. The first frame is compared with a white canvas.",
            **searched_as("difference", "diff", "motion mask", "inpaint", "what changed"),
            inputs=[
                io.Image.Input(
                    "frames",
                    tooltip="The frames of a painting video from Assemble Painting Video, or keyframes. "
                    "Transparent parts become white.",
                ),
                io.Float.Input(
                    "threshold",
                    default=0.08,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much a colour channel must change to count, 0 to 1. Low: marks faint shading too, and the "
                    "models' noise. High: marks only strong lines and new colours.",
                ),
                io.Int.Input(
                    "softness",
                    default=4,
                    min=0,
                    max=MAX_SOFTNESS,
                    tooltip="Width of the soft edge around a change, 0 to 256 pixels. 0: a hard edge.",
                ),
                Choice(
                    "order",
                    options=list(ORDERS),
                    default=ORDER_PAINTING,
                    tooltip="The order of the frames, which the masks keep. painting: finished picture last, as in the output of "
                    "Assemble Painting Video. undo: finished picture first, as in keyframes.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="masks",
                    tooltip="One mask for each frame, (frames, height, width): 1 where the frame added something, else 0.",
                )
            ],
        )

    @classmethod
    def execute(cls, frames: io.Image.Type, threshold: float, softness: int, order: str) -> io.NodeOutput:
        require_choice("order", order, list(ORDERS))
        frames = composite_on_white(frames, "frames")
        if order == ORDER_PAINTING:
            return io.NodeOutput(change_masks(frames, threshold, softness))
        return io.NodeOutput(change_masks(frames.flip(0), threshold, softness).flip(0))
