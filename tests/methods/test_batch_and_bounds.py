"""Configurations that are made in Python are held to the bounds of the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from grounding import InputError
from grounding.deployment.bulk import BulkConfig, ground_file
from grounding.evaluation.compare import EvaluateConfig, compare
from grounding.training.config import TrainConfig
from grounding.training.train import train
from grounding.visualization.commands import VisualizeConfig, sheets


def test_configurations_made_in_python_are_held_to_the_same_bounds(tmp_path: Path) -> None:
    bulk = BulkConfig("zero-shot", tmp_path / "r.jsonl", tmp_path / "o.jsonl")
    training, comparison = TrainConfig(tmp_path, tmp_path), EvaluateConfig(["zero-shot"], tmp_path, tmp_path)
    for start, config, said in (
        (ground_file, replace(bulk, readers=0), "BulkConfig: readers is 0"),
        (train, replace(training, workers=-1), "TrainConfig: workers is -1"),
        (train, replace(training, epochs=1.5), r"TrainConfig: epochs is 1\.5"),
        (compare, replace(comparison, images_per_batch=0), "EvaluateConfig: images_per_batch is 0"),
        (sheets, VisualizeConfig(["zero-shot"], tmp_path, data=tmp_path, count=-2), "VisualizeConfig: count is -2"),
    ):
        with pytest.raises(InputError, match=said):
            start(config)  # type: ignore[operator]
