"""The node that joins the segments into a painting video and saves it."""

from collections.abc import Sequence

from comfy.cli_args import args
from comfy_api.latest import InputImpl, Types, io
from torch import Tensor

from ..paintsundo_models.constants import DEFAULT_FPS
from ..paintsundo_models.host.graph import (
    connections_of_class,
    is_output_wanted,
    link_of,
    nodes_behind,
    setting_at_source,
)
from ..paintsundo_models.host.main_memory import require_room_for_frames
from ..paintsundo_models.host.out_of_memory import Stage, said_plainly
from ..paintsundo_models.pictures.inputs import require_pictures
from ..paintsundo_models.video import files as video_files
from ..paintsundo_models.video import full_size, notice, timeline
from ..paintsundo_models.video import pace as pacing
from ..paintsundo_models.video import paper as papers
from ..paintsundo_models.video.assembly import AssemblySettings, assemble
from ..paintsundo_models.video.frames import RecordedFrames
from ..paintsundo_models.video.metadata import metadata_texts
from ..paintsundo_models.video.several import divide_segments
from .choices import Choice, require_choice
from .early_checks import not_made_yet
from .output_names import DEFAULT_PREFIX, clean_prefix
from .page_features import PAINTING_VIDEO, VIDEO_FILE, advanced, searched_as
from .saved_videos import VideoToSave, save_video, shown_together, trouble_with_format

VIDEO_OUTPUT, FRAMES_OUTPUT = 0, 1
ARRANGE, PAIRS = "PaintsUndoArrangeKeyframes", "PaintsUndoKeyframePairs"
NO_ROOM = "Disconnect the outputs video and frames (the file needs little), or lower fps, holds, duration or longest_side."


def _entry(batches: list[Tensor], place: int) -> Tensor | None:
    """Return what a video gets from a list with one entry for each video, or one for all, or none."""
    return batches[min(place, len(batches) - 1)] if batches else None


