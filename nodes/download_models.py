"""The node that fetches the released models from the hub when it is run, and never by itself."""

import inspect
from pathlib import Path

import comfy.model_management
import comfy.utils
import folder_paths
from comfy_api.latest import io, ui

from ..paintsundo_models.checkpoints.download import Progress, Request, download
from ..paintsundo_models.checkpoints.published import EVERYTHING, WHAT
from ..paintsundo_models.host.folders import DOWNLOAD_NODE, FOLDER_KEY

# Other words that the page finds the node by, on hosts that know them.
SEARCHED_AS = (
    {"search_aliases": ["weights", "checkpoint", "model", "hugging face", "install"]}
    if "search_aliases" in inspect.signature(io.Schema).parameters
    else {}
)


class Download(io.ComfyNode):
    """The released files, from the hub into models/paintsundo."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PaintsUndoDownload",
            display_name=DOWNLOAD_NODE,
            category="PaintsUndo/loaders",
            description="Fetches the released models (7.2 GB in all, or more) from the Hugging Face hub into models/paintsundo when you "
            "press Run, and checks every file. Goes on where it was cancelled. Press R afterwards, and choose them in the loaders.",
            is_output_node=True,
            **SEARCHED_AS,
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Combo.Input(
                    "what",
                    options=list(WHAT),
                    default=EVERYTHING,
                    tooltip="single-frame: the model of the keyframes. multi-frame: the model of the frames between. tagger: writes what "
                    "a picture shows. all: what the workflows need. Files that are there and right are not fetched again.",
                ),
                io.String.Input(
                    "revision",
                    default="",
                    tooltip="A branch, tag or commit of the model's page on the hub. Empty takes the newest.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="path", tooltip="The folder that holds the files: models/paintsundo."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, what: str | None) -> bool | str:
        # None is linked, and known only later.
        return (
            what in (None, *WHAT) or f"what is {what!r}, and can be {', '.join(WHAT)}: choose one of these."
        )

    @classmethod
    def fingerprint_inputs(cls, what: str, revision: str) -> float:
        """Never equal: the files can change or vanish behind a result that the host keeps."""
        return float("nan")

    @classmethod
    def execute(cls, what: str, revision: str) -> io.NodeOutput:
        show = _Display(cls.hidden.unique_id)
        done = download(Request(what, revision.strip()), _folder(), show)
        text = f"{done.text()} Press R: the loaders list them then."
        show.say(text)
        return io.NodeOutput(str(_folder()), ui=ui.PreviewText(text))


def _folder() -> Path:
    return Path(folder_paths.get_folder_paths(FOLDER_KEY)[0])


class _Display:
    """Shows on the node how far a download is, and ends it when the run is cancelled."""

    def __init__(self, node_id: str | None) -> None:
        self._node_id = node_id
        self._bar = comfy.utils.ProgressBar(1)

    def __call__(self, progress: Progress) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        if progress.total:
            self._bar.update_absolute(progress.done, progress.total)
        self.say(progress.text())

    def say(self, text: str) -> None:
        """Write a line on the node."""
        from server import PromptServer

        if self._node_id is not None:
            PromptServer.instance.send_progress_text(text, self._node_id)
