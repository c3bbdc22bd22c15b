"""What ComfyUI's own Save nodes write of our objects, the loaders read again, with equal results."""

import json
import shutil

import comfy_extras.nodes_model_merging as merging
import folder_paths
import pytest
import torch
from paintsundo_pack.paintsundo_models import keyframes, loading, segments
from paintsundo_pack.paintsundo_models.checkpoints.finding import find_checkpoints
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from paintsundo_pack.paintsundo_models.errors import CheckpointNotFoundError
from paintsundo_pack.paintsundo_models.host.objects import Prompts
from paintsundo_pack.paintsundo_models.host.sampling import SamplerSettings
from safetensors import safe_open
from safetensors.torch import save_file

import nodes

KINDS = [SINGLE_FRAME, MULTI_FRAME]
LOAD = {SINGLE_FRAME: loading.load_single_frame, MULTI_FRAME: loading.load_multi_frame}
PATCHED = {
    SINGLE_FRAME: "diffusion_model.input_blocks.1.1.proj_in.weight",
    MULTI_FRAME: "diffusion_model.input_blocks.1.1.proj_in.weight",
}
GRAPH = {"1": {"class_type": "漢", "inputs": {}}}
HIDDEN = {"prompt": GRAPH, "extra_pnginfo": {"workflow": {"nodes": [1]}}}


@pytest.fixture
def output(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "output_directory", str(tmp_path / "output"))
    return tmp_path / "output"


@pytest.fixture
def load(seeded_checkpoints):
    return lambda kind: LOAD[kind](seeded_checkpoints[kind.replace("-", "_")], "fp32")


@torch.inference_mode()
def painted(objects):
    """A keyframe or a segment."""
    picture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    prompts, settings = Prompts("1girl", "bad"), SamplerSettings(1, 2, 3.0, "euler", "simple")
    if hasattr(objects, "clip_vision"):
        both = (picture, 1 - picture)
        return segments.interpolate(
            objects, both, prompts, settings, resolution="size of the pictures"
        ).frames
    return keyframes.predict_keyframes(objects, picture, [400], prompts, settings, 64, 64)


def with_lora(objects, kind):
    """The objects with a LoRA on the MODEL and on the CLIP, through ComfyUI's node."""
    name = PATCHED[kind]
    weight = objects.model.model.state_dict()[name]
    generator = torch.Generator().manual_seed(3)
    up = torch.randn(weight.shape[0], 4, generator=generator)
    down = torch.randn(4, weight[0].numel(), generator=generator)
    stem = name.removesuffix(".weight")
    lora = {f"{stem}.lora_up.weight": up, f"{stem}.lora_down.weight": down}
    text = "text_encoders.text_model.encoder.layers.0.mlp.fc1"
    key = next(
        key for key in objects.clip.cond_stage_model.state_dict() if key.endswith("layers.0.mlp.fc1.weight")
    )
    width = objects.clip.cond_stage_model.state_dict()[key].shape
    text = f"text_encoders.{key.removesuffix('.weight')}"
    lora[f"{text}.lora_up.weight"] = torch.randn(width[0], 2, generator=generator)
    lora[f"{text}.lora_down.weight"] = torch.randn(2, width[1], generator=generator)
    folder = folder_paths.get_folder_paths("loras")[0]
    file = f"{folder}/seeded_{kind}.safetensors"
    save_file(lora, file)
    model, clip = nodes.LoraLoader().load_lora(
        objects.model, objects.clip, f"seeded_{kind}.safetensors", 1.0, 1.0
    )
    return objects._replace(model=model, clip=clip)


@pytest.fixture
def loras(tmp_path, monkeypatch):
    folder = tmp_path / "loras"
    folder.mkdir()
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "loras", ([str(folder)], {".safetensors"}))


