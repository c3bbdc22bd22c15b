"""In which precision a device trains fastest."""

from contextlib import AbstractContextManager, nullcontext

import torch


def is_bfloat16_fast(device: torch.device) -> bool:
    """On GPUs made for it, and on processors with matrix units (AMX).

    Other processors win nothing by it. With AVX-512 a step takes as long as in float32; without, as most laptops', a
    convolution takes about a hundred times as long, and a product of matrices six times as long.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", dict)  # older versions of torch tell nothing
        return bool(capabilities().get("amx_bf16"))
    return True


def autocast(device: torch.device) -> AbstractContextManager:
    """bfloat16 for what bears it, where that is the faster one."""
    return torch.autocast(device.type, torch.bfloat16) if is_bfloat16_fast(device) else nullcontext()
