"""Put the stages together that lead from finished segments to the frames of the video as played.

The stages come in three groups: what the frames look like (in undo order, by index), when each frame is shown
(positions among the frames), and what is laid on the played video. Each stage takes and returns `Frames` or positions,
so that a frame exists only while it is encoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor

from .frames import Frames, TimedFrames
from .full_size import DEFAULT_LONGEST_SIDE, SIZE_PICTURE, FullSizeFrames, picture_of_video
from .notice import NOTICE_OFF, with_notice
from .pace import LOOP_ONCE, PACE_AS_MADE, Timing, changes_between, timetable
from .paper import PAPER_OFF, on_paper
from .timeline import (
    ORDER_PAINTING,
    TRIM_REFERENCE,
    TRIM_SHARED,
    at_positions,
    join_segments,
    played_positions,
)


@dataclass(frozen=True)
class AssemblySettings:
    """Settings of the frames of a video; the settings of the file are not among them.

    Attributes:
        rate: frames a second.
        order: one of `timeline.ORDERS`.
        trim: one of `timeline.TRIMS`.
        hold_first: how much longer the first frame as played is shown, in seconds.
        hold_last: how much longer the last frame as played is shown, in seconds.
        exact_ends: where the keyframes or the finished picture are given, the video's two ends are those themselves, not
            as the model drew them.
        size: one of `full_size.SIZES`; of a video whose finished picture is given.
        longest_side: the most pixels that a side may have, where the size is the finished picture's.
        duration: of the whole video in seconds; 0: as many frames as there are.
        pace: one of `pace.PACES`.
        loop: one of `pace.LOOPS`.
        notice: one of `notice.NOTICES`: what the video says to people who watch it.
        has_cover: the file shows the finished picture where it does not play, although the video begins with the canvas.
        paper: one of `paper.PAPERS`: the shape of the paper that the video is laid on.
    """

    rate: Fraction
    order: str = ORDER_PAINTING
    trim: str = TRIM_SHARED
    hold_first: float = 0.0
    hold_last: float = 0.0
    exact_ends: bool = True
    size: str = SIZE_PICTURE
    longest_side: int = DEFAULT_LONGEST_SIDE
    duration: float = 0.0
    pace: str = PACE_AS_MADE
    loop: str = LOOP_ONCE
    notice: str = NOTICE_OFF
    has_cover: bool = False
    paper: str = PAPER_OFF

    @property
    def timing(self) -> Timing:
        """Return the settings that decide when each frame is shown."""
        return Timing(self.rate, self.pace, self.duration, self.loop, self.hold_first, self.hold_last)


@dataclass(frozen=True)
class AssembledVideo:
    """A video whose frames are made only when they are asked for.

    Attributes:
        played: the frames as played.
        painted: each of them once, in undo order, before anything is laid on them.
        has_own_end: the finished picture among them is the one that was given, not one that the model drew.
        cover: one frame, the finished picture with what is laid on the played video; None: the file gets no cover.
    """

    played: Frames
    painted: Frames
    has_own_end: bool
    cover: Frames | None = None

    @property
    def picture(self) -> Tensor:
        """Return the finished picture, (H, W, 3) in [0, 1], for places where one picture represents the video."""
        return self.painted[0]


def assemble(
    segments: Sequence[Tensor],
    settings: AssemblySettings,
    keyframes: Tensor | None = None,
    finished: Tensor | None = None,
) -> AssembledVideo:
    """Build a video from segments; no frame is made yet.

    Args:
        segments: in undo order, see `timeline.join_segments`.
        settings: what is chosen.
        keyframes: (N, H, W, C) in undo order; the first and the last one are the exact ends.
        finished: the finished picture at its own size, (1, H, W, C); the video's size and, in place of the first
            keyframe, its exact end.

    Raises:
        ValueError: segments that do not fit together, or a setting outside of what it takes.
    """
    is_exact = settings.exact_ends and settings.trim != TRIM_REFERENCE
    ends = (None, None)
    if keyframes is not None and is_exact:
        ends = (keyframes[:1] if finished is None else None, keyframes[-1:])

    # What the frames look like, in undo order.
    drawn = frames = join_segments(segments, settings.trim, ends)
    if finished is not None:
        sizes = [] if keyframes is None else [(keyframes.shape[2], keyframes.shape[1])]
        longest_side = settings.longest_side if settings.size == SIZE_PICTURE else 0
        picture = picture_of_video(finished, frames, longest_side, sizes)
        frames = FullSizeFrames(frames, picture, is_exact)

    # When each of them is shown.
    order = played_positions(len(frames), settings.order)
    changes = []
    if settings.pace != PACE_AS_MADE:
        changes = changes_between(drawn[int(position)] for position in order)
    positions = at_positions(order, timetable(len(frames), settings.timing, changes))

    # What is laid on the played video.
    played = _laid_on(TimedFrames(frames, positions), settings)
    has_own_end = is_exact and not (keyframes is None and finished is None)
    cover = None
    if settings.has_cover and settings.order == ORDER_PAINTING:
        cover = _laid_on(TimedFrames(frames, [0]), settings)
    return AssembledVideo(played, frames, has_own_end, cover)


def _laid_on(played: Frames, settings: AssemblySettings) -> Frames:
    return with_notice(on_paper(played, settings.paper), settings.notice, settings.rate)
