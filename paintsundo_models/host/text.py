"""The models' CLIP text encoders as ComfyUI's CLIP, with prompts taken literally.

Both models were trained on tags with backslash-escaped parentheses, such as `artist \\(style\\)`. So backslashes and
parentheses are encoded as they are written, without ComfyUI's emphasis syntax and embeddings, in one window of 77 tokens.
"""

import logging
from pathlib import Path

import comfy.sd
import comfy.sd1_clip
import comfy.supported_models_base
import comfy.text_encoders.sd2_clip
import comfy.utils
import torch
from torch import Tensor

from ..checkpoints.files import check_tensors
from ..checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from .patchers import shapes_of, shapes_of_network

MAX_TOKENS = 77
IGNORED = "text_model.embeddings.position_ids"  # a buffer in files of older transformers versions
OPTIONAL = ("text_projection.weight",)  # used only for the pooled output, which neither model reads

log = logging.getLogger(__name__)


def literal_tokens(tokenizer: comfy.sd1_clip.SDTokenizer, text: str) -> list[int]:
    """Return the 77 token ids of a prompt: start, at most 75 tokens of the text, end, padding.

    Logs a warning if the text is longer, with the words that are cut off.
    """
    ids = tokenizer.tokenizer(text, verbose=False)["input_ids"]
    start, body, end = ids[0], ids[1:-1], ids[-1]
    kept, dropped = body[: MAX_TOKENS - 2], body[MAX_TOKENS - 2 :]
    if dropped:
        log.warning(
            "PaintsUndo: the prompt has %d tokens and the model reads %d; dropped: %s",
            len(body),
            MAX_TOKENS - 2,
            tokenizer.tokenizer.decode(dropped),
        )
    window = [start, *kept, end]
    return window + [tokenizer.pad_token] * (MAX_TOKENS - len(window))


class _Literal:
    """Mixin for ComfyUI's tokenizers: takes prompts literally, without weights, embeddings and further windows."""

    clip: str  # set by ComfyUI's class: name of the attribute that holds the tokenizer
    clip_name: str  # set by ComfyUI's class: key of the tokens in the result

    def tokenize_with_weights(self, text: str, return_word_ids: bool = False, **_host: object) -> dict:
        ids = literal_tokens(getattr(self, self.clip), text)
        tail = (0,) if return_word_ids else ()
        return {self.clip_name: [[(token, 1.0, *tail) for token in ids]]}


class LiteralCLIPLTokenizer(_Literal, comfy.sd1_clip.SD1Tokenizer):
    """Tokenizer of CLIP ViT-L/14, which pads with the end token."""


class LiteralCLIPHTokenizer(_Literal, comfy.text_encoders.sd2_clip.SD2Tokenizer):
    """Tokenizer of CLIP ViT-H/14, which pads with 0."""


TOKENIZERS = {SINGLE_FRAME: LiteralCLIPLTokenizer, MULTI_FRAME: LiteralCLIPHTokenizer}


def check_clip(clip: comfy.sd.CLIP, kind: str, loader: str) -> None:
    """Check that a CLIP is not that of the other model, which may be as wide.

    Args:
        clip: any CLIP.
        kind: SINGLE_FRAME or MULTI_FRAME, the model that it is for.
        loader: display name of the node whose CLIP fits, for the message.

    Raises:
        ValueError: it is the other model's.
    """
    for other, tokenizer in TOKENIZERS.items():
        if other != kind and isinstance(getattr(clip, "tokenizer", None), tokenizer):
            raise ValueError(f"This CLIP is the {other} model's. Connect the CLIP of the {loader}.")


def check_prompt_width(tokens: Tensor, width: int, loader: str) -> None:
    """Check that the tokens of a prompt have the width that the network reads.

    Args:
        tokens: the encoded prompt, (B, N, D).
        width: the D that the network reads.
        loader: display name of the node whose CLIP fits, for the message.

    Raises:
        ValueError: D is another number.
    """
    if tokens.shape[-1] != width:
        raise ValueError(
            f"This CLIP gives tokens of {tokens.shape[-1]} numbers, and the MODEL reads tokens of {width}. "
            f"Connect the CLIP of the {loader}."
        )


def load_text_encoder(
    tensors: dict[str, Tensor], config: dict, kind: str, path: Path, dtype: torch.dtype | None = None
) -> comfy.sd.CLIP:
    """Build a CLIP whose conditioning is the last hidden state after the final layer norm, (1, 77, D).

    Args:
        tensors: of the text encoder, named as in transformers.
        config: from detection.text_config.
        kind: SINGLE_FRAME (ViT-L) or MULTI_FRAME (ViT-H).
        path: the checkpoint's path, for error messages.
        dtype: type in which the weights are kept; None: ComfyUI's choice.

    Raises:
        CheckpointMismatchError: the tensors do not fit the network.
    """
    target = {
        SINGLE_FRAME: comfy.supported_models_base.ClipTarget(TOKENIZERS[kind], comfy.sd1_clip.SD1ClipModel),
        MULTI_FRAME: comfy.supported_models_base.ClipTarget(
            TOKENIZERS[kind], comfy.text_encoders.sd2_clip.SD2ClipModel
        ),
    }[kind]
    options: dict = {"clip_l_model_config" if kind == SINGLE_FRAME else "clip_h_model_config": config}
    if kind == MULTI_FRAME:
        target.params = {"layer": "last"}  # ComfyUI's default for SD 2 is the layer before
    if dtype is not None:
        options["dtype"] = dtype
    clip = comfy.sd.CLIP(target, parameters=comfy.utils.calculate_parameters(tensors), model_options=options)
    tensors = {name: tensor for name, tensor in tensors.items() if name != IGNORED}
    network = getattr(clip.cond_stage_model, clip.cond_stage_model.clip).transformer
    check_tensors("text_encoder", path, shapes_of_network(network), shapes_of(tensors), OPTIONAL)
    clip.load_sd(tensors)
    return clip
