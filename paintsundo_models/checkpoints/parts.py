"""The parts that the two models' checkpoints consist of, and how each is recognised by its tensors. Pure data, no ComfyUI."""

from collections.abc import Iterable
from dataclasses import dataclass

SINGLE_FRAME = "single-frame"
MULTI_FRAME = "multi-frame"

SINGLE_FRAME_LOADER = "PaintsUndo Single-Frame Loader"
MULTI_FRAME_LOADER = "PaintsUndo Multi-Frame Loader"
"""Display names of the nodes that load them, for messages that tell where an object has to come from."""

PARTS = {
    SINGLE_FRAME: ("unet", "vae", "text_encoder"),
    MULTI_FRAME: ("unet", "vae", "text_encoder", "image_encoder", "image_projection"),
}
"""The parts of each model, by the names of the released sub-folders."""

PART_NAMES = {part for parts in PARTS.values() for part in parts}


@dataclass(frozen=True)
class PartSignature:
    """A part is recognised by tensors that no other part has; `kind` is None where both models share its format."""

    part: str
    kind: str | None
    tensors: tuple[str, ...]


SIGNATURES = (
    # SDXL and SVD have an add_embedding too, but no attention at the first level or other residual blocks.
    PartSignature(
        "unet",
        SINGLE_FRAME,
        (
            "add_embedding.linear_1.weight",
            "down_blocks.0.attentions.0.norm.weight",
            "down_blocks.0.resnets.0.conv1.weight",
        ),
    ),
    PartSignature("unet", MULTI_FRAME, ("init_attn.0.proj_in.weight", "fps_embedding.0.weight")),
    PartSignature("vae", SINGLE_FRAME, ("decoder.up_blocks.0.resnets.0.norm1.weight",)),
    PartSignature("vae", MULTI_FRAME, ("decoder.attn_refinement.0.conv.weight",)),
    PartSignature("text_encoder", None, ("text_model.embeddings.token_embedding.weight",)),
    PartSignature("image_encoder", MULTI_FRAME, ("vision_model.embeddings.class_embedding",)),
    PartSignature("image_projection", MULTI_FRAME, ("latents", "input_pos", "proj_out.weight")),
)


def identify_part(names: Iterable[str]) -> PartSignature | None:
    """The signature that these tensor names carry, or None."""
    names = set(names)
    return next((signature for signature in SIGNATURES if names.issuperset(signature.tensors)), None)


def expected_signature(part: str, kind: str) -> PartSignature:
    """The signature that a part of this model carries."""
    return next(s for s in SIGNATURES if s.part == part and s.kind in (kind, None))
