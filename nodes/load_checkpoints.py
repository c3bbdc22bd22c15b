"""Nodes that load the two models, and one that writes a checkpoint as a single file."""

from comfy_api.latest import io

from ..paintsundo_models import loading
from ..paintsundo_models.checkpoints.files import (
    WEIGHT_DTYPES,
    check_new_file,
    checkpoint_identity,
    read_checkpoint,
    save_single_file,
)
from ..paintsundo_models.checkpoints.parts import (
    MULTI_FRAME,
    MULTI_FRAME_LOADER,
    SINGLE_FRAME,
    SINGLE_FRAME_LOADER,
)
from ..paintsundo_models.constants import DEMO_NAME, NONE_FOUND, UNUSABLE
from ..paintsundo_models.errors import CheckpointError
from ..paintsundo_models.host.folders import (
    checkpoint_path,
    list_checkpoints,
    single_file_path,
)
from .choices import Choice, require_choice

WEIGHT_DTYPE_TOOLTIP = (
    "Number type in which the weights are kept. default: ComfyUI chooses for your card, half precision on most. fp8: the "
    "diffusion network takes half the memory of fp16, and the pictures differ slightly. fp32: exact and slow, twice the "
    "memory of fp16."
)


def checkpoint_input(kind: str) -> Choice:
    """Make the combo that lists the checkpoints of one kind."""
    return Choice(
        "checkpoint",
        options=list_checkpoints(kind),
        tooltip=f"The {kind} checkpoint: the released folder with its sub-folders, or a single file, in models/paintsundo "
        "or models/diffusers. Press R after adding one. The built-in demo needs no download, and paints only simple drawings "
        "of about 128 x 192 pixels.",
    )


def weight_dtype_input() -> Choice:
    """Make the combo that lists WEIGHT_DTYPES."""
    return Choice(
        "weight_dtype", options=list(WEIGHT_DTYPES), default="default", tooltip=WEIGHT_DTYPE_TOOLTIP
    )


def check_checkpoint(checkpoint: str | None, kind: str) -> bool | str:
    """Return True if the checkpoint is found, else a message that says what to do, for validate_inputs.

    None means that the input is linked: its value is known only when the node runs.
    """
    try:
        return checkpoint is None or bool(checkpoint_path(checkpoint, kind))
    except CheckpointError as error:
        return str(error)


def checkpoint_fingerprint(checkpoint: str | None, kind: str) -> str:
    """Return a text that changes when the checkpoint's files change, so that ComfyUI loads a replaced checkpoint again.

    None means that the input is linked.
    """
    if checkpoint is None:
        return ""
    return repr(checkpoint_identity(checkpoint_path(checkpoint, kind)))


