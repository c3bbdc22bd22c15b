"""The nodes around checkpoints, run as the host runs them, on checkpoints in its folders."""

import os
import re
import shutil

import folder_paths
import pytest
import torch
from paintsundo_pack.nodes.load_checkpoints import (
    NONE_FOUND,
    MultiFrameLoader,
    SaveCheckpoint,
    SingleFrameLoader,
)
from paintsundo_pack.paintsundo_models.checkpoints.files import WEIGHT_DTYPES, read_tensors
from paintsundo_pack.paintsundo_models.constants import UNUSABLE
from paintsundo_pack.paintsundo_models.errors import CheckpointNotFoundError, CorruptCheckpointError
from paintsundo_pack.paintsundo_models.host.folders import DEMO_NAME

LOADERS = {"single": SingleFrameLoader, "multi": MultiFrameLoader}


@pytest.fixture
def models(seeded_checkpoints, tmp_path, monkeypatch):
    """models/paintsundo with both seeded checkpoints, named single and multi, as the only folder."""
    folder = tmp_path / "models" / "paintsundo"
    for name in LOADERS:
        shutil.copytree(seeded_checkpoints[f"{name}_frame"], folder / name)
    for key, roots in (("paintsundo", [str(folder)]), ("diffusers", [])):
        extensions = folder_paths.folder_names_and_paths[key][1]
        monkeypatch.setitem(folder_paths.folder_names_and_paths, key, (roots, extensions))
    return folder


def options(node, name="checkpoint"):
    return next(field.options for field in node.define_schema().inputs if field.id == name)


def test_lists_show_what_each_node_takes(models):
    assert options(SingleFrameLoader) == ["single", DEMO_NAME]
    assert options(MultiFrameLoader) == ["multi", DEMO_NAME]
    assert options(SaveCheckpoint) == ["multi", "single"]
    assert all(
        options(node, "weight_dtype") == list(WEIGHT_DTYPES) for node in (*LOADERS.values(), SaveCheckpoint)
    )
    shutil.rmtree(models)
    assert all(options(node) == [DEMO_NAME] for node in LOADERS.values())
    assert options(SaveCheckpoint) == [NONE_FOUND]


@pytest.mark.parametrize("name", list(LOADERS))
def test_saved_file_is_listed_and_loads(name, models):
    path = SaveCheckpoint.execute(checkpoint=name, weight_dtype="fp16", filename=f"new/{name} half").args[0]
    assert path == str(models / "new" / f"{name} half.safetensors")
    assert {tensor.dtype for tensor in read_tensors(models / path).values()} == {torch.float16}
    node = LOADERS[name]
    listed = f"new/{name} half.safetensors"
    assert options(node) == [*sorted([name, listed]), DEMO_NAME]
    assert node.validate_inputs(checkpoint=listed) is True
    outputs = node.execute(checkpoint=listed, weight_dtype="default").args
    assert len(outputs) == len(node.define_schema().outputs)
    assert outputs[0].model.diffusion_model is not None


def test_save_refuses_to_overwrite_and_to_leave_its_folder(models):
    SaveCheckpoint.execute(checkpoint="single", weight_dtype="default", filename="a")
    content = (models / "a.safetensors").read_bytes()
    assert "another name" in SaveCheckpoint.validate_inputs(filename="a")
    assert SaveCheckpoint.validate_inputs(filename="b") is True
    with pytest.raises(FileExistsError, match="another name"):
        SaveCheckpoint.execute(checkpoint="single", weight_dtype="fp16", filename="a.safetensors")
    assert (models / "a.safetensors").read_bytes() == content
    with pytest.raises(ValueError, match="is no file name inside"):
        SaveCheckpoint.execute(checkpoint="single", weight_dtype="fp16", filename="../a")
    assert not (models.parent / "a.safetensors").exists()


def refusal(node, checkpoint):
    """What the host says of this value at the input checkpoint."""
    if node is not SaveCheckpoint:
        return node.validate_inputs(checkpoint=checkpoint)
    combo = node.define_schema().inputs[0].get_io_type()
    assert checkpoint not in combo
    return str(combo)


@pytest.mark.parametrize("node", [*LOADERS.values(), SaveCheckpoint])
def test_unknown_checkpoint_is_explained_before_anything_runs(node, models):
    for name in ("gone", NONE_FOUND):
        said = refusal(node, name)
        assert name in said
        assert "https://" in said
        assert str(models) in said
    others = {SingleFrameLoader: "multi", MultiFrameLoader: "single"}
    if node in others:
        assert node.validate_inputs(checkpoint=None) is True  # a linked input has no value yet
        assert "found: " in refusal(node, others[node])
    with pytest.raises(CheckpointNotFoundError, match="gone"):
        node.execute(
            checkpoint="gone", weight_dtype="default", **({"filename": "a"} if node is SaveCheckpoint else {})
        )


