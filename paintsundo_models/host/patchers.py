"""Build networks and fill them with weights, under any of ComfyUI's memory managers.

Newer ComfyUI versions manage memory differently. Functions here detect what there is by its features, never by version.
"""

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
from .processor import computes_in

FP8_TYPES = (torch.float8_e4m3fn, torch.float8_e5m2)

Origin = Callable[[str], tuple[str, str]]
"""Function from a tensor's name in the network to (part, name in the file), for error messages."""


def make_patcher(
    module: nn.Module, load_device: torch.device, offload_device: torch.device, disable_dynamic: bool = False
) -> comfy.model_patcher.ModelPatcher:
    """Return ComfyUI's patcher for a module.

    The class is looked up at each call, because newer versions of ComfyUI replace it while they start.
    """
    cls = comfy.model_patcher.ModelPatcher
    if not disable_dynamic:
        cls = getattr(comfy.model_patcher, "CoreModelPatcher", cls)
    return cls(module, load_device=load_device, offload_device=offload_device)


def is_dynamic(patcher: comfy.model_patcher.ModelPatcher) -> bool:
    """Return whether ComfyUI streams this model's weights from the file; then tensors are assigned, not copied."""
    return getattr(patcher, "is_dynamic", lambda: False)()


def shapes_of(tensors: dict[str, Tensor]) -> dict[str, tuple]:
    """Return {name: shape} of a state dict."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def shapes_of_network(module: nn.Module) -> dict[str, tuple]:
    """Return {name: shape} of a network's state dict, including weights that ComfyUI creates only when it loads them."""
    shapes = shapes_of(module.state_dict())
    for name, layer in module.named_modules():
        if (
            isinstance(layer, nn.Linear) and layer.weight is None
        ):  # so on Windows with dynamic memory management
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
    """Fill a network with the tensors of a part, one by one from the memory-mapped file.

    Raises:
        CheckpointMismatchError: tensors are missing, unexpected or of another shape.
    """
    check_tensors(part, path, shapes_of_network(module), shapes_of(tensors))
    module.load_state_dict(tensors, strict=True, **({"assign": True} if is_dynamic(patcher) else {}))


def archive_dtypes(module: nn.Module) -> None:
    """Tell newer versions of ComfyUI the types that the module was built with; call it before loading weights."""
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
    """Build a MODEL from ComfyUI's configuration of a model family and the tensors of its network.

    Args:
        config: instance of a BASE subclass.
        tensors: state dict of the configuration's network, any floating types.
        path: the checkpoint's path, for error messages.
        origin: tells where each tensor of the network comes from, for error messages.
        dtype: type in which the weights are kept; None: ComfyUI chooses by device and file.
        disable_dynamic: use the classic patcher where ComfyUI also has one with dynamic memory management.
        wide_in_fp8: prefixes of the names of weights that keep the computing type if `dtype` is an fp8 type.

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
    if computes_in(dtype, load_device, "network"):
        compute_dtype = None
    config.set_inference_dtype(dtype, compute_dtype)
    # Compare with a network without memory first, so that no file's shapes ask for more than its tensors.
    outline = config.get_model(tensors, "", device=torch.device("meta")).diffusion_model
    _check_parts(shapes_of_network(outline), shapes_of(tensors), path, origin)
    model = config.get_model(tensors, "")
    if dtype in FP8_TYPES:
        _keep_wide(model.diffusion_model, wide_in_fp8, compute_dtype or torch.float16)
    patcher = make_patcher(model, load_device, offload_device, disable_dynamic)
    load_strictly(model.diffusion_model, tensors, patcher, "unet", path)
    return patcher


def set_preview_colours(
    patcher: comfy.model_patcher.ModelPatcher, colours: tuple[list[list[float]], list[float]] | None
) -> None:
    """Use these factors and this bias (see detection.preview_colours) in this MODEL's live previews; None keeps the host's."""
    if colours is None:
        return
    latent_format = patcher.model.latent_format  # this model's own instance
    latent_format.latent_rgb_factors, latent_format.latent_rgb_factors_bias = colours
    latent_format.taesd_decoder_name = None  # it knows SD 1.5's latents only


def _check_parts(expected: dict[str, tuple], found: dict[str, tuple], path: Path, origin: Origin) -> None:
    """Compare the tensors of a network with those of the file, part by part, under their names in the file."""

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
    """Keep norms, biases and the weights with these prefixes out of fp8: set their type to `dtype`.

    fp8 has 2 or 3 bits of mantissa, too few for norms and biases, and these take hardly any memory.
    """
    for name, layer in network.named_modules():
        is_wide = f"{name}.".startswith(prefixes)
        for parameter in layer.parameters(recurse=False):
            if is_wide or parameter.ndim < 2:
                parameter.data = torch.empty_like(parameter, dtype=dtype)
        # Layers with this attribute get their weights only when they are loaded, in the type that is noted on them.
        if is_wide and hasattr(layer, "comfy_need_lazy_init_bias"):
            layer.weight_comfy_model_dtype = dtype  # pyright: ignore[reportArgumentType]
        if getattr(layer, "comfy_need_lazy_init_bias", False):
            layer.bias_comfy_model_dtype = dtype  # pyright: ignore[reportArgumentType]
    archive_dtypes(network)  # again, because ComfyUI did it with the types of before


def remember_loader(patcher: comfy.model_patcher.ModelPatcher, load: Callable, *args: object) -> None:
    """Tell ComfyUI how to load the model again from disk, which it does for TorchCompile, LoRA hooks and several GPUs.

    Args:
        patcher: the MODEL.
        load: function that returns the MODEL; ComfyUI calls load(*args, disable_dynamic=...).
        *args: arguments of `load`.

    Raises:
        TypeError: `load` has no parameter disable_dynamic.
    """
    if "disable_dynamic" not in inspect.signature(load).parameters:
        raise TypeError(f"{load} must take disable_dynamic, which the host passes.")
    patcher.cached_patcher_init = (load, args)  # pyright: ignore[reportAttributeAccessIssue]  only newer versions declare it
