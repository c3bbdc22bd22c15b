"""Derive the sizes of each network from tensor names and shapes; a config.json is read only for what no shape tells.

Tensor names are those of the released files (diffusers and transformers for the single-frame model, VideoCrafter's for the 3D UNet,
ToonCrafter's for the video VAE).
"""

from collections.abc import Iterable, Mapping

from torch import Tensor

from ..constants import (
    FRAMES_PER_SEGMENT,
    GRID,
    KEYFRAME_MAX_SIDE,
    PREVIEW_BIAS_KEY,
    PREVIEW_FACTORS_KEY,
    TRAINED_SIZES_KEY,
)
from ..multi_frame.projection import ImageProjectionParams
from ..multi_frame.unet import INIT_ATTENTION_HEADS, UNet3DParams
from ..multi_frame.vae import VideoVAEParams
from .parts import MULTI_FRAME, SINGLE_FRAME

Tensors = Mapping[str, Tensor]

PROJECTION_HEAD_CHANNELS = 64
TEXT_HEAD_CHANNELS = 64
SD15_HEADS = 8
ACTIVATIONS = ("quick_gelu", "gelu")
WIDEST = 65_536
"""Largest dimension of a tensor. The released files have 49,408 (words of the text encoder)."""
DEEPEST = 128
"""Most layers or blocks in a row. The released files have 32 (vision encoder)."""
MOST_NUMBERS = 20_000_000_000
"""Most numbers of a part. The released files have 1.4 billion (3D UNet)."""
MOST_CHANNELS = 64
"""Most channels of pictures and of latents. The released files have 8."""
MOST_HEADS = 64
"""Most heads of an attention, because some kernels need memory for each head. The released files have 20."""
MOST_QUERIES = 4096
"""Most tokens that an image projection makes. The released file makes 256."""
LARGEST_VIEW = 2048
"""Largest side of the picture that a vision encoder reads, in pixels. The released one reads 224."""
VAE_LEVELS = 4
"""Levels of both VAEs: a latent is an eighth of the picture."""
MOST_TRAINED_SIZES = 100
TIME_EMBEDDING = 20  # numbers of a unet's time embedding, in squares of its width: w to 4w, 4w to 4w
TEXT_READER = {
    SINGLE_FRAME: "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight",
    MULTI_FRAME: "middle_block.1.transformer_blocks.0.attn2.to_k.weight",
}
"""For each model, the tensor of the unet whose input width must be the output width of the text encoder."""


def count_indexed(tensors: Tensors, prefix: str) -> int:
    """Count the different indices after a prefix: for "layers." the names layers.0.x and layers.1.y make 2.

    Raises:
        ValueError: there are more than DEEPEST.
    """
    count = len({name[len(prefix) :].split(".", 1)[0] for name in tensors if name.startswith(prefix)})
    check_most(f"{prefix}*", count, DEEPEST)
    return count


def check_most(what: str, value: int, most: int) -> None:
    """Check a size that a file gives.

    Raises:
        ValueError: it is over the limit.
    """
    if value > most:
        raise ValueError(f"{what} is {value:,}, and may be at most {most:,}")


def shape_of(tensors: Tensors, name: str, dims: int) -> tuple[int, ...]:
    """Return the shape of a tensor after checking its number of dimensions.

    The check keeps a damaged file from describing a network of arbitrary size.

    Raises:
        KeyError: there is no such tensor.
        ValueError: it has another number of dimensions, or a dimension of size 0 or over WIDEST.
    """
    shape = tuple(tensors[name].shape)
    if len(shape) != dims or 0 in shape or max(shape) > WIDEST:
        raise ValueError(
            f"{name} is {shape}, and has to have {dims} dimensions, none of them 0 or over {WIDEST}"
        )
    return shape


def check_size(tensors: Tensors, least: int) -> None:
    """Check that a file holds as many numbers as the network that its shapes describe.

    Without it, one tensor of a damaged file could ask for all the memory before its network is compared with the file.

    Args:
        tensors: of the part.
        least: how many numbers the largest layers of the network have at least.

    Raises:
        ValueError: the file has fewer, or more than MOST_NUMBERS.
    """
    there = sum(tensor.numel() for tensor in tensors.values())
    check_most("the number of weights", there, MOST_NUMBERS)
    if there < least:
        raise ValueError(f"they describe a network of at least {least:,} numbers, and the file has {there:,}")


