"""The message for each fault of a checkpoint: what was found, what was expected, what to do. A failed load frees its memory."""

import gc
import json

import comfy.model_management
import pytest
import torch
from paintsundo_pack.paintsundo_models import loading
from paintsundo_pack.paintsundo_models.checkpoints import detection
from paintsundo_pack.paintsundo_models.checkpoints.files import PUBLISHED_AT, save_single_file
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, PARTS, SINGLE_FRAME
from paintsundo_pack.paintsundo_models.errors import (
    CheckpointError,
    CheckpointMismatchError,
    CheckpointNotFoundError,
    CorruptCheckpointError,
    UnsupportedCheckpointError,
)
from safetensors.torch import save_file

KINDS = [SINGLE_FRAME, MULTI_FRAME]
OTHER = {SINGLE_FRAME: MULTI_FRAME, MULTI_FRAME: SINGLE_FRAME}
LOADERS = {SINGLE_FRAME: loading.load_single_frame, MULTI_FRAME: loading.load_multi_frame}
PARTS_OF = [(kind, part) for kind in KINDS for part in PARTS[kind]]
BUILDERS = {
    (SINGLE_FRAME, "unet"): loading.single_frame_model,
    (SINGLE_FRAME, "vae"): loading.image_vae,
    (SINGLE_FRAME, "text_encoder"): loading.text_encoder,
    (MULTI_FRAME, "unet"): loading.multi_frame_model,
    (MULTI_FRAME, "image_projection"): loading.multi_frame_model,
    (MULTI_FRAME, "vae"): loading.video_vae,
    (MULTI_FRAME, "text_encoder"): loading.text_encoder,
    (MULTI_FRAME, "image_encoder"): loading.vision_encoder,
}
ANY_TENSOR = {
    "unet": {SINGLE_FRAME: "mid_block.resnets.1.conv2.bias", MULTI_FRAME: "middle_block.0.emb_layers.1.bias"},
    "vae": {SINGLE_FRAME: "post_quant_conv.bias", MULTI_FRAME: "decoder.mid.block_1.norm1.bias"},
    "text_encoder": dict.fromkeys(KINDS, "text_model.encoder.layers.1.mlp.fc2.bias"),
    "image_encoder": {MULTI_FRAME: "vision_model.encoder.layers.1.mlp.fc2.bias"},
    "image_projection": {MULTI_FRAME: "layers.1.0.to_kv.weight"},
}


def message_of(error_type, kind, path) -> str:
    """The message with which loading fails, as exactly this type of error."""
    with pytest.raises(CheckpointError) as caught:
        LOADERS[kind](path)
    assert type(caught.value) is error_type, caught.value
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_there(kind, tmp_path):
    message = message_of(CheckpointNotFoundError, kind, tmp_path / "model")
    assert str(tmp_path / "model") in message
    assert PUBLISHED_AT[kind] in message


@pytest.mark.parametrize(("kind", "part"), PARTS_OF)
def test_missing_part_is_named(kind, part, copy_of):
    folder = copy_of(kind)
    folder.file(part).unlink()
    message = message_of(CheckpointNotFoundError, kind, folder.path)
    assert f"lacks {part} " in message
    assert all(other in message for other in PARTS[kind])
    assert PUBLISHED_AT[kind] in message


def test_pickled_weights_are_named_and_not_opened(copy_of):
    folder = copy_of(SINGLE_FRAME)
    folder.file("vae").rename(folder.path / "vae" / "diffusion_pytorch_model.bin")
    message = message_of(CheckpointNotFoundError, SINGLE_FRAME, folder.path)
    assert "lacks vae " in message
    assert "vae/diffusion_pytorch_model.bin cannot be read, only .safetensors" in message
    for part in ("unet", "text_encoder"):
        folder.file(part).rename(folder.path / part / "model.bin")
    message = message_of(UnsupportedCheckpointError, SINGLE_FRAME, folder.path)
    assert "unet/model.bin" in message
    assert "only .safetensors" in message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["folder", "single file"])
def test_other_model_is_sent_to_the_other_loader(kind, form, seeded_checkpoints, checkpoints, tmp_path):
    path = seeded_checkpoints[OTHER[kind].replace("-", "_")]
    if form == "single file":
        path = tmp_path / "model.safetensors"
        save_single_file(checkpoints[OTHER[kind]], path)
    message = message_of(UnsupportedCheckpointError, kind, path)
    assert f"the {OTHER[kind]} model's unet" in message
    assert f"the {kind} model is needed" in message
    assert "other loader" in message


