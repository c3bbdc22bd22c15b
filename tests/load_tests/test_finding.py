"""Checkpoints are found in the host's model folders by what is in them, and listed even when they are broken."""

import os

import folder_paths
import pytest
import torch
from paintsundo_pack.paintsundo_models.checkpoints.files import UNREADABLE, save_single_file
from paintsundo_pack.paintsundo_models.checkpoints.finding import find_checkpoints, kind_on_disk
from paintsundo_pack.paintsundo_models.checkpoints.parts import (
    MULTI_FRAME,
    PARTS,
    SINGLE_FRAME,
    expected_signature,
)
from paintsundo_pack.paintsundo_models.constants import UNUSABLE
from paintsundo_pack.paintsundo_models.errors import CheckpointNotFoundError
from paintsundo_pack.paintsundo_models.host import folders
from safetensors.torch import save_file

OPERATION_STEP = ("add_embedding.linear_1.weight", "down_blocks.0.attentions.0.norm.weight")
UNETS = {
    SINGLE_FRAME: (*OPERATION_STEP, "down_blocks.0.resnets.0.conv1.weight", "conv_in.weight"),
    MULTI_FRAME: ("init_attn.0.proj_in.weight", "fps_embedding.0.weight", "input_blocks.0.0.weight"),
    "SD 1.5": (
        "down_blocks.0.attentions.0.norm.weight",
        "down_blocks.0.resnets.0.conv1.weight",
        "conv_in.weight",
    ),
    "SDXL": ("add_embedding.linear_1.weight", "down_blocks.0.resnets.0.conv1.weight", "conv_in.weight"),
    "SVD": (*OPERATION_STEP, "down_blocks.0.resnets.0.spatial_res_block.conv1.weight", "conv_in.weight"),
}


def put_file(path, names):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: torch.ones(1) for name in names}, path)


def other_parts(kind):
    """Tensors by which the parts besides the unet are recognised; for other models those of the single-frame one."""
    known = kind if kind in PARTS else SINGLE_FRAME
    return {part: expected_signature(part, known).tensors for part in PARTS[known] if part != "unet"}


def put_folder(path, kind):
    put_file(path / "unet" / "diffusion_pytorch_model.safetensors", UNETS[kind])
    for part, names in other_parts(kind).items():
        put_file(path / part / "model.safetensors", names)
    return path


def put_single(path, kind):
    others = [f"{part}.{name}" for part, names in other_parts(kind).items() for name in names]
    put_file(path, [*(f"unet.{name}" for name in UNETS[kind]), *others])
    return path


