"""What paint.py decides before and after the run; the run itself needs a server."""

import argparse
import json
import os
import subprocess
import sys
import urllib.error
from importlib import util
from pathlib import Path
from types import SimpleNamespace

import pytest
from paintsundo_pack.nodes import NODES
from paintsundo_pack.paintsundo_models.video import files as video_files

from tools import destination, painter, painting, studio
from tools.command import CommandError
from tools.workflow import Workflow, WorkflowError

ROOT = Path(__file__).resolve().parents[2]
FORMATS = ["mp4 (h264)", "webm (vp9)", "webm (av1)", "gif", "png sequence"]


def combo(*options):
    return ["COMBO", {"options": list(options)}]


def object_info(single=(), multi=(), taggers=("(none found)",)):
    """The nodes that paint.py sets, with their widgets."""
    widgets = {
        painting.SINGLE_LOADER: {"checkpoint": combo(*single)},
        painting.MULTI_LOADER: {"checkpoint": combo(*multi)},
        painting.TAGGER: {"tagger": combo(*taggers)},
        painting.KEYFRAMES: {
            "prompt": ["STRING", {"default": ""}],
            "operation_steps": ["STRING", {"default": "400, 999"}],
            "seed": ["INT", {"default": 1, "control_after_generate": True}],
            "steps": ["INT", {"default": 50}],
        },
        painting.PAIRS: {"seed": ["INT", {"default": 123}]},
        painting.INTERPOLATE: {"prompt": ["STRING", {"default": "1girl"}], "steps": ["INT", {"default": 50}]},
        painting.VIDEO: {"hold_last": ["FLOAT", {"default": 0.0}], "format": combo(*FORMATS)},
    }
    return {name: {"display_name": name, "input": {"required": inputs}} for name, inputs in widgets.items()}


def options(**values):
    names = ("output", "seed", "steps", "operation_steps", "prompt", "segment_prompt", "hold", "format")
    names += ("fast", "pace", "duration", "variants")
    return argparse.Namespace(**{name: values.get(name) for name in names})


DEMO = painting.DEMO_NAME


@pytest.mark.parametrize(
    ("single", "multi", "expected"),
    [
        (["mine", DEMO], ["other", DEMO], (False, "mine", "other")),
        ([DEMO], [DEMO], (True, DEMO, DEMO)),
        # The models of two different pairs do not work together.
        (["mine", DEMO], [DEMO], (True, DEMO, DEMO)),
        (["mine"], ["other"], (False, "mine", "other")),
    ],
)
def test_pick_checkpoints_takes_the_best_pair(single, multi, expected):
    assert painting.pick_checkpoints(object_info(single, multi)) == painting.Checkpoints(*expected)


@pytest.mark.parametrize(("single", "multi"), [([], []), (["mine"], []), (["mine"], [DEMO])])
def test_pick_checkpoints_without_a_pair_says_what_is_missing(single, multi):
    with pytest.raises(CommandError, match=r"demo's files are missing.*README"):
        painting.pick_checkpoints(object_info(single, multi))


@pytest.mark.parametrize(
    ("is_demo", "fast", "steps", "wanted"),
    [
        (True, False, None, painting.DEMO_WORKFLOW),
        (True, True, None, painting.DEMO_WORKFLOW),
        (True, False, 50, painting.WORKFLOW),
        (True, True, 8, painting.FAST_WORKFLOW),
        (False, False, None, painting.WORKFLOW),
        (False, True, None, painting.FAST_WORKFLOW),
    ],
)
def test_demo_takes_its_own_few_steps_unless_steps_are_given(is_demo, fast, steps, wanted):
    given, checkpoints = (
        argparse.Namespace(fast=fast, steps=steps, pace=None),
        painting.Checkpoints(is_demo, "a", "b"),
    )
    assert painting.choose_workflow(given, checkpoints) == wanted
    given.pace = "equal"
    assert painting.choose_workflow(given, checkpoints) == painting.PACED_WORKFLOW
    assert painting.steps_workflow(given, checkpoints) == wanted


