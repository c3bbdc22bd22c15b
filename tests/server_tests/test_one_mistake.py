"""One mistake in a prompt gives one error in a sentence, at the input that is wrong, before anything is computed."""

import json
import urllib.error

import pytest

from tools.comfy_client import ExecutionError, PromptError

SINGLE, MULTI = "seeded_single_frame", "seeded_multi_frame"
SAMPLING = {"seed": 1, "steps": 2, "cfg": 3.0, "sampler_name": "euler", "scheduler": "karras"}
SIZE = {"width": 64, "height": 64}
TEXTS = {"prompt": "a", "negative_prompt": "b"}
SINGLE_OBJECTS = {
    "model": ["single", 0],
    "clip": ["single", 1],
    "vae": ["single", 2],
    "image": ["picture", 0],
}
NODES = {
    "picture": ("EmptyImage", {"width": 64, "height": 64, "batch_size": 1, "color": 200}),
    "seen": ("PreviewImage", {"images": ["picture", 0]}),
    "single": ("PaintsUndoSingleFrameLoader", {"checkpoint": SINGLE, "weight_dtype": "fp32"}),
    "multi": ("PaintsUndoMultiFrameLoader", {"checkpoint": MULTI, "weight_dtype": "fp32"}),
    "plan": ("PaintsUndoPlanSteps", {"count": 2, "spacing": "original list", "sketch_share": 0.0}),
    "one": (
        "PaintsUndoPredictKeyframe",
        {**SINGLE_OBJECTS, "operation_step": 500, **TEXTS, **SIZE, **SAMPLING},
    ),
    "keyframes": (
        "PaintsUndoPredictKeyframes",
        {**SINGLE_OBJECTS, "operation_steps": "400, 900", **TEXTS, **SIZE, **SAMPLING},
    ),
    "conditioning": (
        "PaintsUndoKeyframeConditioning",
        {
            "positive": ["text", 0],
            "negative": ["text", 0],
            "vae": ["single", 2],
            "image": ["picture", 0],
            "operation_steps": "400, 900",
            **SIZE,
        },
    ),
    "text": ("CLIPTextEncode", {"clip": ["single", 1], "text": "a"}),
    "decoded": ("VAEDecode", {"samples": ["conditioning", 2], "vae": ["single", 2]}),
    "decoded_seen": ("PreviewImage", {"images": ["decoded", 0]}),
    "merged": (
        "PaintsUndoMergeKeyframes",
        {
            "keyframes": ["keyframes", 0],
            "operation_steps": ["keyframes", 1],
            "own_keyframes": ["picture", 0],
            "own_operation_steps": "800",
        },
    ),
    "arranged": (
        "PaintsUndoArrangeKeyframes",
        {
            "finished": ["picture", 0],
            "keyframes": ["merged", 0],
            "include_finished": True,
            "include_canvas": True,
        },
    ),
    "pairs": (
        "PaintsUndoKeyframePairs",
        {"keyframes": ["arranged", 0], "seed": 1, "seeds": "", "prompts": "", "steps": ""},
    ),
    "windowed": ("PaintsUndoTemporalWindow", {"model": ["multi", 0], "window": "prv"}),
    "segment": (
        "PaintsUndoInterpolate",
        {
            "model": ["windowed", 0],
            "clip": ["multi", 1],
            "vae": ["multi", 2],
            "clip_vision": ["multi", 3],
            "start_image": ["pairs", 0],
            "end_image": ["pairs", 1],
            **TEXTS,
            **SAMPLING,
            "fs": 3,
            "resolution": "size of the pictures",
            "fit": "crop",
            "match_colours": False,
            "reuse": False,
        },
    ),
    "video": (
        "PaintsUndoAssembleVideo",
        {
            "frames": ["segment", 0],
            "keyframes": ["pairs", 5],
            "finished": ["picture", 0],
            "fps": 8.0,
            "order": "painting",
            "trim": "shared ends once",
            "hold_first": 0.0,
            "hold_last": 1.0,
            "format": "mp4 (h264)",
            "quality": 50,
            "filename_prefix": "one_mistake",
            "exact_ends": True,
            "size": "as the segments",
            "longest_side": 64,
            "duration": 0.0,
            "pace": "as made",
            "loop": "once",
            "end_card": "off",
            "cover": False,
            "paper": "off",
        },
    ),
    "sheet": (
        "PaintsUndoStageSheet",
        {
            "images": ["keyframes", 0],
            "labels": "",
            "operation_steps": "",
            "fps": 0.0,
            "most": 12,
            "columns": 0,
            "title": "",
            "size": "as the pictures",
            "order": "as given",
        },
    ),
    "sheet_seen": ("PreviewImage", {"images": ["sheet", 0]}),
    "save": (
        "PaintsUndoSaveCheckpoint",
        {"checkpoint": SINGLE, "weight_dtype": "fp16", "filename": "one_mistake"},
    ),
    "tags": (
        "PaintsUndoTagger",
        {
            "image": ["picture", 0],
            "tagger": "wd-v1-4-moat-tagger-v2.onnx",
            "threshold": 0.3,
            "character_threshold": 0.8,
            "exclude": "",
        },
    ),
    "tags_shown": ("PreviewAny", {"source": ["tags", 0]}),
    "download": ("PaintsUndoDownload", {"what": "tagger", "revision": ""}),
}
VIDEO = ("video",)


