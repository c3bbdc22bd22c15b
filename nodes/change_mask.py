"""What each frame of a painting added, as masks."""

from comfy_api.latest import io

from ..paintsundo_models.pictures.change_mask import change_masks
from ..paintsundo_models.pictures.inputs import composite_on_white
from ..paintsundo_models.video.timeline import ORDER_PAINTING, ORDERS


class ChangeMask(io.ComfyNode):
    """Frames -> a mask for each of them."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoChangeMask",
            display_name="Change Mask",
            category="PaintsUndo/video",
            description="Marks what each frame of a painting added to the one before it: to inpaint only that, or to look at "
            "it. The first frame is compared with a white canvas.",
            inputs=[
                io.Image.Input(
                    "frames",
                    tooltip="The frames of a painting video, as Assemble Painting Video gives them, or keyframes. "
                    "Transparent parts become white.",
                ),
                io.Float.Input(
                    "threshold",
                    default=0.08,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="How much a colour channel must differ to count, from 0 to 1. Low also marks faint shading "
                    "and the models' noise; high only strong lines and new colours.",
                ),
                io.Int.Input(
                    "softness",
                    default=4,
                    min=0,
                    max=256,
                    tooltip="Width of the soft edge around what changed, in pixels. 0 is a hard edge.",
                ),
                io.Combo.Input(
                    "order",
                    options=list(ORDERS),
                    default=ORDER_PAINTING,
                    tooltip="painting: the frames run from the canvas to the finished picture, as Assemble Painting Video "
                    "gives them. undo: finished picture first, as keyframes come. The masks have the order of the frames.",
                ),
            ],
            outputs=[
                io.Mask.Output(
                    display_name="masks",
                    tooltip="One mask a frame, (frames, height, width) in 0 to 1: 1 where the frame added something.",
                )
            ],
        )

    @classmethod
    def execute(cls, frames: io.Image.Type, threshold: float, softness: int, order: str) -> io.NodeOutput:
        frames = composite_on_white(frames)
        if order == ORDER_PAINTING:
            return io.NodeOutput(change_masks(frames, threshold, softness))
        return io.NodeOutput(change_masks(frames.flip(0), threshold, softness).flip(0))
