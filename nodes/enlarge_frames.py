"""The node that makes frames as large as the finished picture, for stills and other nodes."""

import comfy.model_management
import comfy.utils
from comfy_api.latest import io
from torch import Tensor

from ..paintsundo_models.host.main_memory import require_room_for_frames
from ..paintsundo_models.host.out_of_memory import Stage, said_plainly
from ..paintsundo_models.host.upscaling import upscale
from ..paintsundo_models.pictures.inputs import require_pictures
from ..paintsundo_models.video import timeline
from ..paintsundo_models.video.frames import RecordedFrames, TimedFrames
from ..paintsundo_models.video.full_size import (
    DEFAULT_LONGEST_SIDE,
    FullSizeFrames,
    is_first_finished,
    picture_of_video,
)
from .choices import Choice, require_choice
from .page_features import searched_as

MIN_LONGEST_SIDE, MAX_LONGEST_SIDE = 64, 16384


class FullSize(io.ComfyNode):
    """Enlarge frames to the size of the finished picture, with the picture's detail."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoFullSize",
            display_name="Full Size",
            category="PaintsUndo/video",
            description=(
                "Makes frames or keyframes as large as the finished picture. The picture's detail shows in each frame where "
                "that detail is painted already. For a video, connect the picture to Assemble Painting Video instead; this node "
                "is for stills and for other nodes."
            ),
            is_input_list=True,
            **searched_as("upscale", "enlarge", "high resolution", "detail"),
            inputs=[
                io.Image.Input(
                    "frames",
                    tooltip=(
                        "Frames or keyframes of one painting: one batch, or the list of segments from Interpolate Keyframes. "
                        "The segments are joined, and each shared end is kept once."
                    ),
                ),
                io.Image.Input(
                    "finished",
                    tooltip=(
                        "The finished picture at its full size: one picture. The node finds the part of it that the frames "
                        "show. Transparent parts become white."
                    ),
                ),
                io.Int.Input(
                    "longest_side",
                    default=DEFAULT_LONGEST_SIDE,
                    min=MIN_LONGEST_SIDE,
                    max=MAX_LONGEST_SIDE,
                    step=1,
                    tooltip=(
                        "Limit for the longest side of the result in pixels, 64 to 16384. A smaller picture is not enlarged, "
                        "and the result is never smaller than the frames. All results lie in memory at once: 106 frames of "
                        "1536x2048 take 4 GB."
                    ),
                ),
                Choice(
                    "order",
                    options=[timeline.ORDER_UNDO, timeline.ORDER_PAINTING],
                    default=timeline.ORDER_UNDO,
                    tooltip=(
                        "The order of the frames, which the result keeps. undo: finished picture first, as in keyframes and "
                        "segments. painting: finished picture last, as in the output of Assemble Painting Video."
                    ),
                ),
                io.UpscaleModel.Input(
                    "upscale_model",
                    optional=True,
                    tooltip=(
                        "A model from Load Upscale Model. It sharpens what the finished picture does not show, such as sketch "
                        "lines that are painted over later. It runs on each frame, so it takes longer."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="frames",
                    tooltip="The frames at the picture's size: one batch in the same order. A frame that shows the finished "
                    "picture is replaced by the picture.",
                )
            ],
        )

    @classmethod
    @said_plainly(Stage("the frames were being enlarged", "Lower longest_side, or connect fewer frames."))
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
        require_choice("order", order[0], list(timeline.ORDERS))
        require_pictures(frames, "frames")
        joined = timeline.join_segments(
            frames, timeline.TRIM_SHARED if len(frames) > 1 else timeline.TRIM_NONE
        )
        # The reversal is its own inverse, so `turn` serves for both directions.
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