@pytest.mark.parametrize("kind", KINDS)
def test_plain_sd15_is_told_apart(kind, copy_of):
    """A diffusers folder of Stable Diffusion 1.5: the same but for the operation step."""
    folder = copy_of(SINGLE_FRAME)
    tensors = folder.tensors("unet")
    folder.write("unet", {n: t for n, t in tensors.items() if not n.startswith("add_embedding.")})
    message = message_of(UnsupportedCheckpointError, kind, folder.path)
    assert f"unet in {folder.path} is not the {kind} model's" in message
    lacking = {SINGLE_FRAME: "add_embedding.linear_1.weight", MULTI_FRAME: "fps_embedding.0.weight"}
    assert lacking[kind] in message


def test_one_part_of_the_other_model_is_named(copy_of, checkpoints):
    folder = copy_of(MULTI_FRAME)
    folder.write("vae", checkpoints[SINGLE_FRAME].parts["vae"])
    message = message_of(UnsupportedCheckpointError, MULTI_FRAME, folder.path)
    assert "holds the single-frame model's vae" in message


@pytest.mark.parametrize("kind", KINDS)
def test_text_encoder_of_the_other_model_is_told_by_its_width(kind, copy_of, checkpoints):
    folder = copy_of(kind)
    folder.write("text_encoder", checkpoints[OTHER[kind]].parts["text_encoder"])
    message = message_of(CheckpointMismatchError, kind, folder.path)
    widths = {SINGLE_FRAME: 32, MULTI_FRAME: 48}
    assert f"The text_encoder in {folder.path} is not the {kind} model's" in message
    assert f"it is {widths[OTHER[kind]]} wide, and the unet beside it reads {widths[kind]}" in message


def test_two_models_in_one_folder(copy_of):
    folder = copy_of(SINGLE_FRAME)
    folder.write("unet_of_last_week", folder.tensors("unet"), "model.safetensors")
    message = message_of(UnsupportedCheckpointError, SINGLE_FRAME, folder.path)
    assert "unet_of_last_week" in message
    assert "Keep one model" in message


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_single_file_and_empty_folder(kind, tmp_path):
    (tmp_path / "empty").mkdir()
    message = message_of(UnsupportedCheckpointError, kind, tmp_path / "empty")
    assert ", ".join(PARTS[kind]) in message
    file = tmp_path / "sd15.safetensors"
    save_file({"model.diffusion_model.out.2.bias": torch.ones(4), "cond_stage_model.x": torch.ones(4)}, file)
    message = message_of(UnsupportedCheckpointError, kind, file)
    assert "is no Paints-UNDO checkpoint" in message
    assert "unknown: cond_stage_model, model" in message
    assert PUBLISHED_AT[kind] in message


@pytest.mark.parametrize("form", ["folder", "single file"])
@pytest.mark.parametrize("damage", ["truncated", "header only", "empty", "text", "page of a hub"])
def test_unreadable_file_is_named_with_its_size(damage, form, copy_of, checkpoints, tmp_path):
    folder = copy_of(SINGLE_FRAME)
    path, file = folder.path, folder.file("unet")
    if form == "single file":
        path = file = tmp_path / "model.safetensors"
        save_single_file(checkpoints[SINGLE_FRAME], file, torch.float16)
    content = file.read_bytes()
    file.unlink()
    damaged = {
        "truncated": content[:-100],
        "header only": content[:100],
        "empty": b"",
        "text": b"not a checkpoint\n" * 10,
        "page of a hub": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
    }[damage]
    file.write_bytes(damaged)
    message = message_of(CorruptCheckpointError, SINGLE_FRAME, path)
    assert f"{file} ({len(damaged):,} bytes) cannot be read" in message
    assert "download it again" in message


@pytest.mark.parametrize("what", ["folder", "link to nothing"])
def test_weights_file_that_is_no_file(what, copy_of):
    folder = copy_of(SINGLE_FRAME)
    file = folder.file("unet")
    file.unlink()
    if what == "folder":
        file.mkdir()
    else:
        try:
            file.symlink_to(folder.path / "gone")
        except OSError:  # on Windows, for most users
            pytest.skip("this user may not make symbolic links")
    message = message_of(CorruptCheckpointError, SINGLE_FRAME, folder.path)
    assert f"{file} (no file) cannot be read" in message


def change(tensors, name, how):
    """A copy of a part's tensors with one tensor removed, renamed or misshapen."""
    tensors = dict(tensors)
    tensor = tensors.pop(name)
    if how == "renamed":
        tensors[f"{name}x"] = tensor
    elif how == "flat":
        tensors[name] = tensor.reshape(1, -1) if tensor.ndim < 2 else tensor.reshape(-1)
    elif how == "wide":
        tensors[name] = tensor.new_zeros([size + 1 for size in tensor.shape] or [2])
    elif how == "without rows":
        tensors[name] = tensor.new_zeros([0, *tensor.shape[1:]])
    return tensors


