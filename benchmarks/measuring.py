"""What the benchmarks share: their command line, sides that take turns, and findings."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from jsonargparse import auto_cli
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import write_text_atomic

RESULTS = Path(__file__).with_name("results.json")
ROUNDS = 10


@dataclass(frozen=True)
class Finding:
    """One number, measured side by side in one run.

    Attributes:
        name: in results.json; the module's name, and after a dot what else tells it apart.
        ratio: what was measured.
        goal: what it is held against; None where there is nothing to hold it against.
        at_least: whether the goal is the least that it may be; else the most.
        detail: a sentence with the figures behind it: medians, sizes, threads, precision.
    """

    name: str
    ratio: float
    goal: float | None
    at_least: bool
    detail: str

    @property
    def met(self) -> bool | None:
        """Whether the ratio keeps to its goal; None where there is none."""
        if self.goal is None:
            return None
        return bool(self.ratio >= self.goal if self.at_least else self.ratio <= self.goal)


def run(main: Callable[..., object]) -> None:
    """Call a module's `main` with the options of its command line; what a user can mend is one sentence."""
    name = getattr(sys.modules["__main__"].__spec__, "name", "")
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False, prog=f"python -m {name}")


def take_turns(sides: Mapping[str, Callable[[], object]], *, rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of each side, one after the other in every round, so that a slow minute hits all of them.

    A first round, which also pays for what libraries put off until they are used, is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            began = perf_counter()
            side()
            if turn:
                seconds[name].append(perf_counter() - began)
    return {name: median(values) for name, values in seconds.items()}


def flops_of(call: Callable[[], object]) -> int:
    """FLOPs of one call as PyTorch counts them, a multiply-add being two; of ONNX Runtime's networks it sees none."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # what is fused is not counted
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    try:
        with FlopCounterMode(display=False, custom_mapping={attention: _of_attention}) as counted:
            call()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return counted.get_total_flops()


def _of_attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def report(findings: Sequence[Finding], *, command: str, path: Path = RESULTS) -> None:
    """Print the findings, and put them in place of those of the same names in results.json.

    Args:
        findings: of one benchmark.
        command: what repeats them.
        path: the file.
    """
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for each in findings:
        goal = "" if each.goal is None else f" (goal {'>=' if each.at_least else '<='} {each.goal:g}: " + (
            "met)" if each.met else "NOT met)")  # fmt: skip
        print(f"{each.name}: {each.ratio:.3g}{goal}; {each.detail}", flush=True)
        known[each.name] = {"ratio": float(each.ratio), "goal": each.goal, "at_least": each.at_least, "met": each.met,
                            "detail": each.detail, "command": command, "hardware": hardware()}  # fmt: skip
    write_text_atomic(path, json.dumps(dict(sorted(known.items())), indent=2) + "\n")


def peak_memory() -> int:
    """The most bytes of memory that this process has held at once.

    Linux's `ru_maxrss` would not do: it begins with the peak of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def hardware() -> str:
    """What the figures were measured on."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), processor)
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}{gpu}"
