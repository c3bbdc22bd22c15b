"""PaintsUndo for ComfyUI: from a finished picture to the video of its making."""

from .nodes import PaintsUndoExtension
from .paintsundo_models.host.folders import register_folder

WEB_DIRECTORY = "./nodes/web"


async def comfy_entrypoint() -> PaintsUndoExtension:
    """Make models/paintsundo known to ComfyUI and return the extension; ComfyUI calls this once when it loads the pack."""
    register_folder()
    return PaintsUndoExtension()


__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
