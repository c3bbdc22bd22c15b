"""What stands in for the things that the original program needs and a test machine lacks.

Its web page, xformers, its memory manager for CUDA, the hub, and the sizes that its code has as numbers. Nothing of what it
computes is replaced, except that xformers' attention is torch's, which gives the same numbers up to rounding.
"""

import functools
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

PACKAGES = {
    "diffusers": "diffusers",
    "transformers": "transformers",
    "huggingface_hub": "huggingface_hub",
    "cv2": "opencv-python-headless",
    "onnxruntime": "onnxruntime",
}
"""Modules that the original imports and ComfyUI may lack -> the package to install."""


def require_packages(names: Iterable[str]) -> None:
    """Check that modules can be imported.

    Args:
        names: keys of PACKAGES.

    Raises:
        ValueError: some are missing; the message says how to install them.
    """
    missing = [PACKAGES[name] for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"The original program needs {', '.join(missing)}, which this Python does not have; install with\n"
            f"  {sys.executable} -m pip install {' '.join(missing)}"
        )


def plain_attention(q: "Tensor", k: "Tensor", v: "Tensor") -> "Tensor":
    """Compute xformers' attention of (B, N, C) by torch, as (B, 1, N, C) because torch has a fast kernel for four dimensions."""
    from torch.nn.functional import scaled_dot_product_attention

    return scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]


def replace_xformers() -> None:
    """Make `import xformers.ops` give torch's attention.

    diffusers is imported first, because it looks for xformers itself and would take the stand-in for a broken package.
    """
    importlib.import_module("diffusers")
    package, ops = types.ModuleType("xformers"), types.ModuleType("xformers.ops")
    ops.memory_efficient_attention = plain_attention  # pyright: ignore[reportAttributeAccessIssue]
    package.ops = ops  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules.update({"xformers": package, "xformers.ops": ops})


class PagePart:
    """Any part of the web page: can be called, entered by `with`, and asked for its parts; does nothing."""

    def __getattr__(self, name: str) -> "PagePart":
        return self

    def __call__(self, *_: object, **__: object) -> "PagePart":
        return self

    def __enter__(self) -> "PagePart":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tqdm(self, steps: Iterable, desc: str = "") -> Iterable:
        """Go through the steps without a progress bar."""
        return steps


class _Page(types.ModuleType):
    def __getattr__(self, name: str) -> PagePart:
        if name.startswith("__"):
            raise AttributeError(name)
        return PagePart()


def replace_page_and_memory_manager() -> None:
    """Make `gradio` a page that does nothing, and `memory_management` a manager that keeps all models on the CPU."""
    import torch

    memory: Any = types.ModuleType("memory_management")
    memory.gpu = memory.cpu = torch.device("cpu")
    memory.load_models_to_gpu = memory.unload_all_models = lambda *_: None
    sys.modules.update({"gradio": _Page("gradio"), "memory_management": memory})


def adapt_modules(operation_width: int) -> None:
    """Adapt the checkout's modules to the networks, to folders in place of the hub, and to the installed transformers.

    Args:
        operation_width: of the operation step's embedding.
    """
    code_cond: Any = importlib.import_module("diffusers_helper.code_cond")
    pipeline: Any = importlib.import_module("diffusers_vdm.pipeline")
    vision: Any = importlib.import_module("diffusers_vdm.improved_clip_vision")
    embedding = code_cond.TimestepEmbedding
    code_cond.TimestepEmbedding = lambda in_channels, _: embedding(in_channels, operation_width)
    pipeline.snapshot_download = lambda repo_id, **_: repo_id
    embed = vision.improved_clipvision_embedding_forward
    # transformers after 4.41 passes more arguments than the original's function takes.
    vision.improved_clipvision_embedding_forward = lambda self, pixel_values, **_: embed(self, pixel_values)


def with_sizes(find_best_bucket: Callable, sizes: Sequence[tuple[int, int]]) -> Callable:
    """Return the original's choice of a segment's size, among these (height, width) in place of its own four."""

    @functools.wraps(find_best_bucket)
    def find(height: int, width: int, options: object) -> tuple[int, int]:
        return find_best_bucket(height, width, list(sizes))

    return find
