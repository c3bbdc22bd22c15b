"""Several variants of a painting in one run: their seeds in the graph, one sheet of their keyframes, and their videos."""

import io
import itertools
from collections.abc import Iterable
from pathlib import Path

from paintsundo_models.operation_steps import read_operation_steps
from paintsundo_models.pictures.stage_sheet import MAX_PICTURES, OWN_SIZE, draw_sheet, spread
from paintsundo_models.video.mark import BY_MODELS, add_png_texts

from .comfy_client import ComfyClient, Json, OnEvent, Prompt
from .workflow import Workflow

VARIANTS, KEYFRAMES, PAIRS = "PaintsUndoVariants", "PaintsUndoPredictKeyframes", "PaintsUndoKeyframePairs"
KEYFRAMES_OUTPUT, STEPS_OUTPUT = 0, 1
SHEET_PX = 256  # longer side of a keyframe in the sheet
TITLE = "Seed · operation step"


def add_variants(workflow: Workflow, seed: int, count: int) -> list[int]:
    """Add the node that lists the seeds of both models, and connect it; return the seeds."""
    node = workflow.add_node(VARIANTS, {"seed": seed, "control_after_generate": "fixed", "count": count})
    for node_type in (KEYFRAMES, PAIRS):
        workflow.link(node, 0, node_type, "seed")
    return [seed + number for number in range(count)]


def needed_by(prompt: Prompt, keys: Iterable[str]) -> Prompt:
    """Return the part of a prompt that these nodes need, with them."""
    needed: Prompt = {}
    open_ = list(keys)
    while open_:
        key = open_.pop()
        if key not in needed:
            needed[key] = prompt[key]
            open_ += [value[0] for value in prompt[key]["inputs"].values() if isinstance(value, list)]
    return needed


def keyframes_only(prompt: Prompt) -> Prompt:
    """Return the part of a prompt that makes the keyframes, with nodes that show them and their operation steps."""
    (keyframes,) = [key for key, node in prompt.items() if node["class_type"] == KEYFRAMES]
    shown = {
        "look": ("PreviewImage", {"images": [keyframes, KEYFRAMES_OUTPUT]}),
        "steps": ("PreviewAny", {"source": [keyframes, STEPS_OUTPUT]}),
    }
    return {
        **needed_by(prompt, [keyframes]),
        **{key: {"class_type": kind, "inputs": inputs} for key, (kind, inputs) in shown.items()},
    }


def variants_sheet(
    client: ComfyClient, prompt: Prompt, seeds: list[int], target: Path, follow: OnEvent | None = None
) -> Path:
    """Make the keyframes of all variants, and write a sheet of them: a row for each seed, in painting order.

    ComfyUI keeps the keyframes, so that the whole prompt does not make them again.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    outputs = client.run(keyframes_only(prompt), on_event=follow)
    files = outputs["look"]["images"]
    steps = read_operation_steps(outputs["steps"]["text"][0])
    # Of very many keyframes a row shows some, the first and the last among them.
    chosen = spread(len(steps), min(len(steps), MAX_PICTURES // len(seeds)))[::-1]
    tiles, labels = [], []
    for number, seed in enumerate(seeds):
        for place in chosen:
            with Image.open(io.BytesIO(client.view(files[number * len(steps) + place]))) as image:
                tile = image.convert("RGB")
            tile.thumbnail((SHEET_PX, SHEET_PX), Image.Resampling.LANCZOS)
            tiles.append(tile)
            labels.append(f"{seed} · {steps[place]}")
    texts = PngInfo()
    add_png_texts(texts, BY_MODELS)
    target.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(tiles, labels, TITLE, len(chosen), OWN_SIZE).save(target, pnginfo=texts)
    return target


def results_of_videos(results: list[Json], ending: str) -> list[list[Json]]:
    """Return what the last node shows, video by video: the file, or the pictures of a sequence (without an ending)."""
    if ending:
        return [[file] for file in results if file["filename"].endswith(ending)]
    return [list(files) for _, files in itertools.groupby(results, key=lambda file: file["subfolder"])]
