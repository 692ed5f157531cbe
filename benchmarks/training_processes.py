"""Two processes that share every batch against one: `python -m benchmarks.training_processes`.

Both train on the same few scenes with the embedded CLIP, from the same seed, each process with one thread; whole runs
take turns. The largest difference between their weights after 20 steps, augmentation and all losses included (goal: at
most 1e-5), and the share of a doubled speed that two processes reach on this machine (no goal: it says as much of the
machine's memory as of the program).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

import torch
from jsonargparse import auto_cli
from safetensors.torch import load_file
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from benchmarks.measuring import Finding, report
from grounding.data.augment import AugmentationConfig
from grounding.data.refshapes.writer import write_refshapes
from grounding.methods.names import DECODER_FILE
from grounding.runtime.cli import parse
from grounding.training.checkpoint import WEIGHTS_FILE
from grounding.training.config import TrainConfig
from grounding.training.criterion import LossConfig
from grounding.training.run_folder import STATES_FOLDER
from grounding.training.train import train

Result = TypeVar("Result")
STEPS_PER_EPOCH, EPOCHS = 5, 4
GOAL = 1e-5


def in_processes(count: int, function: Callable[..., Result], *arguments: object) -> list[Result]:
    """What a function returns in each of so many new processes, which know of each other as under `torchrun`."""
    settings = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=count, run_id="together", rdzv_backend="c10d",
                            rdzv_endpoint="localhost:0", monitor_interval=0.1, max_restarts=0)  # fmt: skip
    results: dict[int, Result] = elastic_launch(settings, function)(*arguments)
    return [results[process] for process in range(count)]


def epoch_ends(config: TrainConfig) -> list[float]:
    """Train with one thread; the moments in seconds at which the epochs ended."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # without it, accelerate gives a process as many threads as it may have cores
    ends: list[float] = []
    train(config, on_epoch=lambda *_: ends.append(perf_counter()))
    return ends


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


def main(rounds: int = 3, images_per_batch: int = 8, output: Path | None = None) -> None:
    """Measure and report.

    Args:
        rounds: runs of each side.
        images_per_batch: of a step, over all processes.
        output: results file, where it is not the project's own.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Two images too few: the last batch of an epoch is filled up.
        write_refshapes(folder / "data", {"train": STEPS_PER_EPOCH * images_per_batch - 2, "val": 1, "test": 1})
        config = parse(TrainConfig, "train", ["--config", "configs/demo.yaml"])
        config = replace(
            config, data=folder / "data", images_per_batch=images_per_batch, epochs=EPOCHS, patience=EPOCHS,
            subset=None, validation_subset=None, warmup_steps=5,
            augmentation=AugmentationConfig(crop=True, flip=True),
            losses=LossConfig(contrast_weight=0.1),
        )  # fmt: skip
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(rounds):
            for count in seconds:
                ends = in_processes(count, epoch_ends, replace(config, output=folder / f"{count}_{turn}"))[0]
                # The first epoch also pays for what libraries put off until they are used.
                seconds[count] += [later - earlier for earlier, later in pairwise(ends)]
        difference = largest_difference(folder / "1_0", folder / "2_0")
    alone, shared = (median(values) / STEPS_PER_EPOCH for values in seconds.values())
    size = config.model.model_size
    setting = f"{images_per_batch} images a batch, embedded CLIP at {size} pixels, 1 thread a process"
    report(
        [
            Finding("training_processes.weights", difference, GOAL, False,
                    f"largest difference of a weight after {EPOCHS * STEPS_PER_EPOCH} steps; {setting}"),
            Finding("training_processes.efficiency", alone / (2 * shared), None, True,
                    f"{alone:.2f} s a step in one process, {shared:.2f} s in two, validation of one image and saving "
                    f"included, median of {len(seconds[1])} epochs each; {setting}"),
        ],
        command="python -m benchmarks.training_processes",
        **({} if output is None else {"path": output}),
    )  # fmt: skip


if __name__ == "__main__":
    auto_cli(main, args=sys.argv[1:], as_positional=False)
