"""Small settings for a training, and runs held against each other to the last bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from grounding.data.augment import AugmentationConfig
from grounding.model.decoder import DecoderConfig
from grounding.training.config import TrainConfig
from grounding.training.criterion import LossConfig
from grounding.training.train import train
from tests.killed import Killed, killed_after

SMALL = DecoderConfig(width=16, blocks=1, queries=2, query_dim=8)
AUGMENTED = AugmentationConfig(crop=True, flip=True)
ALL_LOSSES = LossConfig(contrast_weight=0.1)
Losses = dict[str, torch.Tensor]


def weights(run: Path) -> Losses:
    """Of the best epoch, of the last step, and their mean then."""
    newest = max((run / "states").iterdir())
    files = run / "decoder.safetensors", newest / "model.safetensors", newest / "mean.safetensors"
    return {f"{path.name}.{name}": value for path in files for name, value in load_file(path).items()}


def newest_state(run: Path) -> str:
    """Its name: step and epoch."""
    return max(path.name for path in (run / "states").iterdir())


def assert_same(one: TrainConfig, other: TrainConfig) -> None:
    first, second = weights(one.output), weights(other.output)
    assert set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)
    logs = [(run.output / "metrics.jsonl").read_text() for run in (one, other)]
    assert logs[0] == logs[1]
    left = [path for run in (one, other) for path in run.output.rglob("*") if path.name in ("unfinished", "part")]
    assert not left


def assert_killed_and_resumed_equals_uninterrupted(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    expected = train(config)
    broken = replace(config, output=config.output.with_name("broken"))
    with monkeypatch.context() as patch:
        killed_after(patch, steps)
        with pytest.raises(Killed):
            train(broken)
    measures = train(replace(broken, resume=True))

    assert measures == expected
    whole, resumed = (load_file(run.output / "decoder.safetensors") for run in (config, broken))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    lines = [(run.output / "metrics.jsonl").read_text().splitlines() for run in (config, broken)]
    assert lines[0] == lines[1]
