"""No number in a checkpoint's files chooses memory: each has a limit that is checked before anything is built."""

import json
import struct

import pytest
import torch
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.checkpoints import detection
from paintsundo_pack.paintsundo_models.checkpoints.files import CONFIGS_KEY, read_checkpoint, save_single_file
from paintsundo_pack.paintsundo_models.checkpoints.headers import read_header
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from paintsundo_pack.paintsundo_models.constants import TRAINED_SIZES_KEY
from paintsundo_pack.paintsundo_models.errors import CheckpointError, CheckpointMismatchError
from safetensors import safe_open
from safetensors.torch import save_file

DEEP_OR_HUGE = [
    "[" * 200_000,
    '{"a":' * 200_000,
    " " * 2_000_000 + "{}",
    "9" * 5000,
    "[" + "0," * 300_000 + "0]",
]


@pytest.mark.parametrize("content", DEEP_OR_HUGE)
def test_deep_or_huge_config_is_passed_over(copy_of, content, caplog):
    folder = copy_of(SINGLE_FRAME)
    folder.text("vae", content)
    assert read_checkpoint(folder.path, SINGLE_FRAME).configs["vae"] == {}
    assert "configuration in" in caplog.text
    assert len(caplog.text) < 2000


@pytest.mark.parametrize("content", DEEP_OR_HUGE)
@pytest.mark.parametrize("place", ["inside", "beside"])
def test_deep_or_huge_config_of_a_single_file_is_passed_over(checkpoints, tmp_path, content, place):
    file = tmp_path / "model.safetensors"
    if place == "inside":
        parts = checkpoints[SINGLE_FRAME].parts
        named = {
            f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()
        }
        save_file(named, file, metadata={CONFIGS_KEY: content})
    else:
        save_single_file(checkpoints[SINGLE_FRAME], file)
        (tmp_path / "model.configs.json").write_text(content, encoding="utf-8")
        with safe_open(file, framework="pt") as opened:
            kept = json.loads(opened.metadata()[CONFIGS_KEY])["vae"]
    found = read_checkpoint(file, SINGLE_FRAME).configs["vae"]
    assert found == ({} if place == "inside" else kept)


@pytest.mark.parametrize(
    "sizes",
    [
        [[65536, 65536]],
        [[64, 2112]],
        [[64, 64]] * 101,
        [[64, 10**4000]],
        [[True, 64]],
        [[64.0, 64]],
        "64x64",
        {},
    ],
)
def test_trained_sizes_have_limits(sizes):
    assert detection.trained_sizes({TRAINED_SIZES_KEY: sizes}) == ()


@pytest.mark.parametrize("value", [0, -8, 65, 128, 2**70, 8.0, True, "8", None, [8], {}])
@pytest.mark.parametrize("key", ["num_attention_heads", "attention_head_dim"])
def test_number_of_heads_in_a_config_has_limits(checkpoints, key, value):
    unet = checkpoints[SINGLE_FRAME].parts["unet"]
    assert detection.single_frame_unet_config(unet, {key: value})["num_heads"] == detection.SD15_HEADS
    width = 65 * 128
    config = {"hidden_size": width, "num_attention_heads": value, "hidden_act": value}
    assert detection.attention_config(config, width) == {}


@pytest.mark.parametrize("value", [0, -1, 7, 1e9, 2**70, "16", None, [16]])
@pytest.mark.parametrize("key", ["video_length", "dim_head"])
def test_numbers_in_the_config_of_the_image_projection_have_limits(checkpoints, key, value):
    projection = checkpoints[MULTI_FRAME].parts["image_projection"]
    assert detection.projection_params(projection, {key: value}) == detection.projection_params(
        projection, {}
    )