def put_broken(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half a download")
    return path


def link(target, path):
    try:
        os.symlink(target, path)
    except OSError:  # on Windows, for most users
        pytest.skip("this user may not make symbolic links")


@pytest.fixture
def roots(tmp_path, monkeypatch):
    """The host's two folder keys, both with a second root as extra_model_paths.yaml gives them."""
    made = {}
    for key in folders.SEARCHED_KEYS:
        made[key] = [tmp_path / key, tmp_path / f"extra {key}"]
        for root in made[key]:
            root.mkdir()
        extensions = folder_paths.folder_names_and_paths[key][1]
        monkeypatch.setitem(
            folder_paths.folder_names_and_paths, key, ([str(r) for r in made[key]], extensions)
        )
    return made


def test_both_forms_are_found_below_every_root_of_both_keys(roots):
    own, extra = roots["paintsundo"]
    diffusers, extra_diffusers = roots["diffusers"]
    expected = {
        "paints_undo_single_frame": put_folder(own / "paints_undo_single_frame", SINGLE_FRAME),
        "my models/größer 絵/folder": put_folder(own / "my models" / "größer 絵" / "folder", SINGLE_FRAME),
        "single fp16.safetensors": put_single(extra / "single fp16.safetensors", SINGLE_FRAME),
        "deep/er/file.safetensors": put_single(diffusers / "deep" / "er" / "file.safetensors", SINGLE_FRAME),
        "from yaml": put_folder(extra_diffusers / "from yaml", SINGLE_FRAME),
    }
    other = put_folder(diffusers / "paints_undo_multi_frame", MULTI_FRAME)
    assert folders.list_checkpoints(SINGLE_FRAME) == [*sorted(expected), folders.DEMO_NAME]
    assert {name: folders.checkpoint_path(name, SINGLE_FRAME) for name in expected} == expected
    assert folders.list_checkpoints(MULTI_FRAME) == [other.name, folders.DEMO_NAME]
    assert folders.checkpoint_path(other.name, MULTI_FRAME) == other


def test_other_models_are_not_listed(roots):
    own, diffusers = roots["paintsundo"][0], roots["diffusers"][0]
    for name in ("SD 1.5", "SDXL", "SVD"):
        put_folder(diffusers / name, name)
        put_single(own / f"{name}.safetensors", name)
    put_file(diffusers / "flux" / "transformer" / "model.safetensors", ["x_embedder.weight"])
    put_file(own / "sd15.safetensors", ["model.diffusion_model.out.2.bias"])
    put_file(own / "only_text" / "text_encoder" / "model.safetensors", ["text_model.final_layer_norm.bias"])
    (own / "tagger.onnx").write_bytes(b"onnx")
    (own / "empty").mkdir()
    assert folders.list_checkpoints(SINGLE_FRAME) == [folders.DEMO_NAME]
    assert folders.list_checkpoints(MULTI_FRAME) == [folders.DEMO_NAME]


def test_broken_files_are_listed_for_both_kinds(roots):
    own = roots["paintsundo"][0]
    put_broken(put_folder(own / "folder", MULTI_FRAME) / "unet" / "model.safetensors")
    put_broken(own / "half.safetensors")
    link(own / "gone", own / "link to nothing.safetensors")
    (own / "a folder.safetensors").mkdir()
    names = [f"{name}{UNUSABLE}" for name in ("folder", "half.safetensors", "link to nothing.safetensors")]
    assert folders.list_checkpoints(SINGLE_FRAME) == [folders.DEMO_NAME, *names[1:]]
    assert folders.list_checkpoints(MULTI_FRAME) == [folders.DEMO_NAME, *names]
    assert kind_on_disk(own / "half.safetensors") == UNREADABLE


def test_hidden_files_and_folders_are_passed_over(roots):
    own = roots["paintsundo"][0]
    put_broken(own / "._model.safetensors")
    put_broken(own / ".cache" / "model.safetensors")
    put_broken(put_folder(own / "folder", SINGLE_FRAME) / "unet" / "._diffusion_pytorch_model.safetensors")
    assert folders.list_checkpoints(SINGLE_FRAME) == ["folder", folders.DEMO_NAME]


def test_shards_are_read_together(tmp_path):
    for number, name in enumerate(UNETS[MULTI_FRAME]):
        put_file(tmp_path / "model" / "unet" / f"model-{number}.safetensors", [name])
    assert kind_on_disk(tmp_path / "model") == MULTI_FRAME
    assert kind_on_disk(tmp_path) is None


def test_links_are_followed_and_loops_end(roots, tmp_path):
    own = roots["paintsundo"][0]
    put_folder(tmp_path / "elsewhere" / "models" / "single", SINGLE_FRAME)
    for name in ("a", "b"):
        link(tmp_path / "elsewhere", own / name)
        link(own, tmp_path / "elsewhere" / "models" / f"back {name}")
    assert folders.list_checkpoints(SINGLE_FRAME) == ["a/models/single", "b/models/single", folders.DEMO_NAME]


def test_sub_folders_put_straight_into_the_root_are_found_beside_others(roots):
    own = put_folder(roots["paintsundo"][0], SINGLE_FRAME)
    put_folder(own / "other", SINGLE_FRAME)
    put_single(own / "single.safetensors", SINGLE_FRAME)
    assert folders.list_checkpoints(SINGLE_FRAME) == [
        "other",
        "paintsundo",
        "single.safetensors",
        folders.DEMO_NAME,
    ]
    assert folders.checkpoint_path("paintsundo", SINGLE_FRAME) == own


def test_the_first_root_wins_a_name(roots):
    paths = [put_folder(root / "model", SINGLE_FRAME) for both in roots.values() for root in both]
    assert folders.checkpoint_path("model", SINGLE_FRAME) == paths[0]


def test_missing_roots_hold_nothing(tmp_path):
    assert find_checkpoints([str(tmp_path / "none"), str(tmp_path)], SINGLE_FRAME) == {}


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="every folder is open to this user"
)
def test_closed_folder_is_passed_over(tmp_path):
    put_folder(tmp_path / "open", SINGLE_FRAME)
    closed = put_folder(tmp_path / "closed" / "model", SINGLE_FRAME).parent
    closed.chmod(0)
    try:
        assert list(find_checkpoints([str(tmp_path)], SINGLE_FRAME)) == ["open"]
    finally:
        closed.chmod(0o700)