def saved(output, place):
    (file,) = (output / place).parent.glob("*.safetensors")
    return file


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_patched", [False, True], ids=["as loaded", "with a LoRA"])
@pytest.mark.usefixtures("loras")
def test_saved_checkpoint_is_found_and_paints_the_same(load, output, kind, is_patched):
    objects = load(kind)
    plain = painted(objects)
    if is_patched:
        objects = with_lora(objects, kind)
    expected = painted(objects)
    assert torch.equal(expected, plain) != is_patched
    merging.CheckpointSave().save(objects.model, objects.clip, objects.vae, "checkpoints/x", **HIDDEN)
    file = saved(output, "checkpoints/x")
    (found,) = find_checkpoints([str(output)], kind).values()
    assert (found.path, found.trouble) == (file, None)
    assert torch.equal(painted(LOAD[kind](file, "fp32")), expected)
    with safe_open(file, framework="pt") as opened:
        assert json.loads(opened.metadata()["workflow"]) == {"nodes": [1]}
        assert json.loads(opened.metadata()["prompt"]) == GRAPH


@pytest.mark.parametrize("kind", KINDS)
def test_parts_saved_one_by_one_make_a_folder(load, output, seeded_checkpoints, kind):
    objects = load(kind)
    merging.ModelSave().save(objects.model, "models/x", **HIDDEN)
    merging.CLIPSave().save(objects.clip, "clips/x", **HIDDEN)
    merging.VAESave().save(objects.vae, "vaes/x", **HIDDEN)
    folder = output / "mine"
    for place, part in (("models/x", "unet"), ("clips/x", "text_encoder"), ("vaes/x", "vae")):
        (folder / part).mkdir(parents=True)
        shutil.move(saved(output, place), folder / part)
    if kind == MULTI_FRAME:
        (found,) = find_checkpoints([str(output)], kind).values()
        assert found.trouble == "image_encoder missing"
        with pytest.raises(CheckpointNotFoundError, match="lacks image_encoder"):
            LOAD[kind](folder, "fp32")
        shutil.copytree(seeded_checkpoints["multi_frame"] / "image_encoder", folder / "image_encoder")
    (found,) = find_checkpoints([str(output)], kind).values()
    assert (found.path, found.trouble) == (folder, None)
    assert torch.equal(painted(LOAD[kind](folder, "fp32")), painted(objects))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_model_alone_says_what_is_missing_and_how_to_add_it(load, output, kind):
    merging.ModelSave().save(load(kind).model, "models/x")
    (found,) = find_checkpoints([str(output)], kind).values()
    assert "vae, text_encoder" in found.trouble
    assert "into sub-folders of one folder" in found.trouble


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_and_fp8_are_saved_as_they_are(seeded_checkpoints, output, kind):
    objects = LOAD[kind](seeded_checkpoints[kind.replace("-", "_")], "fp8_e4m3fn")
    merging.CheckpointSave().save(objects.model, objects.clip, objects.vae, "checkpoints/x")
    file = saved(output, "checkpoints/x")
    again = LOAD[kind](file, "fp8_e4m3fn")
    ours = objects.model.model.diffusion_model.state_dict()
    assert all(
        torch.equal(tensor.view(torch.uint8), ours[name].view(torch.uint8))
        for name, tensor in again.model.model.diffusion_model.state_dict().items()
    )


def test_merged_models_are_saved_and_loaded(load, output):
    objects, other = load(SINGLE_FRAME), load(SINGLE_FRAME)
    with torch.no_grad():
        for parameter in other.model.model.diffusion_model.parameters():
            parameter.mul_(0.9)
    (merged,) = merging.ModelMergeSimple().merge(objects.model, other.model, 0.5)
    merging.CheckpointSave().save(merged, objects.clip, objects.vae, "checkpoints/x")
    again = LOAD[SINGLE_FRAME](saved(output, "checkpoints/x"), "fp32")
    assert torch.equal(painted(again), painted(objects._replace(model=merged)))


def test_checkpoint_that_is_gone_is_named_when_its_vision_encoder_is_to_be_saved(
    output, tmp_path, seeded_checkpoints
):
    shutil.copytree(seeded_checkpoints["multi_frame"], tmp_path / "gone")
    objects = LOAD[MULTI_FRAME](tmp_path / "gone", "fp32")
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(CheckpointNotFoundError, match="There is no checkpoint at"):
        merging.CheckpointSave().save(objects.model, objects.clip, objects.vae, "checkpoints/x")
