"""What each part of the learner is worth: `python -m benchmarks.ablation`, hours on two CPU cores.

Every experiment is trained from several seeds, for one pass over the same images, and measured on the whole test split.
Each run leaves its result in its folder as soon as it has one: killed and started again, only what is missing is done.
Writes docs/ablations.md, its figure, and the numbers behind them as JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import auto_cli
from jsonargparse.typing import PositiveInt
from tqdm import tqdm

from benchmarks.ablation_report import write_report
from grounding.cli import exit_on_input_error
from grounding.config import ModelConfig
from grounding.data.refcocog import RefCOCOg
from grounding.data.transforms import AugmentationConfig
from grounding.decoder import DecoderConfig
from grounding.evaluation import method_of, predict
from grounding.extraction_tuning import GRID, fit_head, sweep
from grounding.grounder import DenseGrounder, Grounder
from grounding.learner import ContrastConfig, LossConfig
from grounding.loading import load
from grounding.summary import summarise
from grounding.training import TrainConfig, train
from grounding.weak import WeakConfig
from grounding.whole_file import write_whole

RESULT = "ablation.json"
MEASURES = ("acc@0.5", "miou", "pointing")
WITHOUT_CONTRAST = ContrastConfig(weight=0.0)
FULL = "+ adapter"  # whose heatmaps the extractions are compared on, and whose boxes the others have a share of
EXTRACTIONS = "extractions"


@dataclass(frozen=True)
class Experiment:
    """One row: a name and the training it stands for; None for what needs none."""

    name: str
    config: TrainConfig | None


def experiments(data: Path, images: int | None) -> list[Experiment]:
    """All trainings, each with the settings of the demo apart from what its name says."""
    model = ModelConfig(model_size=320, output_stride=32, inference_sizes=(384,))
    bare = replace(model, decoder=DecoderConfig(adapter=False))
    base = TrainConfig(data, Path(), model=model, subset=images, validation_subset=50, epochs=1, images_per_batch=8,
                       phrases_per_image=2, composed_per_image=2, warmup_steps=100, device="cpu",
                       losses=LossConfig(contrast=WITHOUT_CONTRAST))  # fmt: skip
    by_heatmap = ContrastConfig(pooling="heatmap", within_image=False)
    hard = replace(by_heatmap, within_image=True, wrong_phrases=3)
    full = replace(base, losses=LossConfig(contrast=replace(hard, pooling="box")))
    weak = LossConfig(contrast=replace(hard, weight=0.5), weak=WeakConfig(teacher_sizes=(512,)))
    some = replace(base, supervision="mixed", losses=replace(weak, contrast=full.losses.contrast))
    return [
        Experiment("box masks only", replace(base, model=bare)),
        Experiment("+ contrast", replace(base, model=bare, losses=LossConfig(contrast=by_heatmap))),
        Experiment("+ hard negatives", replace(base, model=bare, losses=LossConfig(contrast=hard))),
        Experiment(FULL, full),
        Experiment("+ augmentation", replace(full, augmentation=AugmentationConfig(flip=True))),
        Experiment("weak", replace(base, supervision="weak", losses=weak)),
        Experiment(
            "weak, no contrast",
            replace(base, supervision="weak", losses=replace(weak, contrast=WITHOUT_CONTRAST)),
        ),
        *(
            Experiment(f"boxes of {percent} %", replace(some, boxes_fraction=percent / 100))
            for percent in (1, 5, 10, 25)
        ),
    ]


def main(
    data: Path = Path("data/refshapes"),
    runs: Path = Path("runs/ablation"),
    output: Path = Path("docs/ablations.md"),
    images: int | None = 4000,
    seeds: PositiveInt = 3,
    jobs: PositiveInt = 2,
) -> None:
    """Train, measure and write the report.

    Args:
        data: root folder of a data set in RefCOCOg's layout.
        runs: folder of the runs, one for each experiment and seed.
        output: Markdown file to write; its figure goes to images/ beside it.
        images: train on so many images; null for all.
        seeds: runs of each experiment.
        jobs: runs at a time, each with an equal share of the cores.
    """
    trained = [
        (experiment.name, replace(experiment.config, seed=seed, output=runs / f"{_file_name(experiment.name)}-{seed}"))
        for seed in range(seeds)
        for experiment in experiments(data, images)
        if experiment.config is not None
    ]
    untrained = [("zero-shot", runs / "zero-shot")]
    _run_all([(measure_training, config) for _, config in trained] + [(measure_zero_shot, data, path) for _, path in untrained], jobs)