@pytest.mark.parametrize("node", [*LOADERS.values(), SaveCheckpoint])
def test_broken_file_is_listed_and_explained(node, models):
    (models / "broken.safetensors").write_bytes(b"half a download")
    marked = f"broken.safetensors{UNUSABLE}"
    assert options(node)[-1] == marked, "it never comes first, where new nodes and paint.py would choose it"
    more = {"filename": "a"} if node is SaveCheckpoint else {}
    for name in (marked, "broken.safetensors"):
        assert "broken.safetensors is no safetensors file" in refusal(node, name)
        with pytest.raises(CorruptCheckpointError, match="download it again"):
            node.execute(checkpoint=name, weight_dtype="default", **more)


@pytest.mark.parametrize("name", list(LOADERS))
def test_replaced_checkpoint_is_loaded_anew(name, models):
    def fingerprint():
        return LOADERS[name].fingerprint_inputs(checkpoint=name, weight_dtype="default")

    first = fingerprint()
    assert fingerprint() == first
    file = next((models / name / "vae").glob("*.safetensors"))
    os.utime(file, ns=(0, 0))
    assert fingerprint() != first


@pytest.mark.parametrize("name", list(LOADERS))
def test_what_is_not_read_reloads_nothing(name, models):
    def fingerprint():
        return LOADERS[name].fingerprint_inputs(checkpoint=name, weight_dtype="default")

    first = fingerprint()
    for folder in (models / name, models / name / "vae"):
        for other in (".DS_Store", "Thumbs.db", "._model.safetensors", "readme.txt"):
            (folder / other).write_bytes(b"x")
        (folder / "dead link").symlink_to(models / "gone")
    (models / name / "samples").mkdir()
    assert LOADERS[name].validate_inputs(checkpoint=name) is True
    assert fingerprint() == first


@pytest.mark.parametrize("name", list(LOADERS))
def test_configuration_beside_a_single_file_belongs_to_it(name, models):
    """It holds the number of heads and the trained sizes, so a model with another one is another model."""
    SaveCheckpoint.execute(checkpoint=name, weight_dtype="default", filename="one")
    seen = set()
    for text in (None, "{}", '{"vae": {}}'):
        if text is not None:
            (models / "one.configs.json").write_text(text, encoding="utf-8")
        seen.add(LOADERS[name].fingerprint_inputs(checkpoint="one.safetensors", weight_dtype="default"))
    assert len(seen) == 3
    (models / "one.json").write_text("{}", encoding="utf-8")  # is not read
    assert LOADERS[name].fingerprint_inputs(checkpoint="one.safetensors", weight_dtype="default") in seen


def test_name_saved_on_windows_is_found(models):
    shutil.copytree(models / "single", models / "sub" / "single")
    assert SingleFrameLoader.validate_inputs(checkpoint="sub\\single") is True


def test_linked_folder_that_the_loader_lists_can_be_saved_into(models, tmp_path):
    (tmp_path / "other drive").mkdir()
    os.symlink(tmp_path / "other drive", models / "nas", target_is_directory=True)
    SaveCheckpoint.execute(checkpoint="single", weight_dtype="fp16", filename="nas/half")
    assert (tmp_path / "other drive" / "half.safetensors").is_file()
    assert "nas/half.safetensors" in options(SingleFrameLoader)


@pytest.mark.parametrize("filename", ["a:b", "con.fp16", "漢" * 90, "a\nb", "x" * 300])
def test_file_name_that_cannot_be_stored_is_refused(models, filename):
    assert "the name of the new file, has" in SaveCheckpoint.validate_inputs(filename=filename)
    with pytest.raises(ValueError, match="the name of the new file, has"):
        SaveCheckpoint.execute(checkpoint="single", weight_dtype="fp16", filename=filename)


@pytest.mark.parametrize("filename", ["taken.safetensors/x", "taken.safetensors/deep/x", "nowhere/x"])
def test_file_name_in_a_folder_that_is_none_is_refused_before_the_run(models, filename):
    SaveCheckpoint.execute(checkpoint="single", weight_dtype="fp16", filename="taken")
    (models / "nowhere").symlink_to(models / "gone", target_is_directory=True)
    said = "would lie in the folder .*, and there is a file of that name"
    assert re.search(said, SaveCheckpoint.validate_inputs(filename=filename))
    with pytest.raises(ValueError, match=said):
        SaveCheckpoint.execute(checkpoint="single", weight_dtype="fp16", filename=filename)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="this system has no folder that nobody can write")
def test_folder_that_cannot_be_written_is_told_before_the_run(models):
    (models / "closed").symlink_to("/proc/self", target_is_directory=True)
    said = SaveCheckpoint.validate_inputs(filename="closed/x")
    assert re.fullmatch(r"Nothing can be written in .*closed: .*choose another folder\.", said)


@pytest.mark.parametrize("node", LOADERS.values())
def test_linked_checkpoint_is_not_loaded_anew_each_time(node):
    """ComfyUI validates a linked input before its value is known."""
    assert node.fingerprint_inputs(checkpoint=None, weight_dtype="default") == ""