READ = {
    (SINGLE_FRAME, "unet"): lambda t, parts: detection.single_frame_unet_config(t, {}),
    (SINGLE_FRAME, "vae"): lambda t, parts: detection.image_vae_config(t),
    (SINGLE_FRAME, "text_encoder"): lambda t, parts: detection.text_config(
        t, {}, SINGLE_FRAME, parts["unet"]
    ),
    (MULTI_FRAME, "unet"): lambda t, parts: detection.video_unet_params(t),
    (MULTI_FRAME, "vae"): lambda t, parts: detection.video_vae_params(t),
    (MULTI_FRAME, "image_projection"): lambda t, parts: detection.projection_params(t, {}),
    (MULTI_FRAME, "image_encoder"): lambda t, parts: detection.vision_config(
        t, {}, parts["image_projection"]
    ),
}
LEAST, MOST, DIMENSIONS, LEVELS = (
    "describe a network of at least|a level has fewer",
    "may be at most",
    "has to have",
    "levels",
)
LIES = [
    (SINGLE_FRAME, "unet", "conv_in.weight", (20_000, 8, 3, 3), LEAST),
    (SINGLE_FRAME, "unet", "conv_in.weight", (32, 60_000, 3, 3), MOST),
    (SINGLE_FRAME, "unet", "conv_out.weight", (60_000, 32, 3, 3), MOST),
    (SINGLE_FRAME, "unet", "conv_in.weight", (2**40, 8, 3, 3), DIMENSIONS),
    (SINGLE_FRAME, "vae", "encoder.down_blocks.0.resnets.0.conv1.weight", (60_000, 1, 1, 1), LEAST),
    (SINGLE_FRAME, "vae", "decoder.conv_in.weight", (32, 60_000, 3, 3), MOST),
    (SINGLE_FRAME, "vae", "encoder.conv_in.weight", (32, 60_000, 3, 3), MOST),
    (SINGLE_FRAME, "vae", "encoder.down_blocks.4.resnets.0.conv1.weight", (32, 32, 3, 3), LEVELS),
    (SINGLE_FRAME, "text_encoder", "text_model.encoder.layers.0.mlp.fc1.weight", (60_000, 1), LEAST),
    (SINGLE_FRAME, "text_encoder", "text_model.embeddings.token_embedding.weight", (10, 2**40), DIMENSIONS),
    (MULTI_FRAME, "unet", "input_blocks.0.0.weight", (20_000, 8, 3, 3), LEAST),
    (MULTI_FRAME, "unet", "input_blocks.0.0.weight", (32, 60_000, 3, 3), MOST),
    (MULTI_FRAME, "unet", "out.2.weight", (60_000, 32, 3, 3), MOST),
    (MULTI_FRAME, "unet", "init_attn.0.proj_in.weight", (8, 32, 1), MOST),
    (MULTI_FRAME, "vae", "encoder.conv_in.weight", (20_000, 3, 3, 3), LEAST),
    (MULTI_FRAME, "vae", "decoder.conv_in.weight", (32, 60_000, 3, 3), MOST),
    (MULTI_FRAME, "vae", "encoder.down.4.block.0.conv1.weight", (32, 32, 3, 3), LEVELS),
    (MULTI_FRAME, "image_projection", "layers.0.1.1.weight", (60_000, 1), LEAST),
    (MULTI_FRAME, "image_projection", "latents", (1, 60_000, 32), MOST),
    (MULTI_FRAME, "image_projection", "layers.0.0.to_q.weight", (65_536, 1), "at least|at most"),
    (
        MULTI_FRAME,
        "image_encoder",
        "vision_model.embeddings.patch_embedding.weight",
        (32, 3, 1000, 1000),
        MOST,
    ),
    (MULTI_FRAME, "image_encoder", "vision_model.embeddings.position_embedding.weight", (60_000, 32), MOST),
    (MULTI_FRAME, "image_encoder", "vision_model.encoder.layers.0.mlp.fc1.weight", (60_000, 1), LEAST),
]


@pytest.mark.parametrize(("kind", "part", "name", "shape", "words"), LIES)
def test_shape_of_one_tensor_asks_for_no_network(checkpoints, kind, part, name, shape, words):
    parts = checkpoints[kind].parts
    READ[kind, part](parts[part], parts)
    lying = {**parts[part], name: torch.empty(shape, device="meta")}
    with pytest.raises(ValueError, match=words):
        READ[kind, part](lying, parts)


