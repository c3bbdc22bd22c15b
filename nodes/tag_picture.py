"""The tagger node: find WD14 taggers in the host's model folders, and write the tags of pictures."""

from pathlib import Path

import comfy.model_management
import comfy.utils
import folder_paths
from comfy_api.latest import io

from ..paintsundo_models.constants import NONE_FOUND
from ..paintsundo_models.errors import CheckpointNotFoundError
from ..paintsundo_models.host.out_of_memory import Stage, said_plainly
from ..paintsundo_models.pictures import wd14
from ..paintsundo_models.pictures.inputs import require_pictures
from .choices import Choice
from .page_features import TAGS, searched_as

# The keys "wd14_tagger" and "onnx" exist only if another pack or extra_model_paths.yaml registers them.
_FOLDER_KEYS = ("paintsundo", "wd14_tagger", "onnx")


def _onnx_files() -> dict[str, Path]:
    """Return the ONNX files as a map from the name in the host's list to the full path."""
    files: dict[str, Path] = {}
    for key in _FOLDER_KEYS:
        if key not in folder_paths.folder_names_and_paths:
            continue
        for name in folder_paths.get_filename_list(key):
            path = folder_paths.get_full_path(key, name)
            # A pipe is no file, and opening it would wait for ever.
            if name.lower().endswith(".onnx") and path is not None and Path(path).is_file():
                files.setdefault(name, Path(path))
    return files


def list_taggers() -> list[str]:
    """Return the sorted names of the taggers: the ONNX files with a tag list beside them, which other ONNX models lack."""
    return sorted(name for name, path in _onnx_files().items() if wd14.tag_list_path(path).is_file())


def find_tagger(name: str) -> Path:
    """Return the path of an ONNX file by its listed name.

    Raises:
        CheckpointNotFoundError: no file has that name. The message says where the files go.
    """
    files = _onnx_files()
    # A workflow from another system separates folders by the other slash.
    by_parts = {other.replace("\\", "/"): path for other, path in files.items()}
    if name.replace("\\", "/") in by_parts:
        return by_parts[name.replace("\\", "/")]
    folders = ", ".join(folder_paths.get_folder_paths("paintsundo"))
    found = list_taggers()
    lonely = sorted(other for other, path in files.items() if not wd14.tag_list_path(path).is_file())
    without = (
        f" ONNX files without a .csv of the same name beside them: {', '.join(lonely)}." if lonely else ""
    )
    if name != NONE_FOUND:
        what = f'The tagger "{name}" is not installed.'
    else:
        what = "No tagger is chosen." if found else "No tagger is installed."
    raise CheckpointNotFoundError(
        f"{what} Taggers found: {', '.join(found) or 'none'}.{without} Put {wd14.PUBLISHED} into {folders}, and "
        "press R in ComfyUI to read the list again. Or leave the tagger out and write the tags into the prompt by hand."
    )


class Tagger(io.ComfyNode):
    """Write the WD14 tags of each picture as a text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        taggers = list_taggers() or [NONE_FOUND]
        return io.Schema(
            node_id="PaintsUndoTagger",
            display_name="Tag Picture (WD14)",
            category="PaintsUndo/keyframes",
            description=(
                "Describes a picture by tags of the kind that the single-frame model was trained on. Connect the text to the "
                "prompt of the keyframe nodes, not to the prompt of Interpolate Keyframes."
            ),
            **searched_as(*TAGS),
            inputs=[
                io.Image.Input(
                    "image",
                    tooltip="The finished picture, of any size. From a batch, each picture gets a text.",
                ),
                Choice(
                    "tagger",
                    options=taggers,
                    tooltip=(
                        "ONNX file of a WD14 tagger. The list shows the .onnx files in models/paintsundo with a tag list "
                        f"(.csv) of the same name beside them. The original program uses {wd14.PUBLISHED}."
                    ),
                ),
                io.Float.Input(
                    "threshold",
                    default=wd14.DEFAULT_THRESHOLD,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip=(
                        "A general tag is written if its probability, 0 to 1, is above this. Low: many tags, some of them wrong. "
                        "High: only what is certain. 1: no general tags."
                    ),
                ),
                io.Float.Input(
                    "character_threshold",
                    default=wd14.DEFAULT_CHARACTER_THRESHOLD,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip=(
                        "The name of a known character is written if its probability, 0 to 1, is above this. Low: guessed "
                        "names. High: only characters that are recognised for certain. 1: no names."
                    ),
                ),
                io.String.Input(
                    "exclude",
                    default="",
                    tooltip=(
                        "Tags to leave out, separated by commas. Capitals do not matter, and an underscore equals a space. "
                        "Empty: all tags are kept."
                    ),
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="tags",
                    is_output_list=True,
                    tooltip=(
                        "The tags joined by commas, characters first, parentheses escaped by backslashes as in the "
                        "model's training. A list: one text for each picture of the batch."
                    ),
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, tagger: str | None = None) -> bool | str:
        # With `tagger` named here, the host skips its own check of the list, whose message would not say what to do.
        if tagger is None:  # The input is linked: its value is known only when the node runs.
            return True
        try:
            find_tagger(tagger)
        except CheckpointNotFoundError as error:
            return str(error)
        return True

    @classmethod
    @said_plainly(
        Stage("the tagger was reading a picture", "Close other programs, or write the tags by hand.")
    )
    def execute(
        cls, image: io.Image.Type, tagger: str, threshold: float, character_threshold: float, exclude: str
    ) -> io.NodeOutput:
        require_pictures([image], "image")
        for name, value in (("threshold", threshold), ("character_threshold", character_threshold)):
            if not 0 <= value <= 1:  # not a number is neither
                raise ValueError(f"{name} is {value}, and must be from 0 to 1.")
        # Open the tagger for this run only: onnxruntime holds the weights, so the host could not unload them.
        opened = wd14.load_tagger(find_tagger(tagger))
        progress = comfy.utils.ProgressBar(len(image))
        texts = []
        for picture in image:
            comfy.model_management.throw_exception_if_processing_interrupted()
            probabilities = opened.probabilities(picture)
            texts.append(
                wd14.tags_to_text(opened.tags, probabilities, threshold, character_threshold, exclude)
            )
            progress.update(1)
        return io.NodeOutput(texts)
