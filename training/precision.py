"""In which precision a device trains fastest."""

from contextlib import AbstractContextManager, nullcontext

import torch


def is_bfloat16_fast(device: torch.device) -> bool:
    """On GPUs made for it, and on processors with AVX-512.

    On other processors, most laptops' among them, a convolution in bfloat16 takes about a hundred times as long as in
    float32, and a product of matrices six times as long.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type != "cpu" or torch.backends.cpu.get_cpu_capability() == "AVX512"


def autocast(device: torch.device) -> AbstractContextManager:
    """bfloat16 for what bears it, where that is the faster one."""
    return torch.autocast(device.type, torch.bfloat16) if is_bfloat16_fast(device) else nullcontext()
