"""Bad input to every input of every node, through the server: made from the types that the nodes declare."""

import json
import re
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.comfy_client import Json, Prompt, PromptError
from tools.workflow import widgets_of

from .bench import MULTI, SIDE, SINGLE, Bench, error_of
from .report import Report
from .strange_values import OF_TYPE

SECONDS = 60  # a prompt here has one or two sampling steps; one that takes longer hangs
NOT_RUN = {
    "PaintsUndoDownload",
    "PaintsUndoTagger",
}  # need the hub, or a tagger; only what is refused at once is tried
USES_SINGLE = {
    "PaintsUndoPredictKeyframe",
    "PaintsUndoPredictKeyframes",
    "PaintsUndoKeyframeConditioning",
    "PaintsUndoPlanSteps",
}
STEPS_OF_BATCH = "300, 600, 999"
BATCHES = {"frames", "keyframes", "images"}
NAMES = {"filename", "filename_prefix"}
SMALL: Json = {
    "width": SIDE,
    "height": SIDE,
    "steps": 1,
    "cfg": 1.0,
    "sampler_name": "euler",
    "scheduler": "normal",
    "resolution": "size of the pictures",
    "longest_side": SIDE,
    "operation_step": 600,
    "reuse": False,
}
SOURCES: Prompt = {
    "picture": {"class_type": "LoadImage", "inputs": {"image": "picture.png"}},
    "batch": {"class_type": "RepeatImageBatch", "inputs": {"image": ["picture", 0], "amount": 3}},
    "single": {
        "class_type": "PaintsUndoSingleFrameLoader",
        "inputs": {"checkpoint": SINGLE, "weight_dtype": "default"},
    },
    "multi": {
        "class_type": "PaintsUndoMultiFrameLoader",
        "inputs": {"checkpoint": MULTI, "weight_dtype": "default"},
    },
    "single text": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["single", 1], "text": "a"}},
    "multi text": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["multi", 1], "text": "a"}},
}
OUTPUT_OF_LOADER = {"MODEL": 0, "CLIP": 1, "VAE": 2, "CLIP_VISION": 3}
HOST_SAYS = re.compile(
    r"failed: |Required input is missing|Bad linked input|Return type mismatch|Failed to convert an input value"
    r"|smaller than min|bigger than max|Value not in list|Custom validation failed"
)
PYTHON_WORDS = re.compile(
    r"Traceback|\b\w*(Type|Value|Key|Index|Attribute|Runtime|Unicode\w*|Recursion|Memory|OS|Assertion)Error\b|NoneType"
    r"|has no attribute|subscriptable|unhashable|unsupported operand|not iterable|<class |<object|\btorch\.|tensor\("
    r"|'(str|int|float|list|dict|tuple|bool|Tensor|object)'|positional argument|keyword argument|\[Errno|line \d+, in"
    r"|size mismatch|expected .*dimension|must match the size|invalid literal|out of range\b.*index|einsum|null byte"
)
LONGEST_MESSAGE = 1500  # letters; a list of all samplers fits


@dataclass(frozen=True)
class Case:
    """A prompt with one bad input; `is_wrong`: it must not run, because no reading of this value makes sense."""

    name: str
    prompt: Prompt
    is_wrong: bool


def torture(bench: Bench, rounds: int) -> Report:
    """Send `rounds` of all prompts, drawn at random, and look at what the user reads."""
    report = Report(bench.say)
    info = {name: node for name, node in bench.object_info.items() if name.startswith("PaintsUndo")}
    cases = [case for name in info for case in cases_of(name, bench.object_info)]
    chosen = bench.random_of("prompts").sample(cases, min(rounds, len(cases)))
    misses: dict[str, list[str]] = {"words": [], "accepted": [], "hangs": [], "ended": []}
    refused = failed = ran = host_words = 0
    for case in chosen:
        was_refused, text = outcome(bench, case)
        if not bench.server.is_running or text == "ended":
            misses["ended"].append(case.name)
        elif text == "hangs":
            misses["hangs"].append(case.name)
        elif text is None:
            ran += 1
            misses["accepted"] += [case.name] if case.is_wrong else []
        else:
            refused, failed = refused + was_refused, failed + (not was_refused)
            if own := own_lines(text):
                misses["words"] += [f"{case.name}: {own}"] if is_python(own) else []
            else:
                host_words += is_python(text)
    report.count(f"prompts sent, of {len(cases)} that can be made for {len(info)} nodes", len(chosen))
    report.count("refused when queued, before anything ran", refused)
    report.count("failed with a message when their node ran", failed)
    report.count("ran, because the value can be read as a good one", ran - len(misses["accepted"]))
    report.count("refused by ComfyUI in its own words, among them Python's", host_words)
    report.none_of("our messages with words of Python in them, or too long", misses["words"])
    report.none_of("wrong values that ran", misses["accepted"])
    report.none_of(f"prompts without an end in {SECONDS} s", misses["hangs"])
    report.none_of("prompts that ended the server", misses["ended"])
    report.none_of("good prompts that failed afterwards", good_prompts_that_fail(bench, info))
    return report


