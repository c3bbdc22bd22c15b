"""Checkpoints that cannot be loaded: found from their headers before anything runs, and listed last."""

import builtins
import json
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch
from paintsundo_pack.paintsundo_models.checkpoints import headers
from paintsundo_pack.paintsundo_models.checkpoints.files import save_single_file
from paintsundo_pack.paintsundo_models.checkpoints.finding import find_checkpoints, trouble_with
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME
from safetensors.torch import save_file

LFS_POINTER = Path(__file__).parents[1] / "data" / "cases" / "git_lfs_pointer.safetensors"


@pytest.fixture
def folder(copy_of):
    return copy_of(SINGLE_FRAME)


def cut(file, share):
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[: int(len(content) * share)])


def replace(file, content):
    file.unlink()
    file.write_bytes(content)


def shards(folder, count, is_index):
    """Replace the unet by `count` shards of which the last is missing."""
    tensors, file = folder.tensors("unet"), folder.file("unet")
    file.unlink()
    names = sorted(tensors)
    files = [f"model-{n + 1:05}-of-{count:05}.safetensors" for n in range(count)]
    if is_index:
        files = [f"shard {n}.safetensors" for n in range(count)]
        index = {"weight_map": {name: files[i % count] for i, name in enumerate(names)}}
        (file.parent / "model.safetensors.index.json").write_text(json.dumps(index))
    for n in range(count - 1):
        save_file({name: tensors[name] for name in names[n :: count - 1]}, file.parent / files[n])


BROKEN = {
    "vae missing": lambda f: shutil.rmtree(f.path / "vae"),
    "vae, text_encoder missing": lambda f: [shutil.rmtree(f.path / p) for p in ("vae", "text_encoder")],
    "shard 2 of 2 missing": lambda f: shards(f, 2, is_index=False),
    "shard 3 of 3 missing (shard 2.safetensors)": lambda f: shards(f, 3, is_index=True),
    " MB are there": lambda f: cut(f.file("vae"), 0.6),
    "not even its header": lambda f: cut(f.file("vae"), 0.001),
    "Git LFS pointer": lambda f: replace(f.file("vae"), LFS_POINTER.read_bytes()),
    "web page": lambda f: replace(f.file("unet"), b"\n<!DOCTYPE html><html><body>Log in"),
    "is empty": lambda f: replace(f.file("text_encoder"), b""),
    "not written yet": lambda f: replace(f.file("unet"), bytes(5000)),
    "is damaged": lambda f: replace(f.file("unet"), f.file("unet").read_bytes() + b"x"),
    "no safetensors file": lambda f: replace(f.file("unet"), b"\x80\x02}q\x00" * 9),
}


@pytest.mark.parametrize("said", BROKEN)
def test_what_is_wrong_is_said_from_headers(folder, said):
    assert trouble_with(folder.path, SINGLE_FRAME) is None
    BROKEN[said](folder)
    headers._read_header.cache_clear()
    trouble = trouble_with(folder.path, SINGLE_FRAME)
    assert said in trouble
    (found,) = find_checkpoints([str(folder.path.parent)], SINGLE_FRAME).values()
    assert found.trouble == trouble


def test_single_file_without_a_part_is_incomplete(checkpoints, tmp_path):
    whole = checkpoints[MULTI_FRAME]
    save_single_file(whole, tmp_path / "a.safetensors")
    assert trouble_with(tmp_path / "a.safetensors", MULTI_FRAME) is None
    save_file(
        {f"unet.{n}": t.contiguous() for n, t in whole.parts["unet"].items()}, tmp_path / "b.safetensors"
    )
    assert trouble_with(tmp_path / "b.safetensors", MULTI_FRAME).startswith(
        "vae, text_encoder, image_encoder, image_projection missing. Put this file"
    )


def test_truncated_file_of_another_model_is_not_listed(tmp_path):
    save_file({"model.diffusion_model.out.2.bias": torch.ones(1000)}, tmp_path / "sd.safetensors")
    cut(tmp_path / "sd.safetensors", 0.5)
    assert find_checkpoints([str(tmp_path)], SINGLE_FRAME) == {}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes of that kind")
def test_pipes_and_loops_never_block_a_list(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    os.symlink("/dev/zero", tmp_path / "device.safetensors")
    os.symlink(tmp_path / "loop.safetensors", tmp_path / "loop.safetensors")
    found = {}
    worker = threading.Thread(
        target=lambda: found.update(find_checkpoints([str(tmp_path)], SINGLE_FRAME)), daemon=True
    )
    worker.start()
    worker.join(20)
    assert sorted(found) == ["device.safetensors", "loop.safetensors", "pipe.safetensors"]
    assert all(entry.trouble for entry in found.values())


@pytest.mark.skipif(os.name == "nt", reason="paths are limited there when they are made")
def test_path_that_the_system_refuses_never_breaks_a_list(tmp_path, monkeypatch):
    """A folder that may not be entered gives such errors too, but not to root."""
    put = tmp_path / "good.safetensors"
    save_file({"other": torch.ones(1)}, put)
    cut(put, 0.5)
    deep, name = tmp_path, "a" * 200
    monkeypatch.chdir(tmp_path)
    while len(str(deep)) + 1 + len(name) < 4090:
        deep = deep / name
        os.mkdir(name)
        os.chdir(name)
    with open("x" * 220 + ".safetensors", "wb"):  # noqa: PTH123  its whole path is longer than the system allows
        pass
    with pytest.raises(OSError, match="too long"):
        (deep / ("x" * 220 + ".safetensors")).is_dir()
    found = find_checkpoints([str(tmp_path)], SINGLE_FRAME)
    assert sorted(map(len, found))[0] == len("good.safetensors")
    assert len(found) == 2


def test_headers_are_read_once_until_a_file_changes(tmp_path, monkeypatch):
    for number in range(20):
        save_file({"other": torch.ones(1)}, tmp_path / f"{number}.safetensors")
    opened = []
    monkeypatch.setattr(
        headers,
        "open",
        lambda file, *more: opened.append(file) or builtins.open(file, *more),  # noqa: SIM115
        raising=False,
    )
    find_checkpoints([str(tmp_path)], SINGLE_FRAME)
    find_checkpoints([str(tmp_path)], MULTI_FRAME)
    assert len(opened) == 20
    os.utime(tmp_path / "7.safetensors", ns=(0, 0))
    find_checkpoints([str(tmp_path)], SINGLE_FRAME)
    assert opened[20:] == [str(tmp_path / "7.safetensors")]
