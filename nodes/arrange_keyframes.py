"""Nodes that only put pictures in order: all keyframes in one batch, and the pairs of neighbours."""

import torch
from comfy_api.latest import io, ui

from ..paintsundo_models import per_segment
from ..paintsundo_models.constants import DEFAULT_SEGMENT_SEED, SEED_MAX
from ..paintsundo_models.pictures import inputs, resizing
from .page_features import KEYFRAME, PAINTING_VIDEO, searched_as
from .previews import box_of, cut_shown
from .progress_text import number_segments


class ArrangeKeyframes(io.ComfyNode):
    """Join the finished picture, the keyframes and a white canvas into one batch in undo order."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoArrangeKeyframes",
            display_name="Arrange Keyframes",
            category="PaintsUndo/keyframes",
            description=(
                "Puts the finished picture before the keyframes and a white canvas after them. The finished picture is "
                "resized and cropped to the keyframes' size. The node shows the result and, where the crop cut something off, "
                "what it cut off."
            ),
            is_output_node=True,  # it shows pictures, so it can be run without a video
            **searched_as(*KEYFRAME, *PAINTING_VIDEO),
            inputs=[
                io.Image.Input(
                    "finished",
                    tooltip="The finished picture: one picture of any size. It is resized and cropped to the keyframes' size.",
                ),
                io.Image.Input(
                    "keyframes",
                    tooltip="The predicted keyframes in undo order (rising operation step). They are passed on unchanged.",
                ),
                io.Boolean.Input(
                    "include_finished",
                    default=True,
                    tooltip=(
                        "On: the finished picture comes first, so that the video ends with it. Off: the video ends "
                        "with the first keyframe."
                    ),
                ),
                io.Boolean.Input(
                    "include_canvas",
                    default=True,
                    tooltip=(
                        "On: a white canvas comes last, so that the video begins with it. Off: the video begins with "
                        "the last keyframe."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="keyframes",
                    tooltip="Batch in undo order: finished picture, keyframes, white canvas; all of one size.",
                )
            ],
        )

    @classmethod
    def execute(
        cls, finished: io.Image.Type, keyframes: io.Image.Type, include_finished: bool, include_canvas: bool
    ) -> io.NodeOutput:
        keyframes = inputs.composite_on_white(keyframes, "keyframes")
        height, width = keyframes.shape[1:3]
        parts, cut, text = [keyframes], [], {}
        if include_finished:
            finished = inputs.require_single_picture(finished, "finished")
            box = box_of(finished, keyframes)
            parts.insert(0, resizing.resize_and_center_crop(finished, width, height).to(keyframes))
            cut, text = cut_shown(cls, finished, box), ui.PreviewText(box.describe()).as_dict()
        if include_canvas:
            parts.append(inputs.white_canvas(height, width).to(keyframes))
        batch = torch.cat(parts)
        shown = ui.PreviewImage(batch, cls=cls).as_dict()
        return io.NodeOutput(batch, ui={**shown, **text, "images": [*shown["images"], *cut]})


class KeyframePairs(io.ComfyNode):
    """Make N - 1 pairs of N keyframes, as lists, so that the nodes behind run once for each pair."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoKeyframePairs",
            display_name="Keyframe Pairs",
            category="PaintsUndo/interpolation",
            description=(
                "Makes a pair of every two neighbouring keyframes. The outputs are lists: the nodes behind run once "
                "for each pair, so memory holds one segment at a time."
            ),
            inputs=[
                io.Image.Input(
                    "keyframes",
                    tooltip="Two or more pictures in undo order, from Arrange Keyframes.",
                ),
                io.Int.Input(
                    "seed",
                    default=DEFAULT_SEGMENT_SEED,
                    min=0,
                    max=SEED_MAX,
                    control_after_generate=True,
                    tooltip=(
                        "Seed of the first pair; every further pair gets a seed one higher. Another number gives other strokes; "
                        "the same number gives the same video. No number is better than another."
                    ),
                ),
                io.String.Input(
                    "seeds",
                    default="",
                    optional=True,  # optional, because prompts saved by older versions of the pack lack it
                    tooltip=(
                        'One seed for each pair, from the finished picture to the canvas, such as "123, -, 7": "-" keeps the '
                        "pair's counted seed. Change one to make only that segment another way. Empty: the seeds are counted up."
                    ),
                ),
                io.String.Input(
                    "prompts",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip=(
                        'One prompt on each line, one for each pair; "-" is the general prompt. Connect the output prompt to '
                        "Interpolate Keyframes. Empty: the general prompt for all."
                    ),
                ),
                io.String.Input(
                    "steps",
                    default="",
                    optional=True,
                    tooltip=(
                        'Sampling steps for each pair, 1 to 1000, such as "50, 50, 20"; "-" means 50. Connect the output steps to '
                        "Interpolate Keyframes. Empty: 50 for all."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="start_image",
                    is_output_list=True,
                    tooltip="List: the first picture of each pair (the more finished one), one picture each.",
                ),
                io.Image.Output(
                    display_name="end_image",
                    is_output_list=True,
                    tooltip="List: the second picture of each pair (the earlier stage), one picture each.",
                ),
                io.Int.Output(
                    display_name="seed",
                    is_output_list=True,
                    tooltip="List: one seed for each pair, counting up from the seed widget, or from seeds.",
                ),
                io.String.Output(
                    display_name="prompt",
                    is_output_list=True,
                    tooltip="List: one prompt for each pair, for Interpolate Keyframes.",
                ),
                io.Int.Output(
                    display_name="steps",
                    is_output_list=True,
                    tooltip="List: the sampling steps for each pair, for Interpolate Keyframes.",
                ),
                io.Image.Output(
                    display_name="keyframes",
                    tooltip="The keyframes, unchanged: once for each entry where the seed is a list. For Assemble Painting Video, "
                    "which makes one video of each.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls, seeds: str | None = None, prompts: str | None = None, steps: str | None = None
    ) -> bool | str:
        # None: the input is linked, and its value is known only when the node runs. The error is raised, because the
        # host would report a returned text at all three inputs.
        per_segment.check_counts(seeds or "", prompts or "", steps or "")
        return True

    @classmethod
    def execute(
        cls, keyframes: io.Image.Type, seed: int, seeds: str = "", prompts: str = "", steps: str = ""
    ) -> io.NodeOutput:
        keyframes = inputs.composite_on_white(keyframes, "keyframes")
        if len(keyframes) < 2:
            raise ValueError(
                f"Pairs need at least two keyframes; got {len(keyframes)}. Switch on include_finished or "
                "include_canvas in Arrange Keyframes, or predict more than one operation step."
            )
        pictures = list(keyframes.split(1))
        count = len(pictures) - 1
        number_segments(pictures[:-1])
        return io.NodeOutput(
            pictures[:-1],
            pictures[1:],
            per_segment.seeds_of_segments(seeds, seed, count),
            per_segment.prompts_of_segments(prompts, count),
            per_segment.steps_of_segments(steps, count),
            keyframes,
        )
