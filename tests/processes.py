"""Several processes for a test, and how far two runs are from each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from safetensors.torch import load_file
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from grounding.methods.names import DECODER_FILE
from grounding.training.checkpoint import WEIGHTS_FILE
from grounding.training.run_folder import STATES_FOLDER

Result = TypeVar("Result")


def in_processes(count: int, function: Callable[..., Result], *arguments: object) -> list[Result]:
    """What a function returns in each of so many new processes, which know of each other as under `torchrun`."""
    settings = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=count, run_id="together", rdzv_backend="c10d",
                            rdzv_endpoint="localhost:0", monitor_interval=0.1, max_restarts=0)  # fmt: skip
    results: dict[int, Result] = elastic_launch(settings, function)(*arguments)
    return [results[process] for process in range(count)]


def _weights(run: Path) -> list[Path]:
    return [max((run / STATES_FOLDER).iterdir()) / WEIGHTS_FILE, run / DECODER_FILE]


def largest_difference(first: Path, second: Path) -> float:
    """Of any weight of two runs: of their last step, and of the running mean that they keep."""
    differences = []
    for pair in zip(*map(_weights, (first, second)), strict=True):
        mine, other = map(load_file, pair)
        if set(mine) != set(other):
            raise ValueError(f"{first} and {second} hold different weights")
        differences += [float((mine[key] - other[key]).abs().max()) for key in mine]
    return max(differences)