@pytest.mark.parametrize(
    ("how", "label"), [("removed", "missing"), ("renamed", "unexpected"), ("flat", "of another shape")]
)
@pytest.mark.parametrize(("kind", "part"), PARTS_OF)
def test_wrong_tensor_is_reported_with_its_part_and_name(kind, part, how, label, copy_of):
    folder = copy_of(kind)
    name = ANY_TENSOR[part][kind]
    folder.write(part, change(folder.tensors(part), name, how))
    message = message_of(CheckpointMismatchError, kind, folder.path)
    assert f"The {part} in {folder.path}" in message
    assert f"1 {label}: {name}" in message
    assert "Download this part again" in message


DETECTORS = {
    (SINGLE_FRAME, "unet"): lambda t, _: detection.single_frame_unet_config(t, {}),
    (SINGLE_FRAME, "vae"): lambda t, _: detection.image_vae_config(t),
    (SINGLE_FRAME, "text_encoder"): lambda t, parts: detection.text_config(
        t, {}, SINGLE_FRAME, parts["unet"]
    ),
    (MULTI_FRAME, "unet"): lambda t, _: detection.video_unet_params(t),
    (MULTI_FRAME, "image_projection"): lambda t, _: detection.projection_params(t, {}),
    (MULTI_FRAME, "vae"): lambda t, _: detection.video_vae_params(t),
    (MULTI_FRAME, "text_encoder"): lambda t, parts: detection.text_config(t, {}, MULTI_FRAME, parts["unet"]),
    (MULTI_FRAME, "image_encoder"): lambda t, parts: detection.vision_config(
        t, {}, parts["image_projection"]
    ),
}


class Recording(dict):
    """Record which tensors are read."""

    def __init__(self, tensors):
        super().__init__(tensors)
        self.read = {}

    def __getitem__(self, name):
        self.read[name] = True
        return super().__getitem__(name)


def with_part(checkpoint, part, tensors):
    return type(checkpoint)(
        checkpoint.path, checkpoint.kind, {**checkpoint.parts, part: tensors}, checkpoint.configs
    )


@pytest.mark.parametrize("how", ["removed", "flat", "wide", "without rows"])
@pytest.mark.parametrize(("kind", "part"), PARTS_OF)
def test_no_wrong_tensor_leads_to_any_other_error(kind, part, how, checkpoints):
    """Every tensor that the architecture is derived from, and one more."""
    checkpoint, build = checkpoints[kind], BUILDERS[kind, part]
    recording = Recording(checkpoint.parts[part])
    DETECTORS[kind, part](recording, checkpoint.parts)
    assert recording.read
    names = list(checkpoint.parts[part])
    for name in [*recording.read, names[len(names) // 2]]:
        with pytest.raises(CheckpointMismatchError) as caught:
            build(with_part(checkpoint, part, change(checkpoint.parts[part], name, how)), torch.float32)
        assert f"The {part} in {checkpoint.path}" in str(caught.value), name


@pytest.mark.parametrize(("kind", "part"), PARTS_OF)
def test_part_without_any_expected_tensor_but_its_signature(kind, part, checkpoints):
    checkpoint = checkpoints[kind]
    for tensors in ({}, {"other.weight": torch.ones(3)}):
        with pytest.raises(CheckpointMismatchError, match=f"The {part} in"):
            BUILDERS[kind, part](with_part(checkpoint, part, tensors), torch.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_failed_loads_leave_nothing_behind(kind, copy_of):
    comfy.model_management.unload_all_models()
    folder = copy_of(kind)
    last = PARTS[kind][-1]
    good = folder.tensors(last)
    folder.write(last, change(good, ANY_TENSOR[last][kind], "removed"))
    for _ in range(2):
        message_of(CheckpointMismatchError, kind, folder.path)
    gc.collect()
    comfy.model_management.cleanup_models()
    assert [m for m in comfy.model_management.current_loaded_models if m.real_model() is not None] == []

    folder.write(last, good)
    _, clip, *_ = LOADERS[kind](folder.path)
    assert clip.encode_from_tokens_scheduled(clip.tokenize("1girl"))[0][0].isfinite().all()


def test_incomplete_shards_are_reported_as_missing_tensors(copy_of):
    folder = copy_of(MULTI_FRAME)
    tensors = folder.tensors("unet")
    folder.file("unet").unlink()
    half = {name: tensor for name, tensor in tensors.items() if not name.startswith("output_blocks.")}
    folder.write("unet", half, "model-00001-of-00002.safetensors")
    folder.text("unet", json.dumps({"weight_map": {}}), "model.safetensors.index.json")
    message = message_of(CheckpointMismatchError, MULTI_FRAME, folder.path)
    assert f"{len(tensors) - len(half)} missing: output_blocks.0." in message