def workflow_after(given, info=None, tagger_mode=0):
    """The prompt's inputs by node type, after the command line's options."""
    info = info or object_info(["a"], ["b"], ["wd14.onnx"])
    nodes = [
        {
            "id": number,
            "type": name,
            "mode": tagger_mode if name == painting.TAGGER else 0,
            "inputs": [],
            "outputs": [{"links": [1] if "Tagger" in name else []}],
        }
        for number, name in enumerate(info, start=1)
    ]
    keyframes = next(node for node in nodes if node["type"] == painting.KEYFRAMES)
    keyframes["inputs"] = [{"name": "prompt", "type": "STRING", "link": 1, "widget": {"name": "prompt"}}]
    tagger = next(node for node in nodes if node["type"] == painting.TAGGER)
    links = [[1, tagger["id"], 0, keyframes["id"], 0, "STRING"]]
    workflow = Workflow({"nodes": nodes, "links": links}, info)
    painting.apply_options(workflow, given, painting.Checkpoints(False, "a", "b"))
    return {node["class_type"]: node["inputs"] for node in workflow.to_prompt().values()}


def test_apply_options_none_given_leaves_the_workflow_as_it_is():
    prompt = workflow_after(options())
    assert prompt[painting.KEYFRAMES] == {
        "prompt": ["3", 0],
        "operation_steps": "400, 999",
        "seed": 1,
        "steps": 50,
    }
    assert prompt[painting.SINGLE_LOADER] == {"checkpoint": "a"}
    assert prompt[painting.MULTI_LOADER] == {"checkpoint": "b"}
    assert prompt[painting.INTERPOLATE] == {"prompt": "1girl", "steps": 50}
    assert painting.TAGGER in prompt


def test_apply_options_an_installed_tagger_runs_though_the_workflow_bypasses_it():
    prompt = workflow_after(options(), tagger_mode=4)
    assert prompt[painting.KEYFRAMES]["prompt"] == ["3", 0]
    assert painting.TAGGER in prompt


def test_apply_options_all_given_reach_their_nodes():
    given = options(
        seed=7,
        steps=20,
        operation_steps="999",
        prompt="a cat",
        segment_prompt="a tree",
        hold=3.5,
        format="gif",
    )
    prompt = workflow_after(given)
    assert prompt[painting.KEYFRAMES] == {"prompt": "a cat", "operation_steps": "999", "seed": 7, "steps": 20}
    assert prompt[painting.PAIRS] == {"seed": 7}
    assert prompt[painting.INTERPOLATE] == {"prompt": "a tree", "steps": 20}
    assert prompt[painting.VIDEO] == {"hold_last": 3.5, "format": "gif"}
    assert painting.TAGGER not in prompt


@pytest.fixture(scope="module")
def paced():
    """The bundled paced workflow after the command line's options, as the prompt's inputs by node type; and its segments."""
    info = {name: {"input": {"required": {}}} for name in ("LoadImage", "JoinImageWithAlpha")}
    info |= {node.define_schema().node_id: node.GET_NODE_INFO_V1() for node in NODES}

    def after(**given):
        workflow = Workflow.load(ROOT / painting.PACED_WORKFLOW, info)
        chosen, checkpoints = options(**given), painting.Checkpoints(True, DEMO, DEMO)
        assert painting.choose_workflow(chosen, checkpoints) == painting.PACED_WORKFLOW
        painting.apply_options(workflow, chosen, checkpoints)
        prompt = {node["class_type"]: node["inputs"] for node in workflow.to_prompt().values()}
        return prompt, painting.planned_segments(workflow, chosen)

    return after


def test_pace_plans_the_steps_and_paces_the_video(paced):
    prompt, segments = paced(pace="ease", duration=15.0, hold=1.0, prompt="a cat")
    video, plan = prompt[painting.VIDEO], prompt[painting.PLAN]
    assert (video["pace"], video["duration"], video["fps"], video["hold_last"]) == ("ease", 15, 24, 1)
    assert (plan["spacing"], plan["prompt"]) == ("equal change", "a cat")
    assert prompt[painting.KEYFRAMES]["operation_steps"] == ["12", 0]
    assert segments == plan["count"] + 1 == 7
    assert paced(pace="equal")[0][painting.VIDEO]["pace"] == "equal change"


def test_operation_steps_take_the_place_of_the_plan(paced):
    prompt, segments = paced(pace="equal", operation_steps="300, 999")
    assert painting.PLAN not in prompt
    assert prompt[painting.KEYFRAMES]["operation_steps"] == "300, 999"
    assert segments == 3


