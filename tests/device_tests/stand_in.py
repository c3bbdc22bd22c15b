"""A stand-in for a GPU: tensors that say they are on another device, compute on the CPU, and refuse to meet the CPU's.

It shows what a machine without a GPU otherwise does not: tensors left on the wrong device, and where the program waits
for the device. It says nothing of speed, memory or a GPU's arithmetic. Made of torch's own means for backends in Python.
"""

import collections
import traceback

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "standin"
MEMORY = 8 * 1024**3

_setup_privateuseone_for_python_backend(NAME)
DEVICE = torch.device(f"{NAME}:0")
CPU = torch.device("cpu")

aten = torch.ops.aten
MAY_MIX = {  # as on CUDA: copies, and indices that lie on the CPU
    aten.copy_.default,
    aten._to_copy.default,
    aten.index.Tensor,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}
SLOW_IN_HALF = {
    aten.conv2d.default,
    aten.conv3d.default,
}  # on most processors, many times as slow as in single precision
READS = {aten._local_scalar_dense.default, aten.item.default, aten.is_nonzero.default}

waits: collections.Counter[str] = collections.Counter()
"""How often each line of Python read a number from the device. On a GPU, each time the CPU waits for it."""


class StandInTensor(torch.Tensor):
    """A tensor that says it is on the stand-in device; the CPU tensor `raw` holds its numbers."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    raw: torch.Tensor

    @staticmethod
    def __new__(cls, raw):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            layout=raw.layout,
            device=DEVICE,
        )
        tensor.raw = raw
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class OnDevice(TorchDispatchMode):
    """Context in which tensors can be made on the stand-in device."""

    def __init__(self):
        super().__init__()
        self._functions = FromNumbers()

    def __enter__(self):
        self._functions.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._functions.__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class FromNumbers(TorchFunctionMode):
    """Move the result of torch.tensor(numbers, device=...) to the device: a dispatch mode does not see that call."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and is_ours(kwargs.get("device")):
            device = kwargs.pop("device")
            return func(*args, **kwargs).to(device)
        return func(*args, **kwargs)


def is_ours(device):
    return device is not None and torch.device(device).type == NAME


def compute(func, args, kwargs):
    """Run an operation on the CPU tensors inside; raise if it mixes tensors of both devices, as CUDA does."""
    if func is aten._has_compatible_shallow_copy_type.default:
        return not any(isinstance(tensor, StandInTensor) for tensor in args)
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
    has_ours = any(isinstance(x, StandInTensor) for x in tensors)
    strangers = [list(x.shape) for x in tensors if not isinstance(x, StandInTensor) and x.dim() > 0]
    if has_ours and strangers and func not in MAY_MIX:
        raise RuntimeError(
            f"Expected all tensors on one device, but {strangers} are on the CPU: {func} at {caller()}"
        )
    if has_ours and func in READS:
        waits[caller()] += 1
    target = kwargs.get("device")
    if func is aten.copy_.default:
        stays = isinstance(args[0], StandInTensor)
    else:
        stays = has_ours if target is None else is_ours(target)
    if target is not None:
        kwargs = {**kwargs, "device": CPU}
    raw_args, raw_kwargs = tree_map_only(StandInTensor, lambda tensor: tensor.raw, (args, kwargs))
    if func in SLOW_IN_HALF and raw_args[0].dtype == torch.float16:
        raw_args = tree_map_only(torch.Tensor, torch.Tensor.float, raw_args)
        result = func(*raw_args, **raw_kwargs).half()
    else:
        result = func(*raw_args, **raw_kwargs)
    written = {id(tensor.raw): tensor for tensor in written_arguments(func, args, kwargs)}

    def wrap(tensor):
        if id(tensor) in written:
            return written[id(tensor)]
        return StandInTensor(tensor) if stays and not isinstance(tensor, StandInTensor) else tensor

    return tree_map_only(torch.Tensor, wrap, result)


def written_arguments(func, args, kwargs):
    """Yield the tensors that an operation writes into: it has to return these very objects."""
    for index, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = kwargs.get(argument.name, args[index] if index < len(args) else None)
            values = value if isinstance(value, list | tuple) else [value]
            yield from (tensor for tensor in values if isinstance(tensor, StandInTensor))


def caller():
    """Return the file and line of ComfyUI or the pack that ran the operation."""
    for frame in reversed(traceback.extract_stack()):
        if "/comfy/" in frame.filename or "/paintsundo_models/" in frame.filename:
            return f"{frame.filename}:{frame.lineno}"
    return "?"


# Two operations that torch calls from C++, where no dispatch mode sees them.
_library = torch.library.Library("aten", "IMPL")


def _empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):
    return StandInTensor(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source, target, non_blocking=False):
    raw = [x.raw if isinstance(x, StandInTensor) else x for x in (source, target)]
    raw[1].copy_(raw[0])
    return target


_library.impl("empty_strided", _empty_strided, "PrivateUse1")
_library.impl("_copy_from", _copy_from, "PrivateUse1")


def make_host_compute_here(weights_stay_on_cpu):
    """Let ComfyUI's memory management know the device as a GPU of 8 GB that does half precision.

    Args:
        weights_stay_on_cpu: as with --lowvram on a full card: the weights of each layer are copied to the device when it runs.
    """
    import comfy.model_management as mm
    from comfy.model_patcher import ModelPatcher

    mm.cpu_state = mm.CPUState.GPU
    mm.vram_state = mm.set_vram_to = mm.VRAMState.NORMAL_VRAM
    mm.get_torch_device = lambda: DEVICE
    mm.get_total_memory = mm.get_free_memory = lambda dev=None, torch_total_too=False, torch_free_too=False: (
        (MEMORY, MEMORY) if torch_total_too or torch_free_too else MEMORY
    )
    mm.should_use_fp16 = lambda *args, **kwargs: True
    mm.should_use_bf16 = lambda *args, **kwargs: False
    mm.soft_empty_cache = lambda *args, **kwargs: None
    if weights_stay_on_cpu:
        load = ModelPatcher.load
        ModelPatcher.load = lambda self, device_to=None, **kwargs: load(
            self, device_to, **{**kwargs, "lowvram_model_memory": 1, "full_load": False}
        )
