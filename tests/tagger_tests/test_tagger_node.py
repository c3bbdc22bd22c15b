import asyncio

import execution
import folder_paths
import pytest
import torch
from paintsundo_pack.nodes import tag_picture as node_file
from paintsundo_pack.nodes.linked_values import checked
from paintsundo_pack.nodes.tag_picture import NONE_FOUND, Tagger, list_taggers
from paintsundo_pack.paintsundo_models import errors
from paintsundo_pack.paintsundo_models.pictures import wd14

import nodes as host_nodes


@pytest.fixture
def folders(monkeypatch):
    """Set the host's model folders: folders(key=path, ...) replaces the three that the node reads."""

    def set_folders(**paths):
        for key in ("paintsundo", "wd14_tagger", "onnx"):
            monkeypatch.delitem(folder_paths.folder_names_and_paths, key, raising=False)
            monkeypatch.delitem(folder_paths.filename_list_cache, key, raising=False)
            if key in paths:
                entry = ([str(paths[key])], {".onnx", ".safetensors"})
                monkeypatch.setitem(folder_paths.folder_names_and_paths, key, entry)

    return set_folders


def picture(reference, case):
    return torch.from_numpy(reference["tensors"][f"image_hwc_u8_{case}"])[None].float() / 255


@pytest.mark.parametrize("case", [0, 1, 2])
def test_tagger_node_golden_picture_gives_the_golden_text(reference, tagger_path, folders, case):
    folders(paintsundo=tagger_path.parent)
    wanted = reference["cases"][case]
    output = Tagger.execute(
        image=picture(reference, case),
        tagger="golden-tagger.onnx",
        threshold=wanted["threshold"],
        character_threshold=wanted["character_threshold"],
        exclude=wanted["exclude"],
    )
    assert output.result == ([wanted["text"]],)


def test_tagger_node_batch_gives_one_text_a_picture(reference, tagger_path, folders):
    folders(paintsundo=tagger_path.parent)
    wanted = {name: reference["cases"][1][name] for name in ("threshold", "character_threshold", "exclude")}
    wide = torch.nn.functional.pad(picture(reference, 0), (0, 0, 0, 0, 20, 20), value=1.0)
    tall = torch.nn.functional.pad(picture(reference, 1), (0, 0, 20, 20), value=1.0)
    (texts,) = Tagger.execute(
        image=torch.cat([wide, tall, wide]), tagger="golden-tagger.onnx", **wanted
    ).result
    tags = wd14.read_tags(tagger_path.with_suffix(".csv"))
    of_wide = wd14.tags_to_text(tags, reference["tensors"]["probs_0"], **wanted)
    of_tall = reference["cases"][1]["text"]
    assert of_wide != of_tall
    assert texts == [of_wide, of_tall, of_wide]


@pytest.mark.parametrize("name", ["threshold", "character_threshold"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.5, None, "0.3"])
def test_tagger_node_threshold_that_is_no_share_is_refused_by_its_name(tagger_path, folders, name, value):
    folders(paintsundo=tagger_path.parent)
    inputs = {"threshold": 0.35, "character_threshold": 0.85, "exclude": "", "tagger": "golden-tagger.onnx"}
    with pytest.raises(ValueError, match=f"^{name} is "):
        checked(Tagger).execute(image=torch.ones(1, 64, 64, 3), **{**inputs, name: value})


def test_tagger_node_lists_only_onnx_files_with_a_tag_list(tagger_path, folders, tmp_path_factory):
    other = tmp_path_factory.mktemp("onnx")
    (other / "pose.onnx").write_bytes(b"x")
    (other / "Another.onnx").write_bytes(b"x")
    (other / "Another.csv").write_text("name,category\n")
    (tagger_path.parent / "weights.safetensors").write_bytes(b"x")
    folders(paintsundo=tagger_path.parent, onnx=other)
    assert list_taggers() == ["Another.onnx", "golden-tagger.onnx"]
    assert node_file.find_tagger("Another.onnx") == other / "Another.onnx"


def test_tagger_node_in_a_sub_folder_is_found(tagger_path, folders):
    folders(paintsundo=tagger_path.parents[1])
    (name,) = list_taggers()
    assert node_file.find_tagger(name) == tagger_path


def test_tagger_node_nothing_installed_still_has_a_list_entry(tmp_path, folders):
    folders(paintsundo=tmp_path)
    combo = next(entry for entry in Tagger.define_schema().inputs if entry.id == "tagger")
    assert combo.options == [NONE_FOUND]


@pytest.mark.parametrize("name", [NONE_FOUND, "wd-v1-4-moat-tagger-v2.onnx", "../secret.onnx"])
def test_tagger_node_missing_file_names_folder_files_and_source(tmp_path, folders, name):
    folders(paintsundo=tmp_path)
    (tmp_path / "lonely.onnx").write_bytes(b"x")
    with pytest.raises(errors.CheckpointNotFoundError) as caught:
        node_file.find_tagger(name)
    message = str(caught.value)
    for part in (str(tmp_path), "wd-v1-4-moat-tagger-v2.csv", "lllyasviel/misc", "lonely.onnx"):
        assert part in message


def test_tagger_node_placeholder_with_a_tagger_installed_asks_to_choose(tagger_path, folders):
    folders(paintsundo=tagger_path.parent)
    with pytest.raises(errors.CheckpointNotFoundError, match="No tagger is chosen.*golden-tagger.onnx"):
        node_file.find_tagger(NONE_FOUND)


def validate(monkeypatch, tagger):
    monkeypatch.setitem(host_nodes.NODE_CLASS_MAPPINGS, "PaintsUndoTagger", Tagger)
    prompt = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0},
        },
        "2": {
            "class_type": "PaintsUndoTagger",
            "inputs": {
                "image": ["1", 0],
                "tagger": tagger,
                "threshold": 0.35,
                "character_threshold": 0.85,
                "exclude": "",
            },
        },
    }
    return asyncio.run(execution.validate_inputs("id", prompt, "2", {}))


def test_tagger_node_installed_tagger_passes_the_hosts_validation(tagger_path, folders, monkeypatch):
    folders(paintsundo=tagger_path.parent)
    is_valid, problems, _ = validate(monkeypatch, "golden-tagger.onnx")
    assert is_valid, problems


def test_tagger_node_missing_tagger_fails_the_hosts_validation_with_our_words(tmp_path, folders, monkeypatch):
    folders(paintsundo=tmp_path)
    is_valid, problems, _ = validate(monkeypatch, "gone.onnx")
    assert not is_valid
    assert "lllyasviel/misc" in str(problems)
