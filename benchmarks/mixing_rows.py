"""Which nodes of the host are tried between ours, and with which inputs where the defaults would change nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .mixing_chain import KEYFRAMES, Chain
from .mixing_files import KINDS
from .mixing_host import HostNode

REPLACED = {"MODEL", "CLIP", "CONDITIONING", "LATENT", "SIGMAS", "SAMPLER", "GUIDER", "NOISE", "HOOKS"}
"""Types of outputs that can take an object's place in a chain."""

SOURCES = {"SIGMAS", "SAMPLER", "NOISE", "GUIDER"}
"""Types of outputs that replace a choice: the result differs by intention, and only has to be finite."""

LEFT_OUT = {"TrainLoraNode", "MakeTrainingDataset", "LoadTrainingDataset", "ResolutionBucket"}
LEFT_OUT |= {"CreateHookModelAsLora", "CreateHookModelAsLoraModelOnly", "CLIPTextEncodeControlnet"}
"""Nodes that train, read data sets or whole checkpoints, or only encode a prompt."""

STARTERS = {"InpaintModelConditioning", "InstructPixToPixConditioning", "VAEEncode", "VAEEncodeTiled"}
STARTERS |= {"VAEEncodeForInpaint"}
"""Nodes that make a new latent, and are for pictures. The others of this kind begin a chain of another model."""

SLOW = {"TorchCompileModel", "ModelMergeSimple", "ModelMergeBlocks", "ModelMergeSD1", "ModelMergeAdd"}
SLOW |= {"ModelMergeSubtract"}
"""Nodes that take many seconds even on the smallest checkpoint."""

FROM_CHAIN = Callable[[Chain], Any]


@dataclass(frozen=True)
class Mixture:
    """A node, and how it is tried.

    Attributes:
        label: the row's name: the node's id, and what sets this row apart from others of the node.
        node: the node.
        inputs: values, or functions from the chain to a value, in place of defaults and of the chain's own.
        beside: objects of the chain that are replaced both with and without the node, in the same form.
    """

    label: str
    node: HostNode
    inputs: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)


def _masked(value: float) -> FROM_CHAIN:
    return lambda chain: {**chain.values["latent"], "noise_mask": chain.values["mask"] * value}


def _file(suffix: str) -> FROM_CHAIN:
    return lambda chain: f"{chain.name}{suffix}"


def _own(name: str) -> FROM_CHAIN:
    return lambda chain: chain.values[name]


MULTIPLIED: dict[str, Any] = dict.fromkeys(("q", "k", "v", "out"), 1.2)
CACHED = {"reuse_threshold": 3.0, "start_percent": 0.0, "end_percent": 1.0}
LORA = {"lora_name": _file(" LoRA.safetensors")}
SIX_STEPS = {"sigmas": lambda chain: chain.schedule(6)}

INPUTS: dict[str, dict[str, Any]] = {
    "UNetSelfAttentionMultiply": MULTIPLIED,
    "UNetCrossAttentionMultiply": MULTIPLIED,
    "CLIPAttentionMultiply": MULTIPLIED,
    "UNetTemporalAttentionMultiply": dict.fromkeys(
        ("self_structural", "self_temporal", "cross_structural", "cross_temporal"), 1.2
    ),
    "EasyCache": CACHED,
    "LazyCache": CACHED,
    "FreSca": {"scale_low": 1.2, "scale_high": 1.5},
    "HyperTile": {"tile_size": 32},
    "PatchModelAddDownscale": {"end_percent": 1.0},
    "ContextWindowsManual": {
        "context_length": lambda chain: 1 if chain.name == KEYFRAMES else 8,
        "context_overlap": 0,
        "dim": lambda chain: 0 if chain.name == KEYFRAMES else 2,
    },
    "ModelComputeDtype": {"dtype": "bf16"},
    "LatentMultiply": {"multiplier": 1.5},
    "LatentInterpolate": {"ratio": 0.5},
    "LatentCrop": {"width": 64, "height": 64, "x": 0, "y": 0},
    "LatentCut": {"dim": "x", "index": 0, "amount": 8},
    "LatentUpscale": {"width": 192},
    "RepeatLatentBatch": {"amount": 2},
    "SamplerDPMAdaptative": {"rtol": 1.0, "atol": 1.0},
    "LatentBlend": {"blend_factor": 0.5},
    "LatentRotate": {"rotation": "90 degrees"},
    "LatentFromBatch": {"length": 1},
    "LatentCompositeMasked": {"resize_source": True},
    "CLIPSetLastLayer": {"stop_at_clip_layer": -2},
    "ConditioningAverage": {"conditioning_to_strength": 0.5},
    "ConditioningMultiply": {"multiplier": 1.5},
    "ConditioningSetArea": {"width": 32, "height": 32, "x": 0, "y": 0, "strength": 0.5},
    "ConditioningSetAreaPercentage": {"width": 0.5, "height": 0.5},
    "ConditioningSetTimestepRange": {"start": 0.0, "end": 0.2},
    "CLIPMergeSimple": {"ratio": 0.5},
    "SplitSigmas": {"step": 1},
    "SplitSigmasDenoise": {"denoise": 0.5},
    "HypernetworkLoader": {"hypernetwork_name": _file(".pt")},
    "LoraLoaderModelOnly": LORA,
    "LoraLoaderBypass": LORA,
    "LoraLoaderBypassModelOnly": LORA,
    "CreateHookLora": LORA,
    "CreateHookLoraModelOnly": LORA,
    "SetClipHooks": {"apply_to_conds": True, "schedule_clip": False},
    "ModelMergeSimple": {"ratio": 0.5},
    "ModelMergeSubtract": {"model2": _own("other_model")},
    "TomePatchModel": {"ratio": 0.5},
    "VAEDecodeTiled": {"tile_size": 64, "overlap": 0},
    "VAEEncodeTiled": {"tile_size": 64, "overlap": 0},
    "LTXVScheduler": {"steps": 4},
    "RescaleCFG": {"multiplier": 0.7},
    "ScaleROPE": {"scale_x": 1.2, "scale_y": 1.2},
}
"""Inputs by the node's id."""

BESIDE: dict[str, dict[str, Any]] = {
    "DifferentialDiffusion": {"latent": _masked(0.5)},
    "EasyCache": SIX_STEPS,
    "LazyCache": SIX_STEPS,
}
"""Objects that are replaced with and without the node, by the node's id."""


def mixtures(nodes: Mapping[str, HostNode]) -> list[Mixture]:
    """Return everything that is tried, the nodes in the order of their ids."""
    found = []
    for name, node in sorted(nodes.items()):
        if name == "LoraLoader":
            found += [
                Mixture(f"{name}: {kind}", node, {"lora_name": _file(f" {kind}.safetensors")})
                for kind in KINDS
            ]
        elif is_mixable(node):
            found.append(Mixture(name, node, INPUTS.get(name, {}), BESIDE.get(name, {})))
        if name == "ModelMergeSimple":
            mixed = {**INPUTS[name], "model2": _own("other_model")}
            found.append(Mixture(f"{name}: our two models", node, mixed))
        if name == "PerpNegGuider":
            prompt = {"empty_conditioning": lambda chain: chain.values["prompts"][1]}
            found.append(Mixture(f"{name}: a prompt without our conditioning", node, prompt))
    return found


def is_mixable(node: HostNode) -> bool:
    """Return whether this node is tried, by the types of its sockets."""
    sockets = {item.type for item in node.inputs if item.is_socket}
    outputs = set(node.outputs) & REPLACED
    if node.is_for_a_service or node.name in LEFT_OUT or _is_merge_of_a_family(node):
        return False
    if outputs & (SOURCES | {"HOOKS"}):
        return True
    if node.name in STARTERS or ("VAE" in sockets and "LATENT" in sockets and "IMAGE" in node.outputs):
        return True
    is_starter = "LATENT" in outputs and sockets & {"VAE", "IMAGE"} and not node.samples_itself
    return bool(outputs & sockets) and not is_starter


def _is_merge_of_a_family(node: HostNode) -> bool:
    """Return whether this is ModelMergeBlocks with the names of another model family's layers."""
    parents = {parent.__name__ for parent in node.node_class.__mro__[1:]}
    return "ModelMergeBlocks" in parents and node.name != "ModelMergeSD1"