def reached(outputs):
    """The part of NODES that these output nodes need, in API format."""
    wanted = list(outputs)
    for name in wanted:
        wanted += [
            link[0] for link in NODES[name][1].values() if isinstance(link, list) and link[0] not in wanted
        ]
    return {name: {"class_type": NODES[name][0], "inputs": dict(NODES[name][1])} for name in wanted}


def refusal(server, outputs, node, wrong):
    """Post the prompt with wrong inputs of one node; return its errors, of which no other node may have any."""
    prompt = reached(outputs)
    for name, value in wrong.items():
        prompt[node]["inputs"].pop(name, None) if value is ... else prompt[node]["inputs"].update(
            {name: value}
        )
    # Nodes that show pictures on the way are outputs too, and would run if they were good.
    body = {"prompt": prompt, "partial_execution_targets": list(outputs)}
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.client.post("/prompt", json.dumps(body).encode())
    answer = json.loads(refused.value.read())
    assert list(answer["node_errors"]) == [node]
    return answer["node_errors"][node]["errors"]


AT_INPUT = [
    (VIDEO, "single", {"checkpoint": "gone"}, "There is no single-frame checkpoint 'gone'"),
    (VIDEO, "single", {"weight_dtype": "fp8"}, "Choose one of these: default, fp32"),
    (VIDEO, "multi", {"checkpoint": SINGLE}, "There is no multi-frame checkpoint"),
    (VIDEO, "keyframes", {"operation_steps": "400, abc"}, "'abc' is no operation step"),
    (VIDEO, "keyframes", {"sampler_name": "res_2s"}, "not in the list. Choose one of these: euler, "),
    (VIDEO, "keyframes", {"scheduler": "beta57"}, "not in the list. Choose one of these: "),
    (VIDEO, "keyframes", {"width": 4096}, ""),
    (("one",), "one", {"sampler_name": "res_2s"}, "Choose one of these: euler, "),
    (("decoded_seen",), "conditioning", {"operation_steps": ""}, "No operation step is given"),
    (VIDEO, "merged", {"own_operation_steps": "1200"}, "'1200' is no operation step"),
    (VIDEO, "merged", {"own_operation_steps": "800 800"}, "Two pictures of own_keyframes have"),
    (VIDEO, "segment", {"sampler_name": "res_2s"}, "Choose one of these: paintsundo_ddim, "),
    (VIDEO, "segment", {"scheduler": "beta57"}, "Choose one of these: trailing, "),
    (VIDEO, "segment", {"resolution": "384x449"}, "Choose one of these: nearest trained size"),
    (VIDEO, "segment", {"fit": "stretch"}, "Choose one of these: crop, whole"),
    (VIDEO, "windowed", {"window": "next"}, "Choose one of these: prv, first, roll"),
    (VIDEO, "video", {"filename_prefix": "a:b"}, "has :, which Windows allows in no file name"),
    (VIDEO, "video", {"filename_prefix": "漢" * 90}, "a name of 270 bytes"),
    (VIDEO, "video", {"filename_prefix": "../x"}, "leads out of ComfyUI's output folder"),
    (VIDEO, "video", {"format": "avi"}, 'Unknown format "avi"'),
    (VIDEO, "video", {"order": "sideways"}, "Choose one of these: painting, undo"),
    (VIDEO, "video", {"trim": "all"}, "Choose one of these: shared ends once"),
    (VIDEO, "video", {"loop": "for ever"}, "Choose one of these: once, ping-pong, rewind"),
    (VIDEO, "video", {"pace": "slow"}, "Choose one of these: as made"),
    (VIDEO, "video", {"paper": "A4"}, "Choose one of these: off"),
    (VIDEO, "video", {"fps": 1000.0}, ""),
    (VIDEO, "video", {"hold_last": 61.0}, ""),
    (("one",), "one", {"model": ...}, ""),
    (("save",), "save", {"checkpoint": "gone"}, "There is no single-frame checkpoint 'gone'"),
    (("save",), "save", {"filename": "a:b"}, "has :, which Windows allows in no file name"),
    (("save",), "save", {"filename": "../a"}, "is no file name inside"),
    (("tags_shown",), "tags", {"tagger": "gone.onnx"}, 'The tagger "gone.onnx" is not installed'),
    (("download",), "download", {"what": "everything"}, "Choose one of these: "),
    (("download",), "download", {"revision": "the newest"}, "No branch, tag or commit can have the name"),
]


