"""The small text and vision encoders. Their random weights are frozen; only the layers that read them are trained."""

from pathlib import Path
from typing import Any

import comfy.clip_vision
import comfy.sd
import torch
from torch import Tensor

from paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from paintsundo_models.constants import DEFAULT_KEYFRAME_NEGATIVE, DEFAULT_SEGMENT_PROMPT
from paintsundo_models.host.clip_vision import build_clip_vision, encode_any_aspect
from paintsundo_models.host.sampling import encode_prompt
from paintsundo_models.host.text import load_text_encoder
from tools.seeded_checkpoint import seeded_tensor

from .settings import Networks

TAG = "paintsundo-demo"
VOCABULARY, POSITIONS = 49408, 77  # as in every CLIP text encoder
PATCH, PICTURE = 14, 224
HEAD_CHANNELS = 8

WORDS = [
    "1girl",
    "1boy",
    "solo",
    "portrait",
    "long hair",
    "short hair",
    "smile",
    "hat",
    "glasses",
    "standing",
    "dress",
    "landscape",
    "mountains",
    "trees",
    "river",
    "sun",
    "night",
    "house",
    "street",
    "flower",
    "fruit",
    "bowl",
    "table",
    "cat",
    "fish",
    "bird",
    "boat",
    "sea",
    "shapes",
    "colorful",
    "simple background",
    "white background",
    "sketch",
    "lineart",
    "painting",
    "masterpiece",
    "best quality",
    "lowres",
]
FIXED_PROMPTS: tuple[str, ...] = (
    "",
    DEFAULT_KEYFRAME_NEGATIVE,
    DEFAULT_SEGMENT_PROMPT,
    "1boy, masterpiece, best quality",
    "masterpiece, best quality",
)
RANDOM_PROMPTS = 60


def text_encoder_tensors(networks: Networks, kind: str) -> dict[str, Tensor]:
    """Make the seeded weights of a CLIP text encoder, with the names that transformers uses."""
    width = networks.context
    shapes: dict[str, tuple[int, ...]] = {
        "text_model.embeddings.token_embedding.weight": (VOCABULARY, width),
        "text_model.embeddings.position_embedding.weight": (POSITIONS, width),
        **_layer_shapes("text_model.encoder.layers", networks.text_layers, width),
        **_norm_shapes("text_model.final_layer_norm", width),
    }
    return {name: seeded_tensor(f"{TAG}/{kind}/text", name, shape) for name, shape in shapes.items()}


def vision_encoder_tensors(networks: Networks) -> dict[str, Tensor]:
    """Make the seeded weights of a CLIP vision encoder, with the names that transformers uses."""
    width = networks.vision_width
    shapes: dict[str, tuple[int, ...]] = {
        "vision_model.embeddings.class_embedding": (width,),
        "vision_model.embeddings.patch_embedding.weight": (width, 3, PATCH, PATCH),
        "vision_model.embeddings.position_embedding.weight": ((PICTURE // PATCH) ** 2 + 1, width),
        **_norm_shapes("vision_model.pre_layrnorm", width),
        **_layer_shapes("vision_model.encoder.layers", networks.vision_layers, width),
        **_norm_shapes("vision_model.post_layernorm", width),
        "visual_projection.weight": (width, width),
    }
    return {name: seeded_tensor(f"{TAG}/vision", name, shape) for name, shape in shapes.items()}


def text_config(networks: Networks, kind: str) -> dict[str, Any]:
    """Return the config.json of a text encoder."""
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": networks.context,
        "intermediate_size": 2 * networks.context,
        "num_hidden_layers": networks.text_layers,
        "num_attention_heads": networks.context // HEAD_CHANNELS,
        "max_position_embeddings": POSITIONS,
        "hidden_act": {SINGLE_FRAME: "quick_gelu", MULTI_FRAME: "gelu"}[kind],
    }


def vision_config(networks: Networks) -> dict[str, Any]:
    """Return the config.json of the vision encoder."""
    return {
        "hidden_size": networks.vision_width,
        "intermediate_size": 2 * networks.vision_width,
        "num_hidden_layers": networks.vision_layers,
        "num_attention_heads": networks.vision_width // HEAD_CHANNELS,
        "image_size": PICTURE,
        "patch_size": PATCH,
        "hidden_act": "gelu",
        "projection_dim": networks.vision_width,
    }


def prompt_embeddings(networks: Networks, kind: str) -> Tensor:
    """Encode the default prompts and random ones: (N, 77, D).

    The network sees these prompts in random order during training, and so learns to ignore the text.
    """
    clip: comfy.sd.CLIP = load_text_encoder(
        text_encoder_tensors(networks, kind),
        text_config(networks, kind),
        kind,
        Path("training"),
        torch.float32,
    )
    generator = torch.Generator().manual_seed(0)
    prompts = list(FIXED_PROMPTS)
    for _ in range(RANDOM_PROMPTS):
        order = torch.randperm(len(WORDS), generator=generator)
        prompts.append(
            ", ".join(WORDS[i] for i in order[: int(torch.randint(1, 12, (), generator=generator))])
        )
    return torch.cat([encode_prompt(clip, prompt)[0][0] for prompt in prompts]).float()


def vision_encoder(networks: Networks) -> comfy.clip_vision.ClipVisionModel:
    """Load the vision encoder as ComfyUI's CLIP_VISION."""
    tensors = vision_encoder_tensors(networks)
    return build_clip_vision(tensors, vision_config(networks), Path("training"), torch.float32)


def vision_tokens(encoder: comfy.clip_vision.ClipVisionModel, pixels: Tensor) -> Tensor:
    """Encode pictures (N, 3, H, W) in [-1, 1] as the interpolation node does: (N, L, D)."""
    with torch.no_grad():
        return encode_any_aspect(encoder, (pixels.movedim(1, -1) + 1) / 2)


def _norm_shapes(prefix: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}.weight": (width,), f"{prefix}.bias": (width,)}


def _layer_shapes(prefix: str, count: int, width: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    linear = {
        **{f"self_attn.{name}_proj": (width, width) for name in "qkv"},
        "self_attn.out_proj": (width, width),
        "mlp.fc1": (2 * width, width),
        "mlp.fc2": (width, 2 * width),
    }
    for layer in range(count):
        for name, shape in linear.items():
            shapes[f"{prefix}.{layer}.{name}.weight"] = shape
            shapes[f"{prefix}.{layer}.{name}.bias"] = shape[:1]
        for norm in ("layer_norm1", "layer_norm2"):
            shapes |= _norm_shapes(f"{prefix}.{layer}.{norm}", width)
    return shapes
