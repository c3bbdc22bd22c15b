"""The pack's nodes: this list is the only one."""

from comfy_api.latest import ComfyExtension, io

from .arrange import ArrangeKeyframes, KeyframePairs
from .interpolation import (
    DDIMSampler,
    Guidance,
    Interpolate,
    InterpolationConditioning,
    TemporalWindowNode,
    TrailingScheduler,
)
from .keyframes import KeyframeConditioning, PredictKeyframe, PredictKeyframes
from .loaders import MultiFrameLoader, SaveCheckpoint, SingleFrameLoader
from .tagger import Tagger
from .video import AssembleVideo

NODES: list[type[io.ComfyNode]] = [
    SingleFrameLoader,
    MultiFrameLoader,
    SaveCheckpoint,
    Tagger,
    KeyframeConditioning,
    PredictKeyframe,
    PredictKeyframes,
    ArrangeKeyframes,
    KeyframePairs,
    InterpolationConditioning,
    DDIMSampler,
    TrailingScheduler,
    Guidance,
    TemporalWindowNode,
    Interpolate,
    AssembleVideo,
]


class PaintsUndoExtension(ComfyExtension):
    """What ComfyUI asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES
