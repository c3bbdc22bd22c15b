"""Start ComfyUI: `python launch_comfyui.py MAIN_PY [arguments of ComfyUI]`; ends when its standard input closes.

The command that starts this program holds the other end of that pipe. When the command ends, in whatever way, the
system closes the pipe, and the server ends too. Standard library only.
"""

import importlib.machinery
import importlib.util
import os
import runpy
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class TorchvisionFinder:
    """Import hook that lets a torchvision built for CUDA import beside a CPU build of torch.

    Such a torchvision cannot load its library, and its import then fails because two operators are missing that the
    library declares. Declaring them is enough for its transforms. This happens in an import hook and not at the start,
    because it imports torch, and ComfyUI must set up the GPU before torch is imported.
    """

    @classmethod
    def find_spec(
        cls, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Declare the operators at the first import of torchvision where they are missing."""
        if name != "torchvision":
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            _declare_missing_operators(Path(spec.origin).parent)
        return spec


def _declare_missing_operators(torchvision: Path) -> None:
    import torch

    for library in sorted(torchvision.glob("_C*")):  # _C.so, _C.pyd or with an ABI tag
        try:
            torch.ops.load_library(str(library))
            return
        except OSError:  # a library that it needs is missing
            continue
    torch.library.define("torchvision::nms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    torch.library.define("torchvision::qnms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def install_torchvision_finder() -> None:
    """Install the import hook, unless torchvision is already imported."""
    if "torchvision" not in sys.modules:
        sys.meta_path.insert(0, TorchvisionFinder)


def _end_with_standard_input() -> None:
    while os.read(0, 1024):
        pass
    os._exit(
        0
    )  # end at once; a normal exit of ComfyUI would only clear its temp folder, which ComfyServer deletes


def main(arguments: list[str]) -> None:
    """Run ComfyUI's main.py as if Python had been started with it."""
    main_py = arguments[0]
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    install_torchvision_finder()
    sys.argv = arguments
    # Some Pythons (the portable Windows build's) do not put a script's folder on the path.
    sys.path.insert(0, os.path.dirname(os.path.abspath(main_py)))
    runpy.run_path(main_py, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
