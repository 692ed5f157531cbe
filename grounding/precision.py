"""In which number format the frozen CLIP and the decoder compute when phrases are grounded."""

from __future__ import annotations

from typing import Literal

import torch

from grounding.errors import InputError

Precision = Literal["auto", "float32", "bfloat16"]


def number_format(precision: Precision, device: str | torch.device) -> torch.dtype:
    """What a precision means on a device: "auto" is bfloat16 where the device multiplies it natively.

    Where it does not, a bfloat16 network would be slower than a float32 one.

    Raises:
        InputError: there is no such precision.
    """
    if precision == "float32":
        return torch.float32
    if precision == "bfloat16":
        return torch.bfloat16
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(torch.device(device)) else torch.float32
    raise InputError(f"precision is {precision!r}: give auto, float32 or bfloat16")


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # torch answers this question under a private name only; a version without it computes in float32.
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
    return False