def test_apply_options_without_a_tagger_leaves_it_out(capsys):
    prompt = workflow_after(options(), object_info(["a"], ["b"]))
    assert painting.TAGGER not in prompt
    assert prompt[painting.KEYFRAMES]["prompt"] == ""
    assert "--prompt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"format": "webm"}, "webm (vp9)"),
        ({"format": "PNG sequence"}, "png sequence"),
        ({"output": Path("a.gif")}, "gif"),
        ({"output": Path("a.webm")}, "webm (vp9)"),
        ({"output": Path("a.mp4")}, "mp4 (h264)"),
        ({"output": Path("a.gif"), "format": "mp4"}, "mp4 (h264)"),
    ],
)
def test_apply_options_format_by_name_or_by_the_output_s_ending(given, expected):
    assert workflow_after(options(**given))[painting.VIDEO]["format"] == expected


def test_apply_options_unknown_format_lists_those_there_are():
    with pytest.raises(WorkflowError, match="png sequence"):
        workflow_after(options(format="avi"))


def test_upload_name_is_plain_and_of_one_content():
    names = [painting.upload_name(Path('a b"ü.tar.png'), data) for data in (b"1", b"2")]
    assert names == ["a_b_tar_6b86b273.png", "a_b_tar_d4735e3a.png"]


def test_unused_path_counts_on(tmp_path):
    first = tmp_path / "cat.mp4"
    assert destination.unused_path(first) == first
    first.touch()
    (tmp_path / "cat-2.mp4").touch()
    assert destination.unused_path(first) == tmp_path / "cat-3.mp4"


@pytest.mark.parametrize(
    ("text", "count"), [("400, 999", 3), ("400 600;999", 4), ("400，600，", 3), ("999, 400, 400", 3)]
)
def test_segment_count_reads_the_steps_as_the_node_does(text, count, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))  # as paint.py does
    assert painting.segment_count(text) == count
    with pytest.raises(WorkflowError, match="no operation step"):
        painting.segment_count("400, x")


@pytest.mark.parametrize(
    ("output", "video_format", "name", "said"),
    [
        ("a.mp4", "mp4 (h264)", "a.mp4", ""),
        ("a.WEBM", "webm (vp9)", "a.webm", ""),
        ("a", "mp4 (h264)", "a.mp4", ""),
        ("a.avi", "mp4 (h264)", "a.mp4", "a.avi: the result is a .mp4 file"),
        ("a.mp4", "gif", "a.gif", 'a .gif file ("gif"; see --format)'),
        ("a.mp4", "png sequence", "a", "a folder of PNG files"),
        (
            "old.mp4",
            "mp4 (h264)",
            "old-2.mp4",
            "exists already and stays as it is; the result will be old-2.mp4",
        ),
    ],
)
def test_result_path_says_where_it_is_not_the_one_asked_for(
    tmp_path, capsys, output, video_format, name, said
):
    (tmp_path / "old.mp4").touch()
    path = destination.result_path(options(output=tmp_path / output), tmp_path, video_format)
    assert path == tmp_path / name
    shown = capsys.readouterr().out
    assert (said in shown) if said else not shown


def test_result_path_endings_are_those_of_the_node_s_files(tmp_path):
    for name, spec in video_files.VIDEO_FORMATS.items():
        assert (
            destination.result_path(options(output=tmp_path / "a"), tmp_path, name).suffix == spec.extension
        )


def test_download_leaves_alone_what_came_up_during_the_run(tmp_path):
    (tmp_path / "a.mp4").write_text("somebody's")
    server = SimpleNamespace(client=SimpleNamespace(download=lambda result, target: target))
    assert painter._download(server, [{"filename": "x.mp4"}], tmp_path / "a.mp4", tmp_path) == [
        tmp_path / "a-2.mp4"
    ]
    pictures = [{"filename": f"{i}.png"} for i in (1, 2)]
    assert painter._download(server, pictures, tmp_path / "b", tmp_path) == [
        tmp_path / "b" / f"{i}.png" for i in (1, 2)
    ]


@pytest.mark.parametrize(("given", "seconds"), [([], 2), (["--hold", "0"], 0), (["--hold", "3.5"], 3.5)])
def test_paint_holds_the_finished_picture_two_seconds_unless_told(given, seconds, tmp_path, monkeypatch):
    (tmp_path / "a.png").touch()
    monkeypatch.setattr(sys, "path", [*sys.path])  # the script puts the clone there
    spec = util.spec_from_file_location("paint", ROOT / "paint.py")
    paint = util.module_from_spec(spec)
    spec.loader.exec_module(paint)
    assert paint.arguments([str(tmp_path / "a.png"), *given]).hold == seconds


