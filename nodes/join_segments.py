"""The node that joins segments that were made one by one."""

import torch
from comfy_api.latest import io

from ..paintsundo_models.pictures.inputs import composite_on_white

MOST_SEGMENTS = 8
"""Inputs of the node. Their number is fixed, so that a saved workflow has the same inputs in every version of ComfyUI."""


class JoinSegments(io.ComfyNode):
    """Join two or more segments into one batch."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoJoinSegments",
            display_name="Join Segments",
            category="PaintsUndo/interpolation",
            description="Joins segments that were made one by one, for Assemble Painting Video. For more than eight, connect the "
            "output to another Join Segments.",
            inputs=[
                io.Image.Input(
                    f"segment_{number}",
                    optional=number > 2,
                    tooltip=f"Segment {number} in undo order: frames of Interpolate Keyframes, or of another Join Segments."
                    if number > 1
                    else "The segment that begins with the finished picture: frames of Interpolate Keyframes.",
                )
                for number in range(1, MOST_SEGMENTS + 1)
            ],
            outputs=[
                io.Image.Output(
                    display_name="frames",
                    tooltip="All frames in one batch, in undo order. Assemble Painting Video knows the segments in it if each "
                    "has 16 frames.",
                )
            ],
        )

    @classmethod
    def execute(cls, **segments: io.Image.Type) -> io.NodeOutput:
        given = {
            name: composite_on_white(segments[name], name)
            for name in (f"segment_{number}" for number in range(1, MOST_SEGMENTS + 1))
            if segments.get(name) is not None
        }
        sizes = {name: (frames.shape[2], frames.shape[1]) for name, frames in given.items()}
        first, size = next(iter(sizes.items()))
        for name, other in sizes.items():
            if other != size:
                raise ValueError(
                    f"{name} has frames of {other[0]}x{other[1]} pixels, and {first} of {size[0]}x{size[1]}. Interpolate all "
                    "segments at the same resolution."
                )
        return io.NodeOutput(torch.cat(list(given.values())))