class AssembleVideo(io.ComfyNode):
    """Join the segments, save them as a video with the workflow inside, and show it."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="PaintsUndoAssembleVideo",
            display_name="Assemble Painting Video",
            category="PaintsUndo/video",
            description="Joins the segments into one video that runs from the white canvas to the finished picture, and "
            "saves it in ComfyUI's output folder with the workflow inside: drop the file on the page to open the graph.",
            **searched_as(*PAINTING_VIDEO, *VIDEO_FILE),
            is_input_list=True,
            is_output_node=True,
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            inputs=[
                io.Image.Input(
                    "frames",
                    lazy=True,
                    tooltip="The frames in undo order (finished picture first): the list of segments from Interpolate "
                    "Keyframes, or one batch. A batch whose length is a multiple of 16 frames counts as several segments. "
                    "All frames must have one size. Transparent parts become white.",
                ),
                io.Float.Input(
                    "fps",
                    default=DEFAULT_FPS,
                    min=0.1,
                    max=60.0,
                    step=0.01,
                    tooltip="Frames a second, 0.1 to 60. 4: as in the original program; seven segments last about 26 seconds. "
                    "Higher: a faster, smoother and shorter video. Lower: a slide show. A GIF plays at most 50, and its "
                    "frames last whole 1/100 seconds.",
                ),
                Choice(
                    "order",
                    options=list(timeline.ORDERS),
                    default=timeline.ORDER_PAINTING,
                    tooltip="painting: from the white canvas to the finished picture. undo: the reverse, from the finished "
                    "picture to the canvas.",
                ),
                Choice(
                    "trim",
                    options=list(timeline.TRIMS),
                    default=timeline.TRIM_SHARED,
                    tooltip="Each segment ends with the picture that the next one starts with. shared ends once: shows that "
                    "picture once (seven segments of 16 make 106 frames). as reference: the original program's exact frames "
                    "(105), without the white canvas and without exact_ends. keep all: drops nothing (112 frames), so the "
                    "video stands still at each keyframe. From a single segment, only as reference drops a frame.",
                    **advanced(),
                ),
                io.Float.Input(
                    "hold_first",
                    default=0.0,
                    min=0.0,
                    max=60.0,
                    step=0.05,
                    tooltip="How many seconds longer the first frame of the video is shown, 0 to 60, rounded to whole frames. 0: "
                    "no longer than the others.",
                ),
                io.Float.Input(
                    "hold_last",
                    default=0.0,
                    min=0.0,
                    max=60.0,
                    step=0.05,
                    tooltip="How many seconds longer the last frame of the video is shown, 0 to 60, rounded to whole frames. 0: "
                    "no longer than the others. 2: time to look at the finished picture before the video loops.",
                ),
                Choice(
                    "format",
                    options=list(video_files.VIDEO_FORMATS),
                    trouble=trouble_with_format,
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
                    "gif: 32 to 256 colours, 256 from 75 up. No effect on webm (lossless) and png sequence.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default=DEFAULT_PREFIX,
                    tooltip="Folder and start of the name, below ComfyUI's output folder. A number is added, and nothing is "
                    "overwritten. It may contain %year%, %month%, %day%, %hour%, %minute%, %second%, %width%, %height%, "
                    "%date:yyyy-MM-dd% and %Node.widget%, as in Save Image.",
                ),
                io.Boolean.Input(
                    "exact_ends",
                    default=True,
                    tooltip="On: the two ends of the video are the white canvas and the finished picture themselves, as far as "
                    "keyframes or finished are connected. Off: the ends are as the model re-draws them. No effect with trim "
                    "as reference.",
                    **advanced(),
                ),
                io.Image.Input(
                    "keyframes",
                    optional=True,
                    lazy=True,
                    tooltip="The keyframes in undo order from Arrange Keyframes. The first and the last are used for exact_ends. A list "
                    "of several batches makes one video of each; their numbers of keyframes tell which segments belong to "
                    "which.",
                ),
                io.Image.Input(
                    "finished",
                    optional=True,
                    lazy=True,
                    tooltip="The finished picture at its full size: one picture. The video can then be as large as the picture "
                    "(see size), and over its last frames it passes into exactly this picture.",
                ),
                Choice(
                    "size",
                    options=list(full_size.SIZES),
                    default=full_size.SIZE_PICTURE,
                    optional=True,
                    tooltip="Size of the video if finished is connected. as the finished picture: large, and the picture's "
                    "detail shows in every frame where that detail is painted already. as the segments: small. Without "
                    "finished, the video is as large as the segments.",
                ),
                io.Int.Input(
                    "longest_side",
                    default=full_size.DEFAULT_LONGEST_SIDE,
                    min=64,
                    max=16384,
                    step=1,
                    optional=True,
                    tooltip="Limit for the longest side of a video of the finished picture's size, 64 to 16384 pixels. A smaller "
                    "picture is not enlarged. Many players go up to 4096.",
                ),
                io.Float.Input(
                    "duration",
                    default=0.0,
                    min=0.0,
                    max=pacing.MAX_DURATION,
                    step=0.5,
                    optional=True,  # optional, because prompts saved by older versions of the pack lack it
                    tooltip="Length of the whole video in seconds, 0 to 600, with the holds and the way back of loop. 0: each "
                    "frame is shown once, so fps decides the length. Else neighbouring frames are blended, and an fps of 12 "
                    "or 24 looks smooth.",
                ),
                Choice(
                    "pace",
                    options=list(pacing.PACES),
                    default=pacing.PACE_AS_MADE,
                    optional=True,
                    tooltip="as made: every frame is shown equally long, as in the original program; the sketch takes most of "
                    "the time, and the colours come suddenly. equal change: every second changes about as much of the "
                    "picture, and a blank canvas takes no time; best with a duration, or with an fps of 8 or more. ease: "
                    "like equal change, but slower at the first lines and the last touches.",
                ),
                Choice(
                    "loop",
                    options=list(pacing.LOOPS),
                    default=pacing.LOOP_ONCE,
                    optional=True,
                    tooltip="once: the video ends with its last frame. ping-pong: it then plays back at the same pace. rewind: "
                    "it then plays back within a second. With these two, a player that repeats the video shows no jump.",
                ),
                Choice(
                    "end_card",
                    options=list(notice.NOTICES),
                    default=notice.NOTICE_OFF,
                    optional=True,
                    tooltip="Tells people who watch the video that it is an AI-simulated painting process and not a recording. off: "
                    "only the file states it, for programs. end card: a card at the end, for two more seconds. corner note: a "
                    "line in the lower left corner of every frame.",
                ),
                io.Boolean.Input(
                    "cover",
                    default=False,
                    optional=True,
                    tooltip="On: where an mp4 or webm does not play, it shows the finished picture and not a white canvas. For this it "
                    "gets one more frame at its start, which lasts a thousandth of a second; programs that count frames count it. "
                    "No effect with order undo, gif and png sequence, and on the outputs.",
                ),
                Choice(
                    "paper",
                    options=list(papers.PAPERS),
                    default=papers.PAPER_OFF,
                    optional=True,
                    tooltip="Lays the whole video on paper of this shape (width to height), with a margin around it. 9:16 is for "
                    "telephones held upright. off: the video has the shape of its frames.",
                ),
            ],
            outputs=[
                io.Video.Output(
                    display_name="video",
                    is_output_list=True,
                    tooltip="The frames as played, holds included, with their frame rate, before the file's compression. For Save "
                    "Video and other video nodes. A list if there are several videos. Made only if an output is connected.",
                ),
                io.Image.Output(
                    display_name="frames",
                    is_output_list=True,
                    tooltip="The frames as played, holds included: one batch (frames, height, width, 3) for each video. Made only if an output "
                    "is connected, so that memory does not grow with the video.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: Sequence[str | None] = (None,)) -> bool | str:
        # None: linked, so the value is known only at the run.
        try:
            if filename_prefix[0] is not None:
                clean_prefix(filename_prefix[0])
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def check_lazy_status(
        cls,
        fps: list[float],
        format: list[str],
        filename_prefix: list[str],
        hold_first: list[float],
        hold_last: list[float],
        duration: Sequence[float] = (0.0,),
        pace: Sequence[str] = (pacing.PACE_AS_MADE,),
        loop: Sequence[str] = (pacing.LOOP_ONCE,),
        **others: object,
    ) -> list[str]:
        """Check what would fail when the frames are there, and ask for them."""
        rate = timeline.frame_rate(fps[0])
        timing = pacing.Timing(rate, pace[0], duration[0], loop[0], hold_first[0], hold_last[0])
        pacing.check_timing(timing)
        video_files.check_format(format[0], rate)
        for text in filename_prefix:
            clean_prefix(text, cls.hidden.prompt, cls.hidden.extra_pnginfo)
        return not_made_yet(others)

    @classmethod
    def fingerprint_inputs(cls, **inputs: object) -> list[str]:
        # Unconnected outputs are not made, so the node must run again when one gets connected.
        return connections_of_class("PaintsUndoAssembleVideo")

    @classmethod
    @said_plainly(Stage("the video was being made", NO_ROOM))
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
        cover: Sequence[bool] = (False,),
        paper: Sequence[str] = (papers.PAPER_OFF,),
    ) -> io.NodeOutput:
        """Run the node. Every input is a list, because `is_input_list` makes all inputs lists."""
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
            has_cover=cover[0],
            paper=paper[0],
        )
        require_choice("order", settings.order, list(timeline.ORDERS))
        require_choice("trim", settings.trim, list(timeline.TRIMS))
        require_choice("size", settings.size, list(full_size.SIZES))
        require_choice("end_card", settings.notice, list(notice.NOTICES))
        require_choice("paper", settings.paper, list(papers.PAPERS))
        pacing.check_timing(settings.timing)
        video_files.check_format(format[0], settings.rate)
        prefixes = [
            clean_prefix(text, cls.hidden.prompt, cls.hidden.extra_pnginfo) for text in filename_prefix
        ]
        prompt, node_id = cls.hidden.prompt, cls.hidden.unique_id
        keyframes, finished = keyframes or [], finished or []
        for name, batches_given in (("frames", frames), ("keyframes", keyframes), ("finished", finished)):
            require_pictures(batches_given, name)
        places = divide_segments(
            len(frames), [len(batch) for batch in keyframes], len(finished), cls._is_made_from_keyframes()
        )
        # No frame of a video is made yet, so all of them are checked before the first one is written.
        videos = [
            assemble([frames[place] for place in own], settings, _entry(keyframes, i), _entry(finished, i))
            for i, own in enumerate(places)
        ]
        is_wanted = any(is_output_wanted(output, node_id, prompt) for output in (VIDEO_OUTPUT, FRAMES_OUTPUT))
        if is_wanted:
            largest = max((video.played for video in videos), key=lambda played: played.height * played.width)
            count = sum(len(video.played) for video in videos)
            require_room_for_frames(count, largest.height, largest.width, NO_ROOM)
        metadata = {}
        if not args.disable_metadata:
            metadata = metadata_texts(prompt, cls.hidden.extra_pnginfo)
        has_picture = setting_at_source(
            "keyframes", ARRANGE, "include_finished", node_id, prompt, passing=PAIRS
        )
        batches: list[Tensor] = []
        shown = []
        for i, video in enumerate(videos):
            played = RecordedFrames(video.played) if is_wanted else video.played
            # None: the source is unknown, so assume that the finished picture is included.
            has_own_end = video.has_own_end and (bool(finished) or has_picture is not False)
            prefix = prefixes[min(i, len(prefixes) - 1)]
            picture = None if video.cover is None else video.cover[0]
            to_save = VideoToSave(
                prefix, format[0], quality[0], settings.rate, metadata, has_own_end, picture
            )
            shown.append(save_video(played, to_save, lambda video=video: video.picture))
            if isinstance(played, RecordedFrames):
                batches.append(played.images)
        if not is_wanted:
            return io.NodeOutput([None], [None], ui=shown_together(shown))
        films = [
            InputImpl.VideoFromComponents(
                Types.VideoComponents(images=images, audio=None, frame_rate=settings.rate)
            )
            for images in batches
        ]
        return io.NodeOutput(films, batches, ui=shown_together(shown))

    @classmethod
    def _is_made_from_keyframes(cls) -> bool:
        """Return whether the frames come from a Keyframe Pairs that reads the same keyframes as this node."""
        prompt, node_id = cls.hidden.prompt, cls.hidden.unique_id
        link = link_of("keyframes", node_id, prompt)
        return link is not None and any(
            link_of("keyframes", pairs, prompt) == link
            for pairs in nodes_behind("frames", PAIRS, node_id, prompt)
        )