DEEP = [
    (SINGLE_FRAME, "unet", "down_blocks.{}.resnets.0.conv1.weight"),
    (SINGLE_FRAME, "unet", "down_blocks.0.resnets.{}.conv1.weight"),
    (SINGLE_FRAME, "vae", "encoder.down_blocks.0.resnets.{}.conv1.weight"),
    (SINGLE_FRAME, "text_encoder", "text_model.encoder.layers.{}.x"),
    (MULTI_FRAME, "unet", "input_blocks.{}.x"),
    (MULTI_FRAME, "vae", "encoder.down.0.block.{}.x"),
    (MULTI_FRAME, "image_projection", "layers.{}.x"),
    (MULTI_FRAME, "image_encoder", "vision_model.encoder.layers.{}.x"),
]


@pytest.mark.parametrize(("kind", "part", "name"), DEEP)
def test_many_small_tensors_ask_for_no_deep_network(checkpoints, kind, part, name):
    parts = checkpoints[kind].parts
    tiny = torch.empty(1)
    with pytest.raises(ValueError, match="may be at most 128"):
        READ[kind, part]({**parts[part], **{name.format(i): tiny for i in range(1000, 2000)}}, parts)


@pytest.mark.parametrize(("kind", "part"), READ)
def test_part_of_more_numbers_than_any_model_has_is_refused(checkpoints, kind, part):
    parts = checkpoints[kind].parts
    with pytest.raises(
        ValueError, match="the number of weights is 25,000,000,000, and may be at most|levels"
    ):
        READ[kind, part]({**_empty(parts[part]), "spare": torch.empty(25 * 10**9, device="meta")}, parts)


def _empty(tensors):
    """The same names and shapes, so small that they count for nothing."""
    return {name: _Shape(tensor.shape) for name, tensor in tensors.items()}


class _Shape:
    def __init__(self, shape):
        self.shape, self.ndim = shape, len(shape)

    def numel(self):
        return 0


# What a loader would have to make if it believed the file: 100 to 10,000 times as much as there is.
BUILT = [
    (SINGLE_FRAME, "unet", "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", (1, 65_536)),
    (SINGLE_FRAME, "unet", "add_embedding.linear_1.weight", (1, 65_536)),
    (MULTI_FRAME, "unet", "middle_block.1.transformer_blocks.0.attn2.to_k.weight", (1, 65_536)),
    (MULTI_FRAME, "image_projection", "proj_in.weight", (1, 65_536)),
    (MULTI_FRAME, "image_projection", "proj_out.weight", (65_536, 1)),
]


@pytest.mark.parametrize(("kind", "part", "name", "shape"), BUILT)
def test_network_is_compared_with_the_file_before_it_takes_memory(
    copy_of, kind, part, name, shape, monkeypatch
):
    folder = copy_of(kind)
    tensors = folder.tensors(part)
    there = sum(tensor.numel() for tensor in tensors.values())
    folder.write(part, {**tensors, name: torch.zeros(shape)})
    load = {SINGLE_FRAME: loading.single_frame_model, MULTI_FRAME: loading.multi_frame_model}[kind]
    taken = []
    empty = torch.empty

    def watched(*arguments, **options):
        made = empty(*arguments, **options)
        taken.append(made.numel() if made.device.type != "meta" else 0)
        return made

    monkeypatch.setattr(torch, "empty", watched)
    with pytest.raises(CheckpointMismatchError, match="of another shape"):
        load(read_checkpoint(folder.path, kind), torch.float32)
    assert sum(taken) < there


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4 * 10**18]},
        {"dtype": "F32", "shape": [2**63], "data_offsets": [0, 2**63]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 10**4000]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4]},
    ],
)
def test_header_that_describes_more_than_the_file_is_refused(tmp_path, entry):
    text = json.dumps({"unet.conv_in.weight": entry}).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))
    read_header(file)  # for the list, which never raises an error
    for load in (loading.load_single_frame, loading.load_multi_frame):
        with pytest.raises(CheckpointError):
            load(file)