@pytest.mark.parametrize(
    ("outputs", "node", "wrong", "said"), AT_INPUT, ids=lambda v: v if isinstance(v, str) else None
)
@pytest.mark.usefixtures("installed_tagger")
def test_mistake_is_one_error_at_its_own_input(server, outputs, node, wrong, said):
    (error,) = refusal(server, outputs, node, wrong)
    assert [error["extra_info"]["input_name"]] == list(wrong)
    assert said in error["details"]
    assert "(list of length" not in error["details"]


AT_NODE = [
    (VIDEO, "pairs", {"seeds": "1, x"}, "'x' in seeds is no whole number"),
    (VIDEO, "pairs", {"steps": "0"}, "'0' in steps is no whole number from 1 to 1000"),
    (VIDEO, "pairs", {"seeds": "1, 2", "steps": "5"}, "seeds has 2, steps has 1"),
    (("sheet_seen",), "sheet", {"operation_steps": "400, x"}, "'x' is no operation step"),
]


@pytest.mark.parametrize(
    ("outputs", "node", "wrong", "said"), AT_NODE, ids=lambda v: v if isinstance(v, str) else None
)
def test_mistake_in_texts_that_are_read_together_is_one_error_at_its_node(server, outputs, node, wrong, said):
    (error,) = refusal(server, outputs, node, wrong)
    assert said in error["details"]


AT_START = [
    ("keyframes", {"width": 100}, "width must be a multiple of 64"),
    ("keyframes", {"height": ["side", 0]}, "height must be a multiple of 64"),
    ("video", {"fps": 60.0, "format": "gif"}, "A GIF plays at most 50 frames a second"),
    ("video", {"duration": 5.0, "hold_last": 5.0}, "Raise duration, or lower the holds"),
    ("video", {"filename_prefix": ["prefix", 0]}, "has :, which Windows allows in no file name"),
    ("video", {"fps": float("nan")}, "fps is nan; it has to be a finite number"),
]
SOURCES = {
    "side": {"class_type": "PrimitiveInt", "inputs": {"value": 100}},
    "prefix": {"class_type": "PrimitiveString", "inputs": {"value": "a:b"}},
}


@pytest.mark.parametrize(("node", "wrong", "said"), AT_START, ids=lambda v: v if isinstance(v, str) else None)
def test_widgets_that_do_not_fit_and_linked_ones_fail_before_a_model_is_loaded(server, node, wrong, said):
    prompt = reached(VIDEO)
    links = [value[0] for value in wrong.values() if isinstance(value, list)]
    prompt.update({name: SOURCES[name] for name in links})
    prompt[node]["inputs"].update(wrong)
    ran = []
    with pytest.raises(ExecutionError, match=said) as error:
        server.client.run(
            prompt, on_event=lambda kind, data: ran.append(data.get("node")) if kind == "executing" else None
        )
    assert error.value.node_id == node
    assert not {"single", "multi"} & set(ran)


def test_commands_run_no_part_of_a_prompt_that_has_a_mistake(server):
    """ComfyUI would run the other outputs, and a command would wait for a result that cannot come."""
    prompt = reached(("video", "seen"))
    prompt["video"]["inputs"]["filename_prefix"] = "a:b"
    # A prompt before it, so that the good part cannot have begun when it is taken back.
    first = server.client.queue(reached(("sheet_seen",)))
    with pytest.raises(PromptError, match="A part of it cannot run") as refused:
        server.client.queue(prompt)
    assert "has :, which Windows allows in no file name" in refused.value.reasons[0]
    queue = json.loads(server.client.get("/queue"))
    waiting = {entry[1] for name in ("queue_running", "queue_pending") for entry in queue[name]}
    assert waiting <= {first}
    server.client.run(reached(("seen",)))  # ends after the first
    assert server.client.history(first)["status"]["status_str"] == "success"


def test_without_a_mistake_the_prompt_runs(server):
    outputs = server.client.run(reached(VIDEO))
    assert outputs["video"]["images"]
