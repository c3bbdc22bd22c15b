"""The parts of both models' checkpoints, and the tensors by which each part is recognised. Without ComfyUI."""

from collections.abc import Iterable
from dataclasses import dataclass

SINGLE_FRAME = "single-frame"
MULTI_FRAME = "multi-frame"

SINGLE_FRAME_LOADER = "PaintsUndo Single-Frame Loader"
MULTI_FRAME_LOADER = "PaintsUndo Multi-Frame Loader"
"""Display names of the loaders, for messages that say which node to connect."""

PARTS = {
    SINGLE_FRAME: ("unet", "vae", "text_encoder"),
    MULTI_FRAME: ("unet", "vae", "text_encoder", "image_encoder", "image_projection"),
}
"""The parts of each model, by the names of the released sub-folders."""

PART_NAMES = {part for parts in PARTS.values() for part in parts}


@dataclass(frozen=True)
class PartSignature:
    """Names of tensors that only this part has; `kind` is None if the part has the same format in both models."""

    part: str
    kind: str | None
    tensors: tuple[str, ...]


HOST_IMAGE_VAE = PartSignature(
    "vae", SINGLE_FRAME, ("encoder.down.0.block.0.norm1.weight", "decoder.up.0.block.0.norm1.weight")
)
"""The image VAE by the names of ComfyUI's network, as its Save nodes write it. The video VAE has these too, and comes first."""

SIGNATURES = (
    # The add_embedding alone would also fit SDXL, which has no attention at its first level, and SVD, whose residual
    # blocks have other names.
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
    HOST_IMAGE_VAE,
    PartSignature("text_encoder", None, ("text_model.embeddings.token_embedding.weight",)),
    PartSignature("image_encoder", MULTI_FRAME, ("vision_model.embeddings.class_embedding",)),
    PartSignature("image_projection", MULTI_FRAME, ("latents", "input_pos", "proj_out.weight")),
)


def groups_of(names: Iterable[str]) -> list[set[str]]:
    """Divide the names in a file or sub-folder into parts: all of them if they are one part, else by their prefixes."""
    names = set(names)
    if identify_part(names):
        return [names]
    groups: dict[str, set[str]] = {}
    for name in names:
        prefix, _, tail = name.partition(".")
        groups.setdefault(prefix, set()).add(tail)
    return list(groups.values())


def identify_part(names: Iterable[str]) -> PartSignature | None:
    """Return the first signature whose tensors are all among these names, or None."""
    names = set(names)
    return next((signature for signature in SIGNATURES if names.issuperset(signature.tensors)), None)


def expected_signature(part: str, kind: str) -> PartSignature:
    """Return the signature of a part of this model."""
    return next(s for s in SIGNATURES if s.part == part and s.kind in (kind, None))