def outcome(bench: Bench, case: Case) -> tuple[bool, str | None]:
    """Return whether a prompt was refused when it was queued, and the message, or None if it ran."""
    try:
        return False, error_of(bench.finish(case.prompt, SECONDS))
    except PromptError as error:
        return True, str(error)
    except urllib.error.HTTPError as error:  # ComfyUI fails at a prompt of a form that its page never sends
        return True, f"ComfyUI refused the workflow: {error}"
    except TimeoutError:
        return False, "hangs"
    except OSError:
        return False, "ended"


def own_lines(text: str) -> str:
    """Return what the pack says in a message: all of a node's error; of a refusal, its answers to ComfyUI's question."""
    if not text.startswith("ComfyUI refused the workflow"):
        return text
    lines = text.splitlines()[1:]
    return "\n".join(
        line
        for line in lines
        if "Custom validation failed" in line
        or "Exception when validating" in line
        or not HOST_SAYS.search(line)
    )


def is_python(text: str) -> bool:
    """Return whether a message speaks of Python in place of the picture, or is a report in place of a message."""
    return bool(PYTHON_WORDS.search(text)) or len(text) > LONGEST_MESSAGE


def good_prompts_that_fail(bench: Bench, info: Json) -> list[str]:
    """Return the nodes whose prompt without a bad input fails."""
    good = [Case(name, good_prompt(name, bench.object_info), False) for name in info if name not in NOT_RUN]
    for case in good:
        if "filename" in case.prompt["node"]["inputs"]:  # an existing file is never overwritten
            case.prompt["node"]["inputs"]["filename"] = "after all"
    results = [(case, outcome(bench, case)[1]) for case in good]
    return [f"{case.name}: {text}" for case, text in results if text is not None]


def good_prompt(node_type: str, object_info: Json) -> Prompt:
    """Return a prompt in which one node runs with good input: sockets from SOURCES, widgets with their defaults."""
    info = object_info[node_type]
    inputs: Json = {widget.name: widget.default for widget in widgets_of(info) if widget.is_sent}
    inputs.update({name: value for name, value in SMALL.items() if type(inputs.get(name)) is type(value)})
    if node_type == "PaintsUndoStageSheet":
        inputs["operation_steps"] = ""
    if "checkpoint" in inputs:
        inputs["checkpoint"] = SINGLE if "Single" in node_type else MULTI
    for name, spec in info["input"].get("required", {}).items():
        if name not in inputs:
            inputs[name] = source_of(spec[0], name, node_type)
    prompt = {**SOURCES, "node": {"class_type": node_type, "inputs": inputs}}
    if not info["output_node"]:
        prompt["sink"] = {"class_type": "TortureSink", "inputs": {"value": ["node", 0]}}
    return json.loads(json.dumps(prompt))


def source_of(kind: str, name: str, node_type: str) -> Any:
    """Return what a socket gets when all is well: mostly the link to an entry of SOURCES."""
    model = "single" if node_type in USES_SINGLE else "multi"
    if kind == "STRING":  # operation steps, one for each picture
        return STEPS_OF_BATCH
    if kind == "CONDITIONING":
        return [f"{model} text", 0]
    if kind in OUTPUT_OF_LOADER:
        return [model, OUTPUT_OF_LOADER[kind]]
    is_batch = name in BATCHES or name.startswith("segment")
    return ["batch" if is_batch else "picture", 0]


