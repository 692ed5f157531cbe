"""`evaluate.py`: a method beside its zero-shot form and chance, on the same examples, as a table and files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from accelerate import Accelerator
from jsonargparse.typing import PositiveInt

from grounding.baselines.gradcam import GradCAMGrounder
from grounding.config import ModelConfig
from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from grounding.evaluation import evaluate, results_table, write_results
from grounding.grounder import DenseGrounder, Grounder
from grounding.loading import GRADCAM, TRAINING_FREE, ZERO_SHOT, load, zero_shot


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure a method on every expression of a split.

    Attributes:
        run: folder of a training run, or "zero-shot", "gradcam", "whole-image", "random-box".
        data: root folder of the data set, in RefCOCOg's layout.
        output: folder for results.json and predictions.jsonl.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split to measure on; all of it is used.
        beside: training-free methods measured on the same examples.
        model: the CLIP and its input size for "zero-shot" without a run; a run brings its own.
        images_per_batch: images that go through the model together.
        device: "auto" (a GPU if there is one) or "cpu".
        workers: processes that read images; 0 reads in this one.
    """

    run: str
    data: Path
    output: Path
    split_by: str = "umd"
    split: str = "test"
    beside: list[str] = field(default_factory=lambda: list(TRAINING_FREE))
    model: ModelConfig = field(default_factory=ModelConfig)
    images_per_batch: PositiveInt = 16
    device: Literal["auto", "cpu"] = "auto"
    workers: int = 0


def compare(config: EvaluateConfig) -> str:
    """Measure, write results.json and predictions.jsonl into the output folder, and return the table.

    Raises:
        InputError: a method, the data or an image cannot be used; then no file is written.
    """
    dataset = RefCOCOg(config.data, config.split, split_by=config.split_by, group_by="image")
    dataset.check_images()
    device = Accelerator(cpu=config.device == "cpu").device
    main = load(config.run, model=config.model, device=device)
    grounders = [main, *(_beside(name, main, config, device) for name in config.beside if name != main.name)]
    config.output.mkdir(parents=True, exist_ok=True)
    unfinished = config.output / "predictions.part"
    try:
        with unfinished.open("w") as file:
            methods = evaluate(
                grounders,
                dataset,
                images_per_batch=config.images_per_batch,
                workers=config.workers,
                on_prediction=lambda row: print(json.dumps(row), file=file),
                description=f"evaluating on {config.split}",
            )
        unfinished.replace(config.output / "predictions.jsonl")
    finally:
        unfinished.unlink(missing_ok=True)
    write_results(config.output / "results.json", data=str(config.data), split=config.split, methods=methods,
                  split_by=config.split_by, images=len(dataset), weights=main.weights)  # fmt: skip
    facts = f"{config.data}, split {config.split} ({config.split_by}), {len(dataset)} images; weights: {main.weights}"
    return f"{facts}\n{results_table(methods)}\nwritten to {config.output}"


def _beside(name: str, main: Grounder, config: EvaluateConfig, device: object) -> Grounder:
    if name not in TRAINING_FREE:
        raise InputError(f"no training-free method {name!r} for --beside: choose from {', '.join(TRAINING_FREE)}")
    if name == ZERO_SHOT and isinstance(main, DenseGrounder):
        return zero_shot(main.encoder, main.thresholds)  # the same CLIP at the same input size
    if name == GRADCAM and isinstance(main, DenseGrounder):
        return GradCAMGrounder(main.encoder.clip, thresholds=main.thresholds)
    return load(name, model=config.model, device=device)  # type: ignore[arg-type]
