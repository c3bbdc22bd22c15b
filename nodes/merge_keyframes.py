"""The node that puts people's own pictures among the predicted keyframes."""

from comfy_api.latest import io, ui

from ..paintsundo_models.pictures.own_keyframes import different_steps, merge_keyframes
from .previews import box_of, cut_shown

DEFAULT_OWN_STEP = "800"


class MergeKeyframes(io.ComfyNode):
    """Sort predicted keyframes and own pictures into one batch by their operation steps."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoMergeKeyframes",
            display_name="Merge Keyframes",
            category="PaintsUndo/keyframes",
            description="Puts your own drawings among the predicted keyframes, each at its operation step: the video then passes "
            "through them. At the same step, your drawing replaces the keyframe. The node shows the result and, where a "
            "drawing was cropped, what was cut off.",
            inputs=[
                io.Image.Input(
                    "keyframes",
                    tooltip="The keyframes from Predict Keyframes. Their size becomes the size of all.",
                ),
                io.String.Input(
                    "operation_steps",
                    force_input=True,
                    tooltip="The output operation_steps of Predict Keyframes: one step for each keyframe, in their order.",
                ),
                io.Image.Input(
                    "own_keyframes",
                    tooltip="Your own pictures of any size, one or more. They are resized and cropped to the keyframes' size, and "
                    "transparent parts become white. For pictures of several sizes, use one node for each.",
                ),
                io.String.Input(
                    "own_operation_steps",
                    default=DEFAULT_OWN_STEP,
                    tooltip="Where your pictures belong: one whole number from 0 to 999 for each, in the order of the pictures. 0 is the "
                    "finished picture, at about 400 the shading is gone, at about 800 the colours, about 950 is a rough "
                    "sketch.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="keyframes",
                    tooltip="Batch in undo order: all pictures, sorted by rising operation step, of one size.",
                ),
                io.String.Output(
                    display_name="operation_steps",
                    tooltip="The operation steps of the batch as text, for Stage Sheet or another Merge Keyframes.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, own_operation_steps: str | None = None) -> bool | str:
        # None: the input is linked, and its value is known only when the node runs.
        try:
            if own_operation_steps is not None:
                different_steps(own_operation_steps, "own_keyframes")
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        keyframes: io.Image.Type,
        operation_steps: str,
        own_keyframes: io.Image.Type,
        own_operation_steps: str,
    ) -> io.NodeOutput:
        batch, steps = merge_keyframes(keyframes, operation_steps, own_keyframes, own_operation_steps)
        shown = ui.PreviewImage(batch, cls=cls).as_dict()
        cut = cut_shown(cls, own_keyframes, box_of(own_keyframes, batch))
        return io.NodeOutput(
            batch, ", ".join(map(str, steps)), ui={**shown, "images": [*shown["images"], *cut]}
        )
