"""The node that downloads the released models from the hub, only when it is run."""

from pathlib import Path

import comfy.model_management
import comfy.utils
import folder_paths
from comfy_api.latest import io, ui

from ..paintsundo_models.checkpoints.download import Progress, Request, download
from ..paintsundo_models.checkpoints.published import EVERYTHING, WHAT, require_revision
from ..paintsundo_models.host.folders import DOWNLOAD_NODE, FOLDER_KEY
from .choices import Choice, require_choice
from .page_features import searched_as
from .progress_text import say_on_node


class Download(io.ComfyNode):
    """Download the released files from the hub into models/paintsundo."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoDownload",
            display_name=DOWNLOAD_NODE,
            category="PaintsUndo/loaders",
            description="Downloads the released models (7.2 GB or more) from the Hugging Face hub into models/paintsundo when you press "
            "Run, and checks every file. After an interruption it continues where it stopped. Press R afterwards, and choose the "
            "models in the loaders.",
            is_output_node=True,
            **searched_as("weights", "checkpoint", "model", "hugging face", "install"),
            inputs=[
                Choice(
                    "what",
                    options=list(WHAT),
                    default=EVERYTHING,
                    tooltip="Which files to download. single-frame: the model that predicts keyframes. multi-frame: the model that makes the "
                    "frames between. tagger: the model that describes a picture by tags. all: everything that the workflows use. "
                    "Files that are already there and correct are kept.",
                ),
                io.String.Input(
                    "revision",
                    default="",
                    tooltip="A branch, tag or commit of the model's page on the hub. Empty: the newest files.",
                ),
            ],
            outputs=[
                io.String.Output(display_name="path", tooltip="The folder of the files: models/paintsundo.")
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, what: str, revision: str) -> float:
        """Return NaN, which equals nothing, so that the host runs the node every time: the files can change between runs."""
        return float("nan")

    @classmethod
    def validate_inputs(cls, revision: str | None = None) -> bool | str:
        # None: the input is linked, and its value is known only when the node runs.
        try:
            require_revision((revision or "").strip())
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, what: str, revision: str) -> io.NodeOutput:
        require_choice("what", what, list(WHAT))
        require_revision(revision.strip())
        show = _Display()
        done = download(Request(what, revision.strip()), _folder(), show)
        # The page shows two lines of the text, so what to do comes first.
        text = f"Done: press R, and the loaders list the models. {done.text()}"
        say_on_node(text)
        return io.NodeOutput(str(_folder()), ui=ui.PreviewText(text))


def _folder() -> Path:
    return Path(folder_paths.get_folder_paths(FOLDER_KEY)[0])


class _Display:
    """Show the progress of a download on the node, and stop it when the run is cancelled."""

    def __init__(self) -> None:
        self._bar = comfy.utils.ProgressBar(1)

    def __call__(self, progress: Progress) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        if progress.total:
            self._bar.update_absolute(progress.done, progress.total)
        say_on_node(progress.text())