def cases_of(node_type: str, object_info: Json) -> Iterator[Case]:
    """Make all prompts with one bad input of a node."""
    info = object_info[node_type]
    for section in ("required", "optional"):
        for name, spec in info["input"].get(section, {}).items():
            kind = "COMBO" if isinstance(spec[0], list) else str(spec[0])
            options = spec[1] if len(spec) > 1 else {}
            for label, value, is_wrong in bad_values(kind, name, options, section == "required"):
                if node_type in NOT_RUN and not (is_wrong and kind == "COMBO"):
                    continue
                prompt = good_prompt(node_type, object_info)
                if isinstance(value, dict) and "node" in value:  # another node's output
                    prompt["strange"] = value["node"]
                    value = ["strange", 0]
                prompt["node"]["inputs"][name] = value
                yield Case(f"{node_type} {name}: {label}", prompt, is_wrong)


def bad_values(kind: str, name: str, options: Json, is_required: bool) -> Iterator[tuple[str, Any, bool]]:
    """Yield (what it is, the value, whether it must be refused) for one input."""
    yield "a link to no node", ["nowhere", 0], True
    yield "a link to an output that is not there", ["picture", 99], True
    yield "a list that is no link", [1, 2, 3], True
    yield "a link to itself", ["node", 0], True
    if kind != "IMAGE":
        yield "a picture", ["picture", 0], kind != "*"
    for label in OF_TYPE.get(kind, {}):
        node = {"class_type": "TortureValue", "inputs": {"kind": kind, "name": label}}
        is_wrong = is_required or label != "None"  # no object at an optional input is the same as no link
        yield f"from a node: {label}", {"node": node}, is_wrong and label not in MAY_BE_GOOD.get(kind, ())
    yield from WIDGET_VALUES.get(kind, lambda *_: iter(()))(name, options)


MAY_BE_GOOD = {
    # What a node can do nothing wrong with if it only passes the object on, or only reads the shape.
    "IMAGE": {"seven channels", "one pixel is not a number", "one pixel is infinite"},
    "CONDITIONING": {"empty", "another width", "not a number", "one dimension"},
}


def _numbers(name: str, options: Json) -> Iterator[tuple[str, Any, bool]]:
    for label, end, beyond in (("below the least", "min", -1), ("above the most", "max", 1)):
        if end in options:
            yield label, options[end] + beyond * max(1, abs(options[end]) // 10), True
    yield "not a number", float("nan"), True
    yield "infinity", float("inf"), True
    yield "minus infinity", float("-inf"), True
    yield "a word", "twelve", True
    yield "nothing", None, True
    yield "a dictionary", {"a": 1}, True


def _texts(name: str, options: Json) -> Iterator[tuple[str, Any, bool]]:
    is_name = name in NAMES
    yield "300 letters", "a" * 300, is_name
    yield "90 characters of three bytes", "絵" * 90, is_name
    yield "NUL", "a\0b", is_name
    yield "two lines", "a\nb", is_name
    yield "half a character", "a\ud800", is_name
    yield "outside the folder", "../../outside", is_name
    # With a dot, because ComfyUI's number would make CON_00001_ of CON, which Windows allows.
    yield "a name that Windows keeps for itself", "CON.a", is_name
    yield "letters that Windows forbids", 'a<b>:"|?*', is_name
    yield "a name below a file", "../input/picture.png/x" if name == "filename" else "blocked/x", is_name
    yield "200,000 letters", "word, " * 33_000, is_name
    yield "nothing", None, False
    yield "control characters and emoji", "a\x1b[31m\u202e👩‍🎨", False
    yield "formulas", "%width% %date:yyyy% {{x}} __import__('os')", False
    yield "numbers that are none", "1e999, nan, -5, ;;,", False


def _choices(name: str, options: Json) -> Iterator[tuple[str, Any, bool]]:
    yield "a value that is not there", "res_2s_of_another_host", True
    yield "no text", "", True
    yield "nothing", None, True
    yield "a number", 3, True
    yield "a dictionary", {"a": 1}, True
    yield "NUL", "a\0", True
    yield "a name outside the folder", "../../../etc/passwd", True


WIDGET_VALUES = {"INT": _numbers, "FLOAT": _numbers, "STRING": _texts, "COMBO": _choices}