def channels_of(tensors: Tensors, name: str, place: int) -> int:
    """Return how many channels of pictures or latents a convolution writes (place 0) or reads (place 1).

    Raises:
        ValueError: there are more than MOST_CHANNELS; see also shape_of.
    """
    channels = shape_of(tensors, name, 4)[place]
    check_most(f"the number of channels in {name}", channels, MOST_CHANNELS)
    return channels


def vae_levels(tensors: Tensors, prefix: str) -> int:
    """Return the number of levels of a VAE.

    Raises:
        ValueError: it is not VAE_LEVELS; each level more would double the sides of decoded pictures.
    """
    levels = count_indexed(tensors, prefix)
    if levels != VAE_LEVELS:
        raise ValueError(
            f"it has {levels} levels ({prefix}*), and the VAEs of these models have {VAE_LEVELS}"
        )
    return levels


def _second_convolutions(width: int, multipliers: Iterable[int], blocks: Iterable[int]) -> int:
    """Return the numbers of one 3 x 3 convolution for each residual block of each level.

    Raises:
        ValueError: a level is narrower than the first convolution.
    """
    multipliers = list(multipliers)
    if min(multipliers, default=1) < 1:
        raise ValueError(f"the first convolution has {width} channels, and a level has fewer")
    return sum(9 * (width * factor) ** 2 * count for factor, count in zip(multipliers, blocks, strict=True))


def check_width(width: int, wanted: int, reader: str) -> None:
    """Check that one part can read the output of another.

    Args:
        width: width of the output.
        wanted: width that the reading part takes.
        reader: name of the reading part, for the message.

    Raises:
        ValueError: the widths differ, because the parts belong to different models.
    """
    if width != wanted:
        raise ValueError(f"it is {width} wide, and the {reader} beside it reads {wanted}")


def config_number(config: Mapping, key: str, total: int) -> int | None:
    """Return a config's entry if it is a positive divisor of `total`, else None, because a config may not fit its file."""
    value = config.get(key)
    return value if type(value) is int and value > 0 and total % value == 0 else None


def heads_of(config: Mapping, key: str, width: int) -> int | None:
    """Return a config's number of heads if it divides the width and is at most MOST_HEADS, else None."""
    heads = config_number(config, key, width)
    return heads if heads and heads <= MOST_HEADS else None


def attention_config(config: Mapping, width: int) -> dict:
    """Return heads and activation from a transformer's config, as far as they are valid and the config is for this width."""
    if config.get("hidden_size", width) != width:
        return {}
    heads, activation = heads_of(config, "num_attention_heads", width), config.get("hidden_act")
    return {
        **({"num_attention_heads": heads} if heads else {}),
        **({"hidden_act": activation} if isinstance(activation, str) and activation in ACTIVATIONS else {}),
    }


def single_frame_unet_config(unet: Tensors, config: Mapping) -> dict:
    """Return ComfyUI's `unet_config` for a UNet in diffusers names; the heads from the config, else SD 1.5's 8."""
    width, in_channels = shape_of(unet, "conv_in.weight", 4)[0], channels_of(unet, "conv_in.weight", 1)
    levels = count_indexed(unet, "down_blocks.")
    blocks = [count_indexed(unet, f"down_blocks.{i}.resnets.") for i in range(levels)]
    multipliers = [
        shape_of(unet, f"down_blocks.{i}.resnets.0.conv1.weight", 4)[0] // width for i in range(levels)
    ]
    check_size(unet, TIME_EMBEDDING * width**2 + _second_convolutions(width, multipliers, blocks))
    attends = [int(f"down_blocks.{i}.attentions.0.norm.weight" in unet) for i in range(levels)]
    # Without num_attention_heads, diffusers reads the number of heads from attention_head_dim, despite that name.
    heads = heads_of(config, "num_attention_heads", width) or heads_of(config, "attention_head_dim", width)
    return {
        "image_size": 32,
        "in_channels": in_channels,
        "out_channels": channels_of(unet, "conv_out.weight", 0),
        "model_channels": width,
        "channel_mult": multipliers,
        "num_res_blocks": blocks,
        "transformer_depth": [a for a, count in zip(attends, blocks, strict=True) for _ in range(count)],
        "transformer_depth_output": [
            a for a, count in zip(attends, blocks, strict=True) for _ in range(count + 1)
        ],
        "transformer_depth_middle": 1,
        "context_dim": shape_of(unet, TEXT_READER[SINGLE_FRAME], 2)[1],
        "num_heads": heads or SD15_HEADS,
        "num_head_channels": -1,
        "num_classes": "sequential",
        "adm_in_channels": shape_of(unet, "add_embedding.linear_1.weight", 2)[1],
        "use_spatial_transformer": True,
        "use_linear_in_transformer": unet["mid_block.attentions.0.proj_in.weight"].ndim == 2,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        "use_checkpoint": False,
        "legacy": False,
    }


