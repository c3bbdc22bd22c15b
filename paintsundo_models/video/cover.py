"""The cover of a video file: a first frame of one millisecond that shows the finished picture.

Pages, folders and chats show the first frame of a video that does not play, and a painting video begins with a white
canvas. With a cover they show the picture. A player replaces the cover at its first refresh, so nobody sees it flash.
A picture attached to the file would be neater, but MP4 files lose either that picture or their workflow.
"""

from fractions import Fraction

COVER_SECONDS = Fraction(1, 1000)
"""How long the cover is shown: the shortest time that WebM files can store."""


def _ticks_per_second(fps: Fraction) -> int:
    """Return a clock in which both the cover and a frame last a whole number of ticks."""
    return fps.numerator * COVER_SECONDS.denominator


def cover_filters(fps: Fraction) -> list[str]:
    """Return ffmpeg's filters that show the first picture for `COVER_SECONDS`, and the others at their rate after it."""
    ticks = _ticks_per_second(fps)
    cover, frame = ticks * COVER_SECONDS, ticks / fps  # both are whole
    return [f"settb=1/{ticks}", rf"setpts=if(N\,(N-1)*{frame}+{cover}\,0)"]


def cover_options(fps: Fraction, extension: str) -> list[str]:
    """Return ffmpeg's output options that keep the times of `cover_filters` in a file with this extension."""
    ticks = _ticks_per_second(fps)
    options = ["-fps_mode", "passthrough", "-enc_time_base", f"1/{ticks}"]
    if extension == ".mp4":
        # Without -bf 0, browsers do not show the last frame for its whole time. It makes files about 8 % larger.
        options += ["-video_track_timescale", str(ticks), "-bf", "0"]
    return options
