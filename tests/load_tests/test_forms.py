"""Every form and precision that a checkpoint may come in gives the same objects, and a config.json only helps."""

import json

import comfy.model_management
import pytest
import torch
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.checkpoints.files import (
    WEIGHT_DTYPES,
    read_checkpoint,
    read_tensors,
    save_single_file,
)
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, PARTS, SINGLE_FRAME

KINDS = [SINGLE_FRAME, MULTI_FRAME]
LOADERS = {SINGLE_FRAME: loading.load_single_frame, MULTI_FRAME: loading.load_multi_frame}

# Relative errors to float32. Rounding a weight costs at most 2^-11 in fp16, 2^-8 in bf16, 2^-4 in e4m3 and 2^-3 in e5m2;
# through the layers of the small networks that becomes 0.002, 0.015, 0.18 and 0.34 (rounded twice: 0.45).
TOLERANCES = {"fp32": 0.0, "fp16": 0.004, "bf16": 0.03, "fp8_e4m3fn": 0.25, "fp8_e5m2": 0.5}


@pytest.fixture(scope="module")
def single_files(checkpoints, tmp_path_factory):
    """{(kind, dtype name): single file}."""
    folder = tmp_path_factory.mktemp("single files")
    files = {}
    for kind in KINDS:
        for name in ("fp32", "fp16", "bf16", "fp8_e4m3fn"):
            files[kind, name] = folder / f"{kind} {name}.safetensors"
            save_single_file(checkpoints[kind], files[kind, name], WEIGHT_DTYPES[name])
    return files


