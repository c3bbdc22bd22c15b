"""The last step: segments in, a saved painting video out."""

from collections.abc import Sequence
from typing import Any

from comfy.cli_args import args
from comfy_api.latest import InputImpl, Types, io
from torch import Tensor

from ..paintsundo_models.constants import DEFAULT_FPS
from ..paintsundo_models.errors import VideoEncodingError
from ..paintsundo_models.host.graph import connections_of_class, is_output_wanted, setting_at_source
from ..paintsundo_models.host.main_memory import require_room_for_frames
from ..paintsundo_models.video import files as video_files
from ..paintsundo_models.video import full_size, notice, timeline
from ..paintsundo_models.video import pace as pacing
from ..paintsundo_models.video.assembly import AssemblySettings, assemble
from ..paintsundo_models.video.frames import RecordedFrames
from .saved_videos import DEFAULT_PREFIX, VideoToSave, clean_prefix, save_video

VIDEO_OUTPUT, FRAMES_OUTPUT = 0, 1
NO_ROOM = (
    "Lower longest_side, or disconnect the outputs video and frames: the file is written frame by frame."
)


class AssembleVideo(io.ComfyNode):
    """Order the frames, write them as a video with the workflow inside, and show it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="PaintsUndoAssembleVideo",
            display_name="Assemble Painting Video",
            category="PaintsUndo/video",
            description="Joins the segments into one video that runs from the white canvas to the finished picture, and "
            "saves it in ComfyUI's output folder with the workflow inside: drop the file on the page to open the graph.",
            is_input_list=True,
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            inputs=[
                io.Image.Input(
                    "frames",
                    tooltip="The frames in undo order (finished picture first): a list of segments, as Interpolate gives "
                    "it, or one batch. A single batch of several times 16 frames counts as several segments. All must have "
                    "the same size. Transparent parts become white.",
                ),
                io.Float.Input(
                    "fps",
                    default=DEFAULT_FPS,
                    min=0.1,
                    max=60.0,
                    step=0.01,
                    tooltip="Frames a second. 4 is Paints-UNDO's own speed: 7 segments last about 26 seconds. Higher is a "
                    "faster, smoother and shorter video; lower is a slide show. GIF goes up to 50 and keeps time in "
                    "steps of 1/100 second.",
                ),
                io.Combo.Input(
                    "order",
                    options=list(timeline.ORDERS),
                    default=timeline.ORDER_PAINTING,
                    tooltip="painting: from the white canvas to the finished picture. undo: the other way round, the "
                    "models' own order.",
                ),
                io.Combo.Input(
                    "trim",
                    options=list(timeline.TRIMS),
                    default=timeline.TRIM_SHARED,
                    tooltip="Each segment ends with the picture that the next one starts with. shared ends once: shows it "
                    "once (7 segments of 16 give 106 frames). as reference: the exact frames of the original program, "
                    "which also loses the white canvas (105 frames), with nothing replaced. keep all: drops nothing (112 "
                    "frames); the video stands still at each keyframe. With a single segment, only as reference drops one.",
                ),
                io.Float.Input(
                    "hold_first",
                    default=0.0,
                    min=0.0,
                    max=60.0,
                    step=0.05,
                    tooltip="How many more seconds the first frame of the video is shown, to the nearest frame. 0 adds "
                    "nothing.",
                ),
                io.Float.Input(
                    "hold_last",
                    default=0.0,
                    min=0.0,
                    max=60.0,
                    step=0.05,
                    tooltip="How many more seconds the last frame of the video is shown, to the nearest frame. 0 adds "
                    "nothing; 2 gives time to look at the finished picture before the video loops.",
                ),
                io.Combo.Input(
                    "format",
                    options=list(video_files.VIDEO_FORMATS),
                    default=next(iter(video_files.VIDEO_FORMATS)),
                    tooltip="mp4 (h264): plays everywhere. webm (vp9) and webm (av1): much smaller, for browsers. webm "
                    "(lossless): every pixel exact, large. gif: loops in chats and pages, up to 256 colours a frame; a "
                    "PNG beside it carries the workflow. png sequence: a folder of exact pictures for a video editor.",
                ),
                io.Int.Input(
                    "quality",
                    default=video_files.DEFAULT_QUALITY,
                    min=0,
                    max=100,
                    step=1,
                    tooltip="0 (smallest file) to 100 (best picture). mp4: crf 41 to 1. webm vp9 and av1: crf 54 to 4. "
                    "gif: 32 to 256 colours, all of them from 75 up. No effect on lossless and png sequence.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default=DEFAULT_PREFIX,
                    tooltip="Folder and start of the name under ComfyUI's output folder; a number is added, nothing is "
                    "overwritten. May hold %year%, %month%, %day%, %hour%, %minute%, %second%, %width% and %height%.",
                ),
                io.Boolean.Input(
                    "exact_ends",
                    default=True,
                    tooltip="With keyframes connected: the two ends of the video are the real keyframes (the pure white "
                    "canvas, the finished picture), resized and cropped to the frame. Off: they stay as the model "
                    "re-drew them. No effect without keyframes, nor with trim as reference.",
                ),
                io.Image.Input(
                    "keyframes",
                    optional=True,
                    tooltip="The keyframes in undo order from Arrange Keyframes. Only the first and the last one are "
                    "used, for exact_ends.",
                ),
                io.Image.Input(
                    "finished",
                    optional=True,
                    tooltip="The finished picture as you have it, one. With it the video can be as large as the picture (see "
                    "size), and passes into exactly this picture over its last frames.",
                ),
                io.Combo.Input(
                    "size",
                    options=list(full_size.SIZES),
                    default=full_size.SIZE_PICTURE,
                    optional=True,
                    tooltip="Without the finished picture: no effect, the video is as large as the segments. as the finished "
                    "picture: its own detail shows in every frame where it is painted already. as the segments: small.",
                ),
                io.Int.Input(
                    "longest_side",
                    default=full_size.DEFAULT_LONGEST_SIDE,
                    min=64,
                    max=16384,
                    step=1,
                    optional=True,
                    tooltip="With the size of the finished picture: the most pixels that a side of the video may have. A "
                    "smaller picture is not enlarged. Many players go up to 4096.",
                ),
                io.Float.Input(
                    "duration",
                    default=0.0,
                    min=0.0,
                    max=pacing.MAX_DURATION,
                    step=0.5,
                    optional=True,  # prompts saved before it was there lack it
                    tooltip="Seconds that the whole video lasts, with the holds and the way back of loop. 0: each frame is "
                    "shown once, so fps decides. With 15, 30 or 60, an fps of 12 or 24 looks smooth: neighbouring frames are "
                    "blended.",
                ),
                io.Combo.Input(
                    "pace",
                    options=list(pacing.PACES),
                    default=pacing.PACE_AS_MADE,
                    optional=True,
                    tooltip="as made: every frame is shown equally long, as in the original, so that the sketch takes "
                    "most of the time and the colours come all at once. equal change: each second changes about as much of "
                    "the picture, and a blank canvas takes no time; best with a duration, or with an fps of 8 or more. "
                    "ease: the same, slower at the first lines and at the last touches.",
                ),
                io.Combo.Input(
                    "loop",
                    options=list(pacing.LOOPS),
                    default=pacing.LOOP_ONCE,
                    optional=True,
                    tooltip="once: ends with the last frame. ping-pong: then runs back at the same pace. rewind: runs back "
                    "within a second. With either, a player that repeats the video has no jump in it.",
                ),
                io.Combo.Input(
                    "end_card",
                    options=list(notice.NOTICES),
                    default=notice.NOTICE_OFF,
                    optional=True,
                    tooltip="What the video says to people who watch it; the file says it to machines anyway. end card: two "
                    "more seconds with a card at the end, which says that this is an AI-simulated painting process and not a "
                    "recording. corner note: so in the lower left corner of every frame.",
                ),
            ],
            outputs=[
                io.Video.Output(
                    display_name="video",
                    tooltip="The frames as played, holds included, with their frame rate: exact pictures, before the "
                    "file's compression. For Save Video and other video nodes. Made only where something is connected.",
                ),
                io.Image.Output(
                    display_name="frames",
                    tooltip="All frames as played, one batch of shape (frames, height, width, 3) in 0 to 1, holds included. "
                    "Made only where something is connected, so that memory does not grow with the video.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(
        cls,
        fps: Sequence[float | None] = (None,),
        format: Sequence[str | None] = (None,),
        filename_prefix: Sequence[str | None] = (None,),
        hold_first: Sequence[Any] = (0.0,),
        hold_last: Sequence[Any] = (0.0,),
        duration: Sequence[Any] = (0.0,),
        pace: Sequence[Any] = (pacing.PACE_AS_MADE,),
        loop: Sequence[Any] = (pacing.LOOP_ONCE,),
    ) -> bool | str:
        # What would fail at the very end fails before the first step. None: linked, known only when it runs.
        try:
            rate = None if fps[0] is None else timeline.frame_rate(fps[0])
            choices = (pace[0], duration[0], loop[0], hold_first[0], hold_last[0])
            if rate is not None and None not in choices:
                pacing.check_timing(pacing.Timing(rate, *choices))
            if format[0] is not None:
                video_files.check_format(format[0], rate)
            if filename_prefix[0] is not None:
                clean_prefix(filename_prefix[0])
        except (ValueError, VideoEncodingError) as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, **inputs: object) -> list[str]:
        # Outputs that nothing was connected to are not made; the node runs again when something is.
        return connections_of_class("PaintsUndoAssembleVideo")

    @classmethod
    def execute(
        cls,
        frames: list[Tensor],
        fps: list[float],
        order: list[str],
        trim: list[str],
        hold_first: list[float],
        hold_last: list[float],
        format: list[str],
        quality: list[int],
        filename_prefix: list[str],
        exact_ends: list[bool],
        keyframes: list[Tensor] | None = None,
        finished: list[Tensor] | None = None,
        size: Sequence[str] = (full_size.SIZE_PICTURE,),
        longest_side: Sequence[int] = (full_size.DEFAULT_LONGEST_SIDE,),
        duration: Sequence[float] = (0.0,),
        pace: Sequence[str] = (pacing.PACE_AS_MADE,),
        loop: Sequence[str] = (pacing.LOOP_ONCE,),
        end_card: Sequence[str] = (notice.NOTICE_OFF,),
    ) -> io.NodeOutput:
        """Run the node; every input is a list because `frames` is one."""
        settings = AssemblySettings(
            rate=timeline.frame_rate(fps[0]),
            order=order[0],
            trim=trim[0],
            hold_first=hold_first[0],
            hold_last=hold_last[0],
            exact_ends=exact_ends[0],
            size=size[0],
            longest_side=longest_side[0],
            duration=duration[0],
            pace=pace[0],
            loop=loop[0],
            notice=end_card[0],
        )
        pacing.check_timing(settings.timing)
        video_files.check_format(format[0], settings.rate)
        prefix = clean_prefix(filename_prefix[0])
        for name, given in (("keyframes", keyframes), ("finished", finished)):
            if given and len(given) > 1:
                raise ValueError(
                    f"{name} is a list of {len(given)} batches, and one batch is needed: the graph ran for several "
                    "pictures at once, and their segments would all end up in one video. Queue the pictures one by one."
                )
        video = assemble(
            frames, settings, keyframes[0] if keyframes else None, finished[0] if finished else None
        )
        played, images = video.played, None
        prompt, node_id = cls.hidden.prompt, cls.hidden.unique_id
        if any(is_output_wanted(output, node_id, prompt) for output in (VIDEO_OUTPUT, FRAMES_OUTPUT)):
            if finished:
                require_room_for_frames(len(played), played.height, played.width, NO_ROOM)
            played = RecordedFrames(played)
            images = played.images
        metadata = {}
        if not args.disable_metadata:
            metadata = video_files.metadata_texts(prompt, cls.hidden.extra_pnginfo)
        has_picture = setting_at_source(
            "keyframes", "PaintsUndoArrangeKeyframes", "include_finished", node_id, prompt
        )
        # None: nothing says that it is left out
        has_own_end = video.has_own_end and (bool(finished) or has_picture is not False)
        to_save = VideoToSave(prefix, format[0], quality[0], settings.rate, metadata, has_own_end)
        shown = save_video(played, to_save, lambda: video.picture)
        if images is None:
            return io.NodeOutput(None, None, ui=shown)
        components = Types.VideoComponents(images=images, audio=None, frame_rate=settings.rate)
        return io.NodeOutput(InputImpl.VideoFromComponents(components), images, ui=shown)
