"""The node that lists seeds, and pictures with them, so that the graph behind runs once for each."""

from comfy_api.latest import io
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor

from ..paintsundo_models.constants import DEFAULT_KEYFRAME_SEED, SEED_MAX
from ..paintsundo_models.pictures.inputs import require_pictures

MAX_VARIANTS = 100


class Variants(io.ComfyNode):
    """List count seeds; with pictures, every picture with every seed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoVariants",
            display_name="Variants",
            category="PaintsUndo/keyframes",
            description="Makes several videos at one Run: the outputs are lists, and the nodes behind run once for each entry. "
            "Connect seed to Predict Keyframes and to Keyframe Pairs.",
            is_input_list=True,
            inputs=[
                io.Int.Input(
                    "seed",
                    default=DEFAULT_KEYFRAME_SEED,
                    min=0,
                    max=SEED_MAX,
                    control_after_generate=True,
                    tooltip="The seed of the first variant; every further variant has a seed one higher. The seed of the variant that "
                    "you like makes it again, alone.",
                ),
                io.Int.Input(
                    "count",
                    default=3,
                    min=1,
                    max=MAX_VARIANTS,
                    tooltip="How many variants of each picture, 1 to 100. Time grows with it.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="The finished pictures: one, a batch or a list. Needed for several pictures, because each must meet every "
                    "seed. Connect the output image in place of the picture.",
                ),
            ],
            outputs=[
                io.Int.Output(
                    display_name="seed",
                    is_output_list=True,
                    tooltip="List: the seeds of all variants; with several pictures, all seeds of the first picture come first.",
                ),
                io.Image.Output(
                    display_name="image",
                    is_output_list=True,
                    tooltip="List: the picture of each variant, one picture each. Only if image is connected.",
                ),
            ],
        )

    @classmethod
    def execute(cls, seed: list[int], count: list[int], image: list[Tensor] | None = None) -> io.NodeOutput:
        """Run the node. Every input is a list, because `is_input_list` makes all inputs lists."""
        if not 1 <= count[0] <= MAX_VARIANTS:
            raise ValueError(f"count is {count[0]}; the number of variants must be from 1 to {MAX_VARIANTS}.")
        seeds = [(seed[0] + i) % (SEED_MAX + 1) for i in range(count[0])]
        if not image:
            nothing = ExecutionBlocker("Connect the finished picture to image of Variants.")
            return io.NodeOutput(seeds, [nothing])
        require_pictures(image, "image")
        pictures = [picture for batch in image for picture in batch.split(1)]
        return io.NodeOutput(seeds * len(pictures), [picture for picture in pictures for _ in seeds])