def test_unknown_name_tells_what_is_there_and_where_to_put_it(roots):
    put_folder(roots["paintsundo"][0] / "there", SINGLE_FRAME)
    with pytest.raises(CheckpointNotFoundError) as caught:
        folders.checkpoint_path("not there", SINGLE_FRAME)
    message = str(caught.value)
    assert "no single-frame checkpoint 'not there'; found: there" in message
    assert str(roots["paintsundo"][0]) in message
    assert "https://" in message
    assert folders.DEMO_NAME in message


def test_seeded_checkpoints_are_told_apart_on_disk(seeded_checkpoints, checkpoints, tmp_path):
    for kind in (SINGLE_FRAME, MULTI_FRAME):
        assert kind_on_disk(seeded_checkpoints[kind.replace("-", "_")]) == kind
        save_single_file(checkpoints[kind], tmp_path / f"{kind}.safetensors", torch.float16)
        assert kind_on_disk(tmp_path / f"{kind}.safetensors") == kind


@pytest.mark.parametrize("name", ["a", "a.safetensors", "sub/a", "with space 絵", "dotted.fp16", " a"])
def test_new_single_file_goes_into_the_packs_folder(name, roots):
    path = folders.single_file_path(name)
    assert path.suffix == ".safetensors"
    assert path.is_relative_to(roots["paintsundo"][0].resolve())
    assert not path.name.endswith(".safetensors.safetensors")


@pytest.mark.parametrize("name", ["", "  ", "../a", "sub/../../a", "/a", ".safetensors", "sub/", "..", ".a"])
def test_new_single_file_elsewhere_or_without_a_name_is_refused(name, roots):
    with pytest.raises(ValueError, match="is no file name"):
        folders.single_file_path(name)


def test_the_packs_folder_is_the_hosts_and_lists_only_weights():
    paths, extensions = folder_paths.folder_names_and_paths[folders.FOLDER_KEY]
    assert os.path.join(folder_paths.models_dir, "paintsundo") in paths
    assert {".safetensors", ".onnx"} <= set(extensions)


def test_own_folder_comes_before_those_of_extra_model_paths(tmp_path, monkeypatch):
    """New files go to the first folder that is not the cache of a download."""
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "models"))
    monkeypatch.setitem(
        folder_paths.folder_names_and_paths, folders.FOLDER_KEY, ([str(tmp_path / "hub")], set())
    )
    folders.register_folder()
    assert folder_paths.get_folder_paths(folders.FOLDER_KEY) == [
        str(tmp_path / "models" / "paintsundo"),
        str(tmp_path / "hub"),
    ]
    assert folders.single_file_path("a").parent == tmp_path / "models" / "paintsundo"