@pytest.mark.parametrize("kind", KINDS)
def test_single_file_predicts_bit_for_bit_what_the_folder_does(kind, single_files, build, forward, exact):
    model = build[kind](read_checkpoint(single_files[kind, "fp32"], kind), torch.float32)
    assert torch.equal(forward(kind, model), exact[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_single_file_holds_the_folders_tensors_and_configs(kind, single_files, checkpoints):
    read = read_checkpoint(single_files[kind, "fp32"], kind)
    assert read.kind == kind
    assert read.configs == checkpoints[kind].configs
    assert read.parts.keys() == set(PARTS[kind])
    for part, tensors in checkpoints[kind].parts.items():
        assert read.parts[part].keys() == tensors.keys()
        assert all(torch.equal(read.parts[part][name], tensor) for name, tensor in tensors.items())


@pytest.mark.parametrize(
    ("stored", "loaded"),
    [
        *(("fp32", name) for name in ("fp16", "bf16", "fp8_e4m3fn", "fp8_e5m2")),
        *((name, "default") for name in ("fp32", "fp16", "bf16", "fp8_e4m3fn")),
        *((("fp16", "fp32"), ("bf16", "fp16"), ("fp16", "fp8_e4m3fn"), ("fp8_e4m3fn", "fp8_e4m3fn"))),
        *((("fp8_e4m3fn", "bf16"), ("fp8_e4m3fn", "fp8_e5m2"))),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_precision_predicts_nearly_what_float32_does(
    kind, stored, loaded, single_files, build, forward, exact, golden
):
    checkpoint = read_checkpoint(single_files[kind, stored], kind)
    model = build[kind](checkpoint, WEIGHT_DTYPES[loaded])
    if loaded != "default":
        assert model.model.get_dtype() == WEIGHT_DTYPES[loaded]
    elif comfy.model_management.is_device_cpu(model.load_device):
        assert model.model.get_dtype() == torch.float32  # the host's choice for a CPU
    error = golden.relative_error(forward(kind, model), exact[kind])
    coarsest = max(TOLERANCES[stored], TOLERANCES.get(loaded, TOLERANCES["fp16"]))
    assert error <= coarsest
    if "fp8" in stored + loaded:
        assert error > TOLERANCES["bf16"], "fp8 must really be fp8"


@pytest.mark.parametrize("kind", KINDS)
def test_fp8_is_for_the_matrices_of_the_unet(kind, single_files, checkpoints, build):
    """Norms and biases stay wide, and so does the image projection: in a loaded model as in a file."""
    model = build[kind](checkpoints[kind], torch.float8_e4m3fn).model.diffusion_model
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim >= 2 and not name.startswith("image_proj.")
        assert (parameter.element_size() == 1) == is_matrix, name

    stored = read_tensors(single_files[kind, "fp8_e4m3fn"])
    for name, tensor in stored.items():
        is_matrix = name.startswith("unet.") and tensor.ndim >= 2
        assert tensor.dtype == (torch.float8_e4m3fn if is_matrix else torch.float16), name


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_whole_model_in_every_precision_encodes_nearly_alike(kind, seeded_checkpoints, golden):
    """CLIP, VAE and CLIP_VISION of one load; fp8 is for the diffusion network alone."""
    folder = seeded_checkpoints[kind.replace("-", "_")]
    picture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))

    def outputs(weight_dtype):
        _, clip, vae, *vision = LOADERS[kind](folder, weight_dtype)
        encoded = [
            clip.encode_from_tokens_scheduled(clip.tokenize("1girl, \\(x\\)"))[0][0],
            vae.encode(picture),
        ]
        return [*encoded, *(v.encode_image(picture, crop=False).last_hidden_state for v in vision)]

    exact = outputs("fp32")
    tolerance = 0.05  # the VAE in bf16; the encoders keep half precision in every setting
    for weight_dtype in ("default", "fp16", "bf16", "fp8_e4m3fn"):
        for got, expected in zip(outputs(weight_dtype), exact, strict=True):
            assert golden.relative_error(got.float().cpu(), expected.float().cpu()) < tolerance, weight_dtype


@pytest.mark.parametrize("kind", KINDS)
def test_shards_with_an_index_and_a_half_precision_variant_are_joined(kind, copy_of, build, forward, exact):
    folder = copy_of(kind)
    tensors = folder.tensors("unet")
    folder.file("unet").unlink()
    names = sorted(tensors)
    shards = {"a": names[::2], "b": names[1::2]}  # neither shard alone shows which model it is
    for i, chosen in enumerate(shards.values(), start=1):
        folder.write(
            "unet",
            {name: tensors[name] for name in chosen},
            f"diffusion_pytorch_model-0000{i}-of-00002.safetensors",
        )
    index = {"weight_map": {name: f"shard {shard}" for shard, chosen in shards.items() for name in chosen}}
    folder.text("unet", json.dumps(index), "diffusion_pytorch_model.safetensors.index.json")
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    folder.write("unet", halves, "diffusion_pytorch_model.fp16.safetensors")
    folder.text(
        "unet", "no safetensors file", "._diffusion_pytorch_model.safetensors"
    )  # as macOS leaves behind

    model = build[kind](read_checkpoint(folder.path, kind), torch.float32)
    assert torch.equal(forward(kind, model), exact[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_unrelated_sub_folders_do_no_harm(kind, copy_of, golden):
    folder = copy_of(kind)
    folder.text("tokenizer", "{}", "vocab.json")
    folder.text("scheduler", "{}", "scheduler_config.json")
    folder.write(
        "safety_checker",
        {"vision_model.vision_model.post_layernorm.weight": torch.ones(4)},
        "model.safetensors",
    )
    folder.text(".", "{}", "model_index.json")
    assert read_checkpoint(folder.path, kind).parts.keys() == set(PARTS[kind])


STALE = {
    "in_channels": 4,
    "hidden_size": 31,
    "num_hidden_layers": 12,
    "num_attention_heads": 7,
    "hidden_act": "swish",
    "dim_head": "64",
    "video_length": 5,
    "attention_head_dim": [5, 10, 20, 20],
    "block_out_channels": [1, 2],
}


@pytest.mark.parametrize("config", [json.dumps(STALE), None, "{broken", "[1, 2]"])
@pytest.mark.parametrize("kind", KINDS)
def test_diffusion_network_needs_no_config(kind, config, copy_of, build, forward, exact, caplog):
    """Everything about it follows from shapes, as far as the head width is the released one's."""
    folder = copy_of(kind)
    for part in PARTS[kind]:
        (folder.path / part / "config.json").unlink()
        if config is not None:
            folder.text(part, config)
    model = build[kind](read_checkpoint(folder.path, kind), torch.float32)
    assert torch.equal(forward(kind, model), exact[kind])
    is_object = config is None or config.startswith("{") and config.endswith("}")
    assert ("no JSON object" in caplog.text) != is_object


@pytest.mark.parametrize("config", [STALE, {}])
@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_text_encoder_with_a_useless_config_still_loads(kind, config, checkpoints):
    checkpoint = checkpoints[kind]
    changed = type(checkpoint)(checkpoint.path, kind, checkpoint.parts, dict.fromkeys(PARTS[kind], config))
    clip = loading.text_encoder(changed, torch.float32)
    assert clip.encode_from_tokens_scheduled(clip.tokenize("1girl"))[0][0].isfinite().all()


def test_header_with_broken_configs_is_only_warned_about(checkpoints, tmp_path, caplog):
    from safetensors.torch import save_file

    checkpoint = checkpoints[SINGLE_FRAME]
    tensors = {f"{part}.{name}": t for part, named in checkpoint.parts.items() for name, t in named.items()}
    for number, header in enumerate(["{no json", '{"unet": 5}']):
        file = tmp_path / f"{number}.safetensors"
        save_file(tensors, file, metadata={"paintsundo_configs": header})
        assert read_checkpoint(file, SINGLE_FRAME).configs == dict.fromkeys(PARTS[SINGLE_FRAME], {})
    assert "no JSON object" in caplog.text


def test_writing_refuses_to_overwrite_and_leaves_nothing_half_written(checkpoints, tmp_path):
    file = tmp_path / "new" / "model.safetensors"
    save_single_file(checkpoints[SINGLE_FRAME], file, torch.float16)
    before = file.stat()
    with pytest.raises(FileExistsError, match="another name"):
        save_single_file(checkpoints[SINGLE_FRAME], file)
    with pytest.raises(ValueError, match="does not end in .safetensors"):
        save_single_file(checkpoints[SINGLE_FRAME], tmp_path / "model.ckpt")
    assert file.stat() == before
    assert [p.name for p in tmp_path.rglob("*.*")] == [file.name]


@pytest.mark.parametrize("kind", KINDS)
def test_rewriting_a_single_file_in_other_precision_equals_writing_it_from_the_folder(
    kind, single_files, tmp_path
):
    file = tmp_path / "again.safetensors"
    save_single_file(read_checkpoint(single_files[kind, "fp32"], kind), file, torch.float16)
    again, expected = read_tensors(file), read_tensors(single_files[kind, "fp16"])
    assert again.keys() == expected.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in expected.items())
