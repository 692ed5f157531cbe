"""Several processes for a test, and how far two runs are from each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from grounding.methods.names import DECODER_FILE
from grounding.training.run_folder import STATES_FOLDER

Result = TypeVar("Result")


def in_processes(count: int, function: Callable[..., Result], *arguments: object) -> list[Result]:
    """What a function returns in each of so many new processes, which know of each other as under `torchrun`."""
    settings = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=count, run_id="together", rdzv_backend="c10d",
                            rdzv_endpoint="localhost:0", monitor_interval=0.1, max_restarts=0)  # fmt: skip
    results: dict[int, Result] = elastic_launch(settings, function)(*arguments)
    return [results[process] for process in range(count)]


def newest_state(run: Path) -> dict[str, Any]:
    """What a run would go on from."""
    state: dict[str, Any] = torch.load(max((run / STATES_FOLDER).iterdir()), weights_only=True)
    return state


def largest_difference(first: Path, second: Path) -> float:
    """Of any weight of two runs: of their last step, and of the running mean that they keep."""
    differences = []
    for mine, other in zip(*([newest_state(run)["weights"], load_file(run / DECODER_FILE)] for run in (first, second)),
                           strict=True):  # fmt: skip
        if set(mine) != set(other):
            raise ValueError(f"{first} and {second} hold different weights")
        differences += [float((mine[key] - other[key]).abs().max()) for key in mine]
    return max(differences)
