"""What a processor is made for. Standard library only, because commands read it before ComfyUI runs."""

from collections.abc import Mapping


def has_fast_bfloat16(found: Mapping[str, object]) -> bool:
    """Tell from torch's capabilities whether a processor computes faster in bfloat16 than in float32: with AMX.

    AVX-512 alone does not help: some of torch's kernels then take about a hundred times as long, also where it has
    instructions for bfloat16 (`avx512_bf16`).

    Args:
        found: what torch.cpu.get_capabilities returns; empty where torch is too old to tell.
    """
    return bool(found.get("amx_bf16"))
