"""Divide a list of segments among videos, if one run of the graph made several paintings."""

from collections.abc import Sequence


def divide_segments(
    segments: int, keyframes: Sequence[int] = (), pictures: int = 0, is_repeated: bool = False
) -> list[range]:
    """Return for each video the places of its segments in the list.

    N keyframes have N - 1 segments between them, so the numbers of keyframes divide the list. Where each video comes as
    one batch of frames, there are as many batches as videos.

    Args:
        segments: how many entries the list of frames has.
        keyframes: how many pictures each batch of keyframes has; one batch for each video, or none.
        pictures: how many finished pictures there are at their own size: none, one for all videos, or one for each.
        is_repeated: the segments are known to lie between just these keyframes, so that a list that is two times as long
            as one batch of keyframes needs holds two videos. Else one batch of keyframes makes one video.

    Raises:
        ValueError: the numbers do not fit together.
    """
    if len(keyframes) > 1:
        counts = [number - 1 for number in keyframes]
        if segments == len(keyframes):
            counts = [1] * len(keyframes)
        elif segments != sum(counts):
            raise ValueError(
                f"frames has {segments} segments, and the {len(keyframes)} batches of keyframes need {sum(counts)}: one between "
                "every two neighbours. Connect the keyframes from which the segments were made; where Keyframe Pairs gets "
                "a list of seeds, connect its output keyframes."
            )
    elif keyframes and is_repeated and keyframes[0] > 1 and segments % (keyframes[0] - 1) == 0:
        counts = [keyframes[0] - 1] * (segments // (keyframes[0] - 1))
    elif pictures > 1 and not keyframes and segments % pictures == 0:
        counts = [segments // pictures] * pictures
    else:
        counts = [segments]
    if pictures > 1 and pictures != len(counts):
        raise ValueError(
            f"finished has {pictures} pictures, and the keyframes make {len(counts)} videos. Connect one finished picture, or one "
            "for each video in the same order, such as the output image of Variants."
        )
    starts = [sum(counts[:number]) for number in range(len(counts))]
    return [range(start, start + count) for start, count in zip(starts, counts, strict=True)]
