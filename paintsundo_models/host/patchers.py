"""Building and filling networks under any of ComfyUI's memory managers, told apart by their features, never by version."""

import inspect
from collections.abc import Callable
from pathlib import Path

import comfy.model_management as mm
import comfy.model_patcher
import comfy.supported_models_base
import comfy.utils
import torch
from torch import Tensor, nn

from ..checkpoints.files import check_tensors

FP8_TYPES = (torch.float8_e4m3fn, torch.float8_e5m2)

Origin = Callable[[str], tuple[str, str]]
"""A network's tensor name -> (part, name in the file), for error messages."""


def make_patcher(
    module: nn.Module, load_device: torch.device, offload_device: torch.device, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """The host's patcher for a module; looked up at call time, because newer hosts rebind the class at start."""
    cls = comfy.model_patcher.ModelPatcher
    if not disable_dynamic:
        cls = getattr(comfy.model_patcher, "CoreModelPatcher", cls)
    return cls(module, load_device=load_device, offload_device=offload_device)


def is_dynamic(patcher: comfy.model_patcher.ModelPatcher) -> bool:
    """Whether the host streams this model's weights from the file; then tensors are handed over instead of copied."""
    return getattr(patcher, "is_dynamic", lambda: False)()


def shapes_of(tensors: dict[str, Tensor]) -> dict[str, tuple]:
    """{name: shape} of a state dict."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def shapes_of_network(module: nn.Module) -> dict[str, tuple]:
    """{name: shape} of a network's state dict, whole also where the host makes weights only on loading them."""
    shapes = shapes_of(module.state_dict())
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear) and layer.weight is None:  # on Windows with dynamic memory
            shapes[f"{name}.weight"] = (layer.out_features, layer.in_features)
            if layer.comfy_need_lazy_init_bias:
                shapes[f"{name}.bias"] = (layer.out_features,)
    return shapes


def load_strictly(
    module: nn.Module,
    tensors: dict[str, Tensor],
    patcher: comfy.model_patcher.ModelPatcher,
    part: str,
    path: Path,
) -> None:
    """Fill a network with a part's tensors, one by one from the mapped file.

    Raises:
        CheckpointMismatchError: tensors are missing, unexpected or of another shape.
    """
    check_tensors(part, path, shapes_of_network(module), shapes_of(tensors))
    module.load_state_dict(tensors, strict=True, **({"assign": True} if is_dynamic(patcher) else {}))


def archive_dtypes(module: nn.Module) -> None:
    """Tell newer hosts which types the module was built with; to be called before its weights are loaded."""
    getattr(mm, "archive_model_dtypes", lambda module: None)(module)


def build_diffusion_model(
    config: comfy.supported_models_base.BASE,
    tensors: dict[str, Tensor],
    path: Path,
    origin: Origin,
    dtype: torch.dtype | None = None,
    disable_dynamic: bool = False,
    wide_in_fp8: tuple[str, ...] = (),
) -> comfy.model_patcher.ModelPatcher:
    """A MODEL from a host configuration and the UNet's tensors, in the names of its network.

    Args:
        config: instance of a BASE subclass.
        tensors: state dict of config's network, any floating types.
        path: the checkpoint's, for error messages.
        origin: where each tensor of the network comes from, for error messages.
        dtype: type that the weights are kept in; None: the host chooses by card and file.
        disable_dynamic: ask for the classic patcher on hosts that have two.
        wide_in_fp8: beginnings of the names of weights that are not made fp8 when `dtype` is.

    Raises:
        CheckpointMismatchError: the tensors do not fit the network.
    """
    load_device, offload_device = mm.get_torch_device(), mm.unet_offload_device()
    supported = list(config.supported_inference_dtypes)
    if dtype is None:
        dtype = mm.unet_dtype(
            model_params=comfy.utils.calculate_parameters(tensors),
            supported_dtypes=supported,
            weight_dtype=comfy.utils.weight_dtype(tensors),
        )
    compute_dtype = mm.unet_manual_cast(dtype, load_device, supported)
    config.set_inference_dtype(dtype, compute_dtype)
    model = config.get_model(tensors, "")
    if dtype in FP8_TYPES:
        _keep_wide(model.diffusion_model, wide_in_fp8, compute_dtype or torch.float16)
    _check_parts(shapes_of_network(model.diffusion_model), shapes_of(tensors), path, origin)
    patcher = make_patcher(model, load_device, offload_device, disable_dynamic)
    load_strictly(model.diffusion_model, tensors, patcher, "unet", path)
    return patcher


def _check_parts(expected: dict[str, tuple], found: dict[str, tuple], path: Path, origin: Origin) -> None:
    """Compare a network's tensors with the file's part by part, in the file's names."""

    def by_part(shapes: dict[str, tuple]) -> dict[str, dict[str, tuple]]:
        grouped: dict[str, dict[str, tuple]] = {}
        for name, shape in shapes.items():
            part, released = origin(name)
            grouped.setdefault(part, {})[released] = shape
        return grouped

    there = by_part(found)
    for part, shapes in by_part(expected).items():
        check_tensors(part, path, shapes, there.get(part, {}))


def _keep_wide(network: nn.Module, prefixes: tuple[str, ...], dtype: torch.dtype) -> None:
    """Norms and biases cost nothing in memory, and 3 bits of mantissa ruin them; and all below these prefixes."""
    for name, layer in network.named_modules():
        is_wide = f"{name}.".startswith(prefixes)
        for parameter in layer.parameters(recurse=False):
            if is_wide or parameter.ndim < 2:
                parameter.data = torch.empty_like(parameter, dtype=dtype)
        if is_wide and hasattr(
            layer, "comfy_need_lazy_init_bias"
        ):  # a layer that gets its weight when it is loaded
            layer.weight_comfy_model_dtype = dtype  # pyright: ignore[reportArgumentType]
        if getattr(layer, "comfy_need_lazy_init_bias", False):
            layer.bias_comfy_model_dtype = dtype  # pyright: ignore[reportArgumentType]
    archive_dtypes(network)  # the host did so when the network was built


def remember_loader(patcher: comfy.model_patcher.ModelPatcher, load: Callable, *args: object) -> None:
    """Let the host make the model anew from disk (TorchCompile, LoRA hooks, several GPUs): load(*args, disable_dynamic=...)."""
    if "disable_dynamic" not in inspect.signature(load).parameters:
        raise TypeError(f"{load} must take disable_dynamic, which the host passes.")
    patcher.cached_patcher_init = (load, args)  # pyright: ignore[reportAttributeAccessIssue]  newer hosts declare it
