"""What the frozen CLIP and the decoder compute in when phrases are grounded, and where, whatever the caller has set."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Literal

import numpy as np
import torch

from grounding.runtime.errors import InputError

Precision = Literal["auto", "float32", "bfloat16"]
_computing_in: dict[str, int] = {}  # the "process" that computed first: its threads are in none that is forked off it


@contextmanager
def own_mode() -> Iterator[None]:
    """What the caller has set for computations of his own has no effect on those of the block.

    That is autocast, gradients, inference mode, the default device and what NumPy does on an underflow and the like.
    What the block remembers is thus the same whoever asks first, and serves in any mode afterwards. A process that was
    forked off one that had computed already would wait forever for its threads: it is refused by an InputError.
    """
    if _computing_in.setdefault("process", os.getpid()) != os.getpid() and torch.get_num_threads() > 1:
        raise InputError(
            "this process was forked off one that had loaded a method already, and lacks that one's threads: start "
            "processes with multiprocessing's 'spawn', or call torch.set_num_threads(1) in them first"
        )
    with ExitStack() as modes:
        modes.enter_context(torch.inference_mode(False))
        modes.enter_context(torch.no_grad())
        for device in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(device):
                modes.enter_context(torch.autocast(device, enabled=False))
        modes.enter_context(torch._C.DisableTorchFunction())  # by which the default device acts
        modes.enter_context(np.errstate(all="warn", under="ignore"))  # NumPy's own
        yield


def usable_device(device: str | int | torch.device) -> torch.device:
    """The device of a name; "auto" is a GPU where there is one, else the CPU. InputError where it is of no use here."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).cpu()  # a name may be known and its driver missing
    except Exception as error:  # torch raises many kinds
        raise InputError(
            f"device is {device!r}, which PyTorch cannot use on this machine: give 'auto' or 'cpu', or 'cuda' where "
            "there are an NVIDIA GPU and its driver"
        ) from error
    return found


def number_format(precision: Precision, device: str | torch.device) -> torch.dtype:
    """What a precision means on a device: "auto" is bfloat16 where the device multiplies it natively.

    Where it does not, a bfloat16 network is slower than a float32 one; asked for by name, that is said once on stderr.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise InputError(f"precision is {precision!r}: give auto, float32 or bfloat16")
    native = _multiplies_bfloat16(torch.device(device))
    if precision == "auto":
        precision = "bfloat16" if native else "float32"
    elif precision == "bfloat16" and not native and torch.device(device).type == "cpu":
        _warn_of_slow_bfloat16()
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


@cache
def _warn_of_slow_bfloat16() -> None:
    print("precision is bfloat16, and this CPU has no instructions for it: several times slower than --precision "
          "float32", file=sys.stderr)  # fmt: skip


def precision_name(number_format: torch.dtype) -> str:
    """How results files call it: "float32" or "bfloat16"."""
    return str(number_format).removeprefix("torch.")


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # torch answers this question under a private name only; a version without it computes in float32.
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
    return False
