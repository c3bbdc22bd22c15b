"""Whether a part computes in bfloat16 on a processor."""

import logging
from collections.abc import Mapping

import torch

from ..processor import has_fast_bfloat16

log = logging.getLogger(__name__)


def capabilities() -> Mapping[str, object]:
    """Return what torch says of the processor, by name; nothing where torch is too old to tell."""
    return getattr(torch.cpu, "get_capabilities", dict)()


def computes_in(dtype: torch.dtype | None, device: torch.device, part: str) -> bool:
    """Tell whether a part whose weights were asked for in bfloat16 computes in it on this processor.

    A line in the log says so where it does not. For other types and devices, of which the host knows all: False.

    Args:
        dtype: of the weights, as chosen in the loader; None leaves the choice to the host.
        device: that the part runs on.
        part: its name, for the log.
    """
    if dtype != torch.bfloat16 or device.type != "cpu":
        return False
    if has_fast_bfloat16(capabilities()):
        return True
    log.info("PaintsUndo: this processor is slow in bf16, so the %s computes in float32.", part)
    return False
