"""The precision in which a device trains fastest."""

from contextlib import AbstractContextManager, nullcontext

import torch

from paintsundo_models.host.processor import capabilities
from paintsundo_models.processor import has_fast_bfloat16


def is_bfloat16_fast(device: torch.device) -> bool:
    """Tell whether the device trains faster in bfloat16: GPUs that support it, and processors with matrix units (AMX).

    Other processors do not gain. With AVX-512 a step takes as long as in float32. Without AVX-512, as in most laptops,
    a convolution takes about a hundred times as long and a matrix product six times as long.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return has_fast_bfloat16(capabilities())
    return True


def autocast(device: torch.device) -> AbstractContextManager:
    """Return torch's autocast to bfloat16 where that is faster than float32, else a context that does nothing."""
    return torch.autocast(device.type, torch.bfloat16) if is_bfloat16_fast(device) else nullcontext()
