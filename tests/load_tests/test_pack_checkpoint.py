"""The command that writes a single file: run as people run it, in a Python that has torch and safetensors and no ComfyUI."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from paintsundo_pack.paintsundo_models.checkpoints.files import read_checkpoint, read_tensors
from paintsundo_pack.paintsundo_models.checkpoints.parts import MULTI_FRAME, SINGLE_FRAME

COMMAND = Path(__file__).resolve().parents[2] / "tools" / "pack_checkpoint.py"
# Run the command several times in one process, and print the results.
MANY = """
import contextlib, io, json, runpy, sys
main = runpy.run_path(sys.argv[1])["main"]
for arguments in json.loads(sys.argv[2]):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            code = main(arguments)
        except SystemExit as exit:
            code = exit.code
    host = [name for name in sys.modules if name.split(".")[0] in ("comfy", "folder_paths", "comfy_api")]
    print(json.dumps([code, out.getvalue(), err.getvalue(), host]))
"""


def run(*arguments, **options):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COMFYUI_PATH")
    }
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment,
        **options,
    )


def test_folder_becomes_a_single_file(seeded_checkpoints, tmp_path):
    target = tmp_path / "new folder" / "multi.safetensors"
    done = run(COMMAND, seeded_checkpoints["multi_frame"], target, "--dtype", "fp8_e4m3fn", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(target) in done.stdout
    assert "multi-frame" in done.stdout
    assert f"{target.stat().st_size / 1e9:.2f} GB" in done.stdout
    written = read_checkpoint(target, MULTI_FRAME)
    assert written.parts["unet"]["out.2.weight"].dtype == torch.float8_e4m3fn
    assert written.parts["vae"]["decoder.conv_in.weight"].dtype == torch.float16


@pytest.fixture(scope="module")
def many(seeded_checkpoints, tmp_path_factory):
    """What the command gave: {case: (exit code, output, errors, host's modules)}; and its folder."""
    folder = tmp_path_factory.mktemp("many")
    single = seeded_checkpoints["single_frame"]
    (folder / "there.safetensors").write_bytes(b"mine")
    (folder / "broken.safetensors").write_bytes(b"half a download")
    (folder / "empty").mkdir()
    cases = {
        "default": [single, folder / "a.safetensors"],
        "from a single file": [folder / "a.safetensors", folder / "b.safetensors", "--dtype", "bf16"],
        "kept": [single, folder / "c.safetensors", "--dtype", "keep"],
        "there already": [single, folder / "there.safetensors"],
        "other ending": [single, folder / "a.ckpt"],
        "nothing there": [folder / "none", folder / "d.safetensors"],
        "broken": [folder / "broken.safetensors", folder / "d.safetensors"],
        "no checkpoint": [folder / "empty", folder / "d.safetensors"],
        "target in a file": [single, folder / "there.safetensors" / "d.safetensors"],
        "unknown type": [single, folder / "d.safetensors", "--dtype", "int4"],
        "no arguments": [],
        "help": ["--help"],
    }
    done = run("-c", MANY, COMMAND, json.dumps([[str(a) for a in case] for case in cases.values()]))
    assert done.returncode == 0, done.stderr
    return dict(zip(cases, map(json.loads, done.stdout.splitlines()), strict=True)), folder


def test_written_types_are_those_asked_for(many):
    results, folder = many
    for case, name, dtype in [
        ("default", "a", torch.float16),
        ("from a single file", "b", torch.bfloat16),
        ("kept", "c", torch.float32),
    ]:
        code, output, errors, host = results[case]
        assert (code, errors, host) == (0, "", [])
        assert "single-frame" in output
        tensors = read_tensors(folder / f"{name}.safetensors")
        assert {tensor.dtype for tensor in tensors.values()} == {dtype}
    assert read_checkpoint(folder / "b.safetensors", SINGLE_FRAME).configs["unet"]["in_channels"] == 4


@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        ("there already", 1, ["there.safetensors exists already", "another name"]),
        ("other ending", 1, ["a.ckpt does not end in .safetensors"]),
        ("nothing there", 1, ["There is no checkpoint at", "none", "https://"]),
        ("broken", 1, ["broken.safetensors (15 bytes) cannot be read"]),
        ("no checkpoint", 1, ["is no Paints-UNDO checkpoint"]),
        ("target in a file", 1, ["there.safetensors"]),
        ("unknown type", 2, ["int4", "fp16", "usage"]),
        ("no arguments", 2, ["source", "usage"]),
    ],
)
def test_errors_are_said_in_words_with_an_exit_code(many, case, code, words):
    results, folder = many
    found, output, errors, _ = results[case]
    assert found == code
    assert output == ""
    assert all(word in errors for word in words)
    assert "Traceback" not in errors
    assert (folder / "there.safetensors").read_bytes() == b"mine"
    assert not list(folder.glob("*.unfinished"))
    assert not (folder / "d.safetensors").exists()


def test_help_explains_the_arguments(many):
    code, output, _, _ = many[0]["help"]
    assert code == 0
    assert "Write a checkpoint folder as one .safetensors file" in " ".join(output.split())
    assert all(word in output for word in ("source", "target", "--dtype", "fp8_e4m3fn"))


@pytest.mark.skipif(sys.platform == "win32", reason="the limit that stands in for a full disk is POSIX's")
def test_full_disk_leaves_no_half_written_file(seeded_checkpoints, tmp_path):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    target = tmp_path / "model.safetensors"
    done = run(COMMAND, seeded_checkpoints["single_frame"], target, preexec_fn=limit)
    assert done.returncode == 1
    assert str(target) in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