def run_paint(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(ROOT / "paint.py"), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "give one of PICTURE, --serve, --what-is FILE and --download"),
        (["--serve", "x.png"], "give one of PICTURE"),
        (["--what-is", "x.mp4", "x.png"], "give one of PICTURE"),
        (["no such.png"], "no file or folder no such.png"),
        (["a.png", "b.png"], "no file or folder a.png"),
        (["--serve", "--port", "0"], "'0' is no port"),
        (["a.png", "--no-such"], "unrecognized arguments: --no-such"),
        (["a.png", ""], "PICTURE: it is empty"),
        (["a.png", "--output", ""], "--output: it is empty"),
        (["a.png", "--format", " "], "--format: it is empty"),
        (["a.png", "--cluster", ""], "--cluster: it is empty"),
        (["--what-is", ""], "--what-is: it is empty"),
        (["x.png", "--hold", "-1"], "'-1' is no number of seconds from 0 to 60"),
        (["x.png", "--duration", "0"], "'0' is no number of seconds up to 600"),
        (["x.png", "--pace", "fast"], "invalid choice: 'fast'"),
        (["x.png", "--hold", "long"], "'long' is no number of seconds from 0 to 60"),
    ],
)
def test_paint_wrong_command_line_ends_at_once_with_the_reason(arguments, text):
    result = run_paint(*arguments)
    assert result.returncode == 2
    assert text in result.stderr


def test_paint_wrong_comfyui_path_ends_with_the_reason(tmp_path):
    (tmp_path / "a.png").touch()
    result = run_paint(tmp_path / "a.png", COMFYUI_PATH=str(tmp_path))
    assert result.returncode == 1
    assert "COMFYUI_PATH" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["--steps", "0"], "--steps is 0. It can be 1 to 1000."),
        (["--operation-steps", "x"], "is no operation step"),
        (["--output", "a.png/x.mp4"], "Nothing can be written in"),
        (["b.png", "--output", "x.mp4"], "Of several pictures it is a folder"),
        (["--cluster", "auto", "--output", "x.mp4"], "Of several pictures it is a folder"),
    ],
)
def test_paint_what_needs_no_comfyui_is_checked_before_one_is_looked_for_or_made(tmp_path, given, text):
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    given = [str(tmp_path / word) if ".png" in word else word for word in given]
    result = run_paint(tmp_path / "a.png", *given, COMFYUI_PATH=str(tmp_path / "nowhere"))
    assert result.returncode == 1
    assert text in result.stderr
    assert "COMFYUI_PATH" not in result.stderr


def test_paint_file_that_is_no_picture_ends_with_the_reason(tmp_path):
    (tmp_path / "words.png").write_text("not a picture")
    result = run_paint(tmp_path / "words.png", COMFYUI_PYTHON=sys.executable)
    assert result.returncode == 1
    assert "cannot be read as a picture" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("kind", [ConnectionError, urllib.error.URLError, PermissionError])
def test_server_errors_become_host_errors(kind):
    """The server went away, in a message or between two; the result cannot be written."""
    with pytest.raises(CommandError, match="gone"), studio.server_errors():
        raise kind("gone")


def test_default_workflow_has_one_of_each_node_that_is_set():
    graph = json.loads((ROOT / painting.WORKFLOW).read_text(encoding="utf-8"))
    types = [node["type"] for node in graph["nodes"]]
    wanted = ["LoadImage", *object_info()]
    assert [types.count(name) for name in wanted] == [1] * len(wanted)


def test_what_is_reads_any_file_without_a_comfyui(tmp_path):
    (tmp_path / "notes.txt").write_text("AI-simulated", encoding="utf-8")
    nowhere = {"COMFYUI_PATH": str(tmp_path / "nowhere")}
    result = run_paint("--what-is", tmp_path / "notes.txt", **nowhere)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("notes.txt: no statement found.")
    result = run_paint("--what-is", tmp_path / "nothing.mp4", **nowhere)
    assert result.returncode == 1
    assert result.stderr.strip() == f"There is no file {tmp_path / 'nothing.mp4'}."
