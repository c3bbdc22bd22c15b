"""What newer pages can do with a node, on hosts that take it: further search words, folded inputs, results that come back."""

import inspect
from typing import Any

from comfy_api.latest import io

PAINTING_VIDEO = (
    *(
        "timelapse",
        "time lapse",
        "time-lapse",
        "speedpaint",
        "speed paint",
        "painting process",
        "drawing process",
    ),
    *("making of", "how it was painted", "paints undo"),
    *("延时", "延时摄影", "縮時", "绘画过程", "繪畫過程", "作画过程", "绘制过程", "速涂"),
    *("タイムラプス", "早送り", "スピードペイント", "メイキング", "制作過程", "作画過程", "お絵描き"),
)
"""Words for what the whole chain makes."""

KEYFRAME = (
    *("undo", "sketch", "line art", "lineart", "rough", "flat colours", "stages"),
    *("撤销", "撤銷", "草图", "草圖", "草稿", "线稿", "線稿", "底色"),
    *("元に戻す", "下書き", "ラフ", "線画", "下塗り"),
)
"""Words for a picture at an earlier stage."""

SEGMENT = (
    *("in-between", "inbetween", "tween", "frame interpolation", "interpolate frames"),
    *("中间帧", "中間幀", "插帧", "补帧"),
    *("中割り", "フレーム補間"),
)
"""Words for the frames between two pictures."""

VIDEO_FILE = (
    *("video combine", "combine video", "save video", "create video", "mp4", "webm", "gif"),
    *("合成视频", "合成影片", "视频合并", "保存视频", "保存影片"),
    *("動画結合", "動画作成", "動画を保存"),
)
"""Words for a file of frames."""

TAGS = (
    *("wd14", "tagger", "caption", "interrogate", "clip interrogator"),
    *("打标", "标签", "標籤", "反推"),
    *("タグ付け", "キャプション"),
)
"""Words for a description of a picture by tags."""


def searched_as(*words: str) -> dict[str, Any]:
    """Return the argument of `io.Schema` for words that find the node in the page's search."""
    return _known_to(io.Schema, search_aliases=list(dict.fromkeys(words)))


def advanced() -> dict[str, Any]:
    """Return the argument of an input that the page shows among the advanced ones, folded until somebody asks for them."""
    return _known_to(io.WidgetInput, advanced=True)


def shown_again() -> dict[str, Any]:
    """Return the argument of `io.Schema` for a node whose pictures come back when it is taken from the cache.

    Output nodes need none.
    """
    return _known_to(io.Schema, has_intermediate_output=True)


def _known_to(kind: type, **arguments: Any) -> dict[str, Any]:
    known = inspect.signature(kind).parameters
    return {name: value for name, value in arguments.items() if name in known}
