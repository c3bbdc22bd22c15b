"""The prompt of a painting in parts that several ComfyUIs run: the keyframes, each segment, and the video.

The nodes of the workflow stay as they are. Where a part needs what another one has made, nodes that carry pictures to the
bit (`paintsundo_carry`) take the place of those that made it, so the frames are those of the whole prompt in one ComfyUI.
"""

from collections.abc import Sequence
from pathlib import Path

from .comfy_client import Json, Prompt
from .painting import INTERPOLATE, KEYFRAMES, PAIRS, VIDEO
from .variants import needed_by

NODES = Path(__file__).with_name("paintsundo_carry")
KEEP, GIVE, PICK = "PaintsUndoCarryKeep", "PaintsUndoCarryGive", "PaintsUndoCarryPick"
KEPT = "kept.safetensors"
"""File in the output folder with what a part has made."""

KEYFRAMES_FILE = "keyframes.safetensors"


def keyframes_part(prompt: Prompt) -> Prompt:
    """Return the part that makes the keyframes; it keeps them, and shows how many segments there will be."""
    keyframes, pairs = _only(prompt, KEYFRAMES), _only(prompt, PAIRS)
    keep = _node(KEEP, images=[keyframes, 0], counted=[pairs, 0], file=KEPT)
    return {**needed_by(prompt, [keyframes, pairs]), "keep": keep}


def count_of_segments(outputs: Json) -> int:
    """Return the number of segments from the outputs of `keyframes_part`."""
    return int(outputs["keep"]["text"][0])


def segment_part(prompt: Prompt, number: int) -> Prompt:
    """Return the part that makes one segment, counted from 0, and keeps it."""
    segment, pairs = _only(prompt, INTERPOLATE), _only(prompt, PAIRS)
    picks: Prompt = {}
    inputs = {}
    for name, value in prompt[segment]["inputs"].items():
        if isinstance(value, list) and value[0] == pairs:
            picks[f"pick {name}"] = _node(PICK, values=value, index=number)
            inputs[name] = [f"pick {name}", 0]
        else:
            inputs[name] = value
    changed = {**_with_keyframes(prompt), **picks, segment: {**prompt[segment], "inputs": inputs}}
    keep = _node(KEEP, images=[segment, 0], counted=[segment, 0], file=KEPT)
    return {**needed_by(changed, [segment]), "keep": keep}


def video_part(prompt: Prompt, files: Sequence[str]) -> Prompt:
    """Return the part that makes the video of segments in these files of the input folder."""
    segment, pairs, video = (_only(prompt, kind) for kind in (INTERPOLATE, PAIRS, VIDEO))
    # The last node looks in the graph for the pairs behind the segments; their result is not read.
    give = _node(GIVE, files="\n".join(files), behind=[pairs, 0])
    changed = {**_with_keyframes(prompt), segment: give}
    return needed_by(changed, [video])


def _with_keyframes(prompt: Prompt) -> Prompt:
    return {**prompt, _only(prompt, KEYFRAMES): _node(GIVE, files=KEYFRAMES_FILE)}


def _only(prompt: Prompt, node_type: str) -> str:
    (key,) = [key for key, node in prompt.items() if node["class_type"] == node_type]
    return key


def _node(node_type: str, **inputs: object) -> Json:
    return {"class_type": node_type, "inputs": inputs}
