"""Register the pack's nodes with ComfyUI."""

from comfy_api.latest import ComfyExtension, io

from .arrange_keyframes import ArrangeKeyframes, KeyframePairs
from .assemble_video import AssembleVideo
from .download_models import Download
from .draw_stage_sheet import StageSheet
from .enlarge_frames import FullSize
from .interpolate_keyframes import Interpolate, InterpolationConditioning
from .join_segments import JoinSegments
from .linked_values import checked
from .load_checkpoints import MultiFrameLoader, SaveCheckpoint, SingleFrameLoader
from .mask_changes import ChangeMask
from .merge_keyframes import MergeKeyframes
from .multi_frame_sampling import DDIMSampler, Guidance, TemporalWindowNode, TrailingScheduler
from .plan_steps import PlanSteps
from .predict_keyframes import KeyframeConditioning, PredictKeyframe, PredictKeyframes
from .tag_picture import Tagger
from .variants import Variants

NODES: list[type[io.ComfyNode]] = [
    SingleFrameLoader,
    MultiFrameLoader,
    SaveCheckpoint,
    Download,
    Tagger,
    Variants,
    PlanSteps,
    KeyframeConditioning,
    PredictKeyframe,
    PredictKeyframes,
    MergeKeyframes,
    ArrangeKeyframes,
    KeyframePairs,
    InterpolationConditioning,
    DDIMSampler,
    TrailingScheduler,
    Guidance,
    TemporalWindowNode,
    Interpolate,
    JoinSegments,
    AssembleVideo,
    FullSize,
    StageSheet,
    ChangeMask,
]


class PaintsUndoExtension(ComfyExtension):
    """Give ComfyUI the list of nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [checked(node) for node in NODES]
