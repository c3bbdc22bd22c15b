"""PaintsUndo for ComfyUI: from a finished picture to the video of its making."""

from .nodes import PaintsUndoExtension

WEB_DIRECTORY = "./nodes/web"


async def comfy_entrypoint() -> PaintsUndoExtension:
    """Return the extension; ComfyUI calls this once when it loads the pack."""
    return PaintsUndoExtension()


__all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
