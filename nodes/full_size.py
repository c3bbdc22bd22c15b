"""Frames at the size of the finished picture, as pictures for other nodes."""

import comfy.model_management
import comfy.utils
from comfy_api.latest import io
from torch import Tensor

from ..paintsundo_models.host.main_memory import require_room_for_frames
from ..paintsundo_models.host.upscaling import upscale
from ..paintsundo_models.video import timeline
from ..paintsundo_models.video.frames import RecordedFrames, TimedFrames
from ..paintsundo_models.video.full_size import (
    DEFAULT_LONGEST_SIDE,
    FullSizeFrames,
    is_first_finished,
    picture_of_video,
)

MIN_LONGEST_SIDE, MAX_LONGEST_SIDE = 64, 16384


class FullSize(io.ComfyNode):
    """Frames and the finished picture -> the frames at the picture's size."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoFullSize",
            display_name="Full Size",
            category="PaintsUndo/video",
            description=(
                "Makes frames or keyframes as large as the finished picture: its own detail shows in each frame where it is "
                "painted already. Assemble Painting Video does the same frame by "
                "frame; this node is for stills, and for other nodes."
            ),
            is_input_list=True,
            inputs=[
                io.Image.Input(
                    "frames",
                    tooltip=(
                        "Frames or keyframes of one painting: one batch, or the list of segments that Interpolate "
                        "gives, which are joined with each shared end once."
                    ),
                ),
                io.Image.Input(
                    "finished",
                    tooltip=(
                        "The finished picture at its own size, one. The part of it that the frames show is found by itself. "
                        "Transparent parts become white."
                    ),
                ),
                io.Int.Input(
                    "longest_side",
                    default=DEFAULT_LONGEST_SIDE,
                    min=MIN_LONGEST_SIDE,
                    max=MAX_LONGEST_SIDE,
                    step=1,
                    tooltip=(
                        "The most pixels that a side of the result may have. A smaller picture is not enlarged, and the "
                        "result is never smaller than the frames. All results lie in memory at once: 106 frames of "
                        "1536x2048 take 4 GB."
                    ),
                ),
                io.Combo.Input(
                    "order",
                    options=[timeline.ORDER_UNDO, timeline.ORDER_PAINTING],
                    default=timeline.ORDER_UNDO,
                    tooltip=(
                        "The order that the frames come in, and leave in. undo: the finished picture first, as keyframes "
                        "and segments are. painting: the finished picture last, as Assemble Painting Video gives them."
                    ),
                ),
                io.UpscaleModel.Input(
                    "upscale_model",
                    optional=True,
                    tooltip=(
                        "A model from Load Upscale Model. It draws what the picture cannot show, such as the lines of the "
                        "sketch that are painted over later. It runs on each frame, so it takes longer."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="frames",
                    tooltip="The frames at the picture's size, one batch in the same order. A frame that shows the finished "
                    "picture becomes the picture itself.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        frames: list[Tensor],
        finished: list[Tensor],
        longest_side: list[int],
        order: list[str],
        upscale_model: list | None = None,
    ) -> io.NodeOutput:
        if len(finished) > 1:
            raise ValueError(
                f"finished is a list of {len(finished)} pictures, and one is needed. Queue the pictures one by one."
            )
        joined = timeline.join_segments(
            frames, timeline.TRIM_SHARED if len(frames) > 1 else timeline.TRIM_NONE
        )
        # Both ways through: what turns frames from one order into the other also turns them back.
        turn = timeline.played_positions(len(joined), order[0])
        undo = TimedFrames(joined, turn)
        picture = picture_of_video(finished[0], undo, longest_side[0], [])
        is_end_exact = is_first_finished(undo, picture, order[0])
        enlarge = (lambda frame: upscale(upscale_model[0], frame)) if upscale_model else None
        large = FullSizeFrames(undo, picture, is_end_exact, enlarge)
        require_room_for_frames(
            len(large),
            large.height,
            large.width,
            "Lower longest_side, or connect the picture to Assemble Painting Video, which holds one frame at a time.",
        )
        recorded = RecordedFrames(TimedFrames(large, turn))
        bar = comfy.utils.ProgressBar(len(recorded))
        for done, _ in enumerate(recorded, start=1):
            comfy.model_management.throw_exception_if_processing_interrupted()
            bar.update_absolute(done, len(recorded))
        return io.NodeOutput(recorded.images)