def image_vae_config(vae: Tensors) -> dict:
    """Return ComfyUI's configuration for an SD-style VAE in diffusers names."""
    levels = vae_levels(vae, "encoder.down_blocks.")
    widths = [shape_of(vae, f"encoder.down_blocks.{i}.resnets.0.conv1.weight", 4)[0] for i in range(levels)]
    count = count_indexed(vae, "encoder.down_blocks.0.resnets.")
    check_size(vae, sum(9 * width**2 * count for width in widths))
    latent_channels = channels_of(vae, "decoder.conv_in.weight", 1)
    ddconfig = {
        "double_z": True,
        "z_channels": latent_channels,
        "resolution": 256,
        "in_channels": channels_of(vae, "encoder.conv_in.weight", 1),
        "out_ch": channels_of(vae, "decoder.conv_out.weight", 0),
        "ch": widths[0],
        "ch_mult": [width // widths[0] for width in widths],
        "num_res_blocks": count,
        "attn_resolutions": [],
        "dropout": 0.0,
    }
    return {"ddconfig": ddconfig, "embed_dim": latent_channels}


def text_config(text: Tensors, config: Mapping, kind: str, unet: Tensors) -> dict:
    """Return ComfyUI's configuration for a CLIP text model; heads and activation from the config, else CLIP's usual ones.

    Raises:
        ValueError: the unet reads text of another width.
    """
    width = shape_of(text, "text_model.embeddings.token_embedding.weight", 2)[1]
    check_width(width, shape_of(unet, TEXT_READER[kind], 2)[1], "unet")
    layers = count_indexed(text, "text_model.encoder.layers.")
    inner = shape_of(text, "text_model.encoder.layers.0.mlp.fc1.weight", 2)[0]
    check_size(text, layers * (4 * width**2 + 2 * width * inner))
    return {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_attention_heads": max(1, width // TEXT_HEAD_CHANNELS),
        "hidden_act": {SINGLE_FRAME: "quick_gelu", MULTI_FRAME: "gelu"}[kind],
        **attention_config(config, width),
    }


def vision_config(vision: Tensors, config: Mapping, projection: Tensors) -> dict:
    """Return the valid entries of a CLIP vision model's config; the sizes come from shapes (host.clip_vision).

    Raises:
        ValueError: the image projection reads tokens of another width, or a tensor has a wrong number of dimensions.
    """
    places = shape_of(vision, "vision_model.embeddings.position_embedding.weight", 2)[0]
    inner = shape_of(vision, "vision_model.encoder.layers.0.mlp.fc1.weight", 2)[0]
    width, _, patch, _ = shape_of(vision, "vision_model.embeddings.patch_embedding.weight", 4)
    check_most("the side of the pictures that it reads", round(patch * places**0.5), LARGEST_VIEW)
    layers = count_indexed(vision, "vision_model.encoder.layers.")
    check_size(vision, layers * (4 * width**2 + 2 * width * inner))
    check_width(width, shape_of(projection, "proj_in.weight", 2)[1], "image_projection")
    return attention_config(config, width)


def video_unet_params(unet: Tensors) -> UNet3DParams:
    """Return the architecture of the 3D UNet, from shapes alone."""
    width = shape_of(unet, "input_blocks.0.0.weight", 4)[0]
    in_channels = channels_of(unet, "input_blocks.0.0.weight", 1)
    multipliers, attends, per_level = [], [], 0
    for index in range(1, count_indexed(unet, "input_blocks.")):
        if f"input_blocks.{index}.0.op.weight" in unet:
            per_level = 0
            continue
        if per_level == 0:
            multipliers.append(shape_of(unet, f"input_blocks.{index}.0.in_layers.2.weight", 4)[0] // width)
            attends.append(f"input_blocks.{index}.1.norm.weight" in unet)
        per_level += 1
    check_size(
        unet,
        TIME_EMBEDDING * width**2 + _second_convolutions(width, multipliers, [per_level] * len(multipliers)),
    )
    head_channels = shape_of(unet, "init_attn.0.proj_in.weight", 3)[0] // INIT_ATTENTION_HEADS
    check_most(
        "the number of heads", width * max(multipliers, default=1) // max(1, head_channels), MOST_HEADS
    )
    return UNet3DParams(
        in_channels=in_channels,
        out_channels=channels_of(unet, "out.2.weight", 0),
        model_channels=width,
        channel_mult=tuple(multipliers),
        blocks_per_level=per_level,
        attention_levels=tuple(attends),
        head_channels=head_channels,
        context_dim=shape_of(unet, TEXT_READER[MULTI_FRAME], 2)[1],
        learned_image_scale=any(name.endswith(".attn2.alpha") for name in unet),
    )


def projection_params(projection: Tensors, config: Mapping) -> ImageProjectionParams:
    """Return the architecture of the image projection; the number of frames from the config, else 16."""
    _, queries, dim = shape_of(projection, "latents", 3)
    check_most("the number of tokens that it makes", queries, MOST_QUERIES)
    inner = shape_of(projection, "layers.0.0.to_q.weight", 2)[0]
    depth = count_indexed(projection, "layers.")
    feed_forward = shape_of(projection, "layers.0.1.1.weight", 2)[0]
    check_size(projection, depth * (2 * dim * inner + 2 * dim * feed_forward))
    frames = config_number(config, "video_length", queries) or FRAMES_PER_SEGMENT
    head_channels = config_number(config, "dim_head", inner) or PROJECTION_HEAD_CHANNELS
    check_most("the number of heads", inner // head_channels, MOST_HEADS)
    return ImageProjectionParams(
        dim=dim,
        depth=depth,
        dim_head=head_channels,
        heads=inner // head_channels,
        num_queries=queries // frames,
        embedding_dim=shape_of(projection, "proj_in.weight", 2)[1],
        output_dim=shape_of(projection, "proj_out.weight", 2)[0],
        ff_mult=feed_forward // dim,
        video_length=frames,
        input_frames=shape_of(projection, "input_pos", 4)[1],
    )


def trained_sizes(config: Mapping) -> tuple[tuple[int, int], ...]:
    """Return the (height, width) pairs that a VAE's config names as trained sizes; () if there are none or they are invalid."""
    entries = config.get(TRAINED_SIZES_KEY)
    pairs = (
        [tuple(entry) for entry in entries if isinstance(entry, list)] if isinstance(entries, list) else []
    )
    is_valid = all(
        len(pair) == 2
        and all(isinstance(side, int) and 0 < side <= KEYFRAME_MAX_SIDE and side % GRID == 0 for side in pair)
        for pair in pairs
    )
    return tuple(pairs) if is_valid and len(pairs) <= MOST_TRAINED_SIZES else ()


def preview_colours(config: Mapping) -> tuple[list[list[float]], list[float]] | None:
    """Return how a live preview makes colours of a VAE's latents, as the VAE's config says it.

    Returns:
        Factors (4 latent channels, red, green and blue) and a bias (3), to colours in [-1, 1]; None if the config has
        none or they are invalid: the latents' colours are then those of SD 1.5.
    """
    factors, bias = config.get(PREVIEW_FACTORS_KEY), config.get(PREVIEW_BIAS_KEY)
    if not isinstance(factors, list) or len(factors) != 4 or not isinstance(bias, list):
        return None
    is_valid = all(
        isinstance(row, list) and len(row) == 3 and all(isinstance(number, int | float) for number in row)
        for row in (*factors, bias)
    )
    return (factors, bias) if is_valid else None


def video_vae_params(vae: Tensors) -> VideoVAEParams:
    """Return the architecture of the video VAE, from shapes alone."""
    levels = vae_levels(vae, "encoder.down.")
    width = shape_of(vae, "encoder.conv_in.weight", 4)[0]
    blocks = count_indexed(vae, "encoder.down.0.block.")
    multipliers = [
        shape_of(vae, f"encoder.down.{i}.block.0.conv1.weight", 4)[0] // width for i in range(levels)
    ]
    check_size(vae, _second_convolutions(width, multipliers, [blocks] * levels))
    return VideoVAEParams(
        ch=width,
        ch_mult=tuple(multipliers),
        num_res_blocks=blocks,
        z_channels=channels_of(vae, "decoder.conv_in.weight", 1),
        in_channels=channels_of(vae, "encoder.conv_in.weight", 1),
        out_channels=channels_of(vae, "decoder.conv_out.weight", 0),
    )
