"""What the frozen CLIP and the decoder compute in when phrases are grounded, and what this asks of the machine."""

from __future__ import annotations

import os
import shutil
import sys
from functools import cache
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
        if torch.device(device).type == "cpu" and not _multiplies_bfloat16(torch.device(device)):
            _warn_of_slow_bfloat16()
        return torch.bfloat16
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(torch.device(device)) else torch.float32
    raise InputError(f"precision is {precision!r}: give auto, float32 or bfloat16")


def precision_name(number_format: torch.dtype) -> str:
    """How results files call it: "float32" or "bfloat16"."""
    return str(number_format).removeprefix("torch.")


@cache
def _warn_of_slow_bfloat16() -> None:
    print("precision is bfloat16, and this CPU has no instructions for it: several times slower than --precision "
          "float32", file=sys.stderr)  # fmt: skip


def refuse_without_compiler(device: str | torch.device) -> None:
    """Does nothing where `torch.compile` finds what it needs on a device.

    Raises:
        InputError: the device is the CPU and there is no C++ compiler.
    """
    compiler = os.environ.get("CXX", "g++")  # where torch looks
    if torch.device(device).type == "cpu" and shutil.which(compiler) is None:
        raise InputError(
            f"compiled needs the C++ compiler {compiler!r}, which is not installed: install it or leave it"
        )


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # torch answers this question under a private name only; a version without it computes in float32.
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
    return False