class SingleFrameLoader(io.ComfyNode):
    """Load the single-frame model as MODEL, CLIP and VAE."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoSingleFrameLoader",
            display_name=SINGLE_FRAME_LOADER,
            category="PaintsUndo/loaders",
            description="Loads the model that paints a picture as it was at an operation step.",
            inputs=[checkpoint_input(SINGLE_FRAME), weight_dtype_input()],
            outputs=[
                io.Model.Output(
                    display_name="MODEL",
                    tooltip="A UNet of SD 1.5 that also reads the finished picture and the operation step. Works with SD 1.5 LoRAs and every sampler.",
                ),
                io.Clip.Output(
                    display_name="CLIP",
                    tooltip="Reads prompts literally, without emphasis syntax; at most 75 tokens.",
                ),
                io.Vae.Output(display_name="VAE", tooltip="Turns pictures into latents and back."),
            ],
        )

    @classmethod
    def validate_inputs(cls, checkpoint: str | None = None) -> bool | str:
        return check_checkpoint(checkpoint, SINGLE_FRAME)

    @classmethod
    def fingerprint_inputs(cls, checkpoint: str, weight_dtype: str) -> str:
        return checkpoint_fingerprint(checkpoint, SINGLE_FRAME)

    @classmethod
    def execute(cls, checkpoint: str, weight_dtype: str) -> io.NodeOutput:
        require_choice("weight_dtype", weight_dtype, list(WEIGHT_DTYPES))
        return io.NodeOutput(
            *loading.load_single_frame(checkpoint_path(checkpoint, SINGLE_FRAME), weight_dtype)
        )


class MultiFrameLoader(io.ComfyNode):
    """Load the multi-frame model as MODEL, CLIP, VAE and CLIP_VISION."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoMultiFrameLoader",
            display_name=MULTI_FRAME_LOADER,
            category="PaintsUndo/loaders",
            description="Loads the model that makes 16 frames between two pictures.",
            inputs=[checkpoint_input(MULTI_FRAME), weight_dtype_input()],
            outputs=[
                io.Model.Output(
                    display_name="MODEL",
                    tooltip="The 3D UNet with its image projection. Works with every sampler, on latents of 16 frames. Guidance "
                    "rescale is set to 0.7 as in the original program; PaintsUndo Guidance changes it.",
                ),
                io.Clip.Output(
                    display_name="CLIP",
                    tooltip="Reads prompts literally, without emphasis syntax; at most 75 tokens.",
                ),
                io.Vae.Output(
                    display_name="VAE",
                    tooltip="The video VAE. To decode a segment with full detail, use the copy of it that Interpolation Conditioning outputs.",
                ),
                io.ClipVision.Output(
                    display_name="CLIP_VISION",
                    tooltip="Encodes the two pictures of a segment, in any aspect ratio.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, checkpoint: str | None = None) -> bool | str:
        return check_checkpoint(checkpoint, MULTI_FRAME)

    @classmethod
    def fingerprint_inputs(cls, checkpoint: str, weight_dtype: str) -> str:
        return checkpoint_fingerprint(checkpoint, MULTI_FRAME)

    @classmethod
    def execute(cls, checkpoint: str, weight_dtype: str) -> io.NodeOutput:
        require_choice("weight_dtype", weight_dtype, list(WEIGHT_DTYPES))
        return io.NodeOutput(
            *loading.load_multi_frame(checkpoint_path(checkpoint, MULTI_FRAME), weight_dtype)
        )


def _trouble_with_checkpoint(checkpoint: str) -> str | None:
    """Return why no checkpoint of either model can be read by this name, or None."""
    found = [check_checkpoint(checkpoint, kind) for kind in (SINGLE_FRAME, MULTI_FRAME)]
    # A file of the other model is unknown to one of them; what is wrong with a known one says more.
    return (
        None
        if True in found
        else str(next((text for text in found if "cannot be used" in str(text)), found[0]))
    )


class SaveCheckpoint(io.ComfyNode):
    """Write a released folder, or a single file, as a single file in another precision."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        found = {name for kind in (SINGLE_FRAME, MULTI_FRAME) for name in list_checkpoints(kind)}
        found.discard(DEMO_NAME)  # It is a single file already.
        return io.Schema(
            node_id="PaintsUndoSaveCheckpoint",
            display_name="Save PaintsUndo Checkpoint",
            category="PaintsUndo/loaders",
            description="Writes a checkpoint folder as one .safetensors file, in the precision you want. The loaders read folders and "
            "single files alike, so this node is optional.",
            is_output_node=True,
            inputs=[
                Choice(
                    "checkpoint",
                    options=sorted(found, key=lambda name: (name.endswith(UNUSABLE), name)) or [NONE_FOUND],
                    trouble=_trouble_with_checkpoint,
                    tooltip="The checkpoint to write as a new file: a released folder or a single file, of either model.",
                ),
                Choice(
                    "weight_dtype",
                    options=list(WEIGHT_DTYPES),
                    default="fp16",
                    tooltip="Number type in the file. default keeps the types of the source. fp16: 2 bytes a number, as the original "
                    "program uses. fp8: 1 byte a number in the diffusion network's matrices, fp16 elsewhere. fp32: 4 bytes a number.",
                ),
                io.String.Input(
                    "filename",
                    default="paints_undo_single_frame_fp16",
                    tooltip="Name of the new file in models/paintsundo, without ending; it may begin with a sub-folder. An existing file is never overwritten.",
                ),
            ],
            outputs=[io.String.Output(display_name="path", tooltip="Where the file was written.")],
        )

    @classmethod
    def validate_inputs(cls, filename: str | None = None) -> bool | str:
        # None: the input is linked, and its value is known only when the node runs.
        try:
            if filename is not None:
                check_new_file(single_file_path(filename))
        except (ValueError, FileExistsError) as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, checkpoint: str, weight_dtype: str, filename: str) -> io.NodeOutput:
        require_choice("weight_dtype", weight_dtype, list(WEIGHT_DTYPES))
        kind = SINGLE_FRAME if check_checkpoint(checkpoint, SINGLE_FRAME) is True else MULTI_FRAME
        file = single_file_path(filename)
        save_single_file(
            read_checkpoint(checkpoint_path(checkpoint, kind), kind), file, WEIGHT_DTYPES[weight_dtype]
        )
        return io.NodeOutput(str(file))
