"""Small settings for a training, what can befall it, and runs held against each other to the last bit."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from grounding.data.augment import AugmentationConfig
from grounding.data.batches import TrainingBatch
from grounding.model.decoder import DecoderConfig
from grounding.training.config import TrainConfig
from grounding.training.criterion import LossConfig, TrainingCriterion
from grounding.training.run_folder import STEP_TAGS
from grounding.training.train import train
from tests.processes import newest_state

SMALL = DecoderConfig(width=16, blocks=1, queries=2, query_dim=8)
AUGMENTED = AugmentationConfig(crop=True, flip=True)
ALL_LOSSES = LossConfig(contrast_weight=0.1)
Losses = dict[str, torch.Tensor]


def at_step(patch: pytest.MonkeyPatch, number: int, change: Callable[[Losses], Losses], *, until: int = 0) -> None:
    """Does something in the middle of a step, counted from 1, and in those after it `until` another."""
    losses, calls = TrainingCriterion.forward, iter(range(1, 1000))

    def disturbed(criterion: TrainingCriterion, batch: TrainingBatch) -> Losses:
        found = losses(criterion, batch)
        return change(found) if number <= next(calls) <= max(number, until) else found

    patch.setattr(TrainingCriterion, "forward", disturbed)


class Killed(Exception):
    pass


def killed_after(patch: pytest.MonkeyPatch, steps: int, death: type[BaseException] | BaseException = Killed) -> None:
    """Ends the process's trainings in the middle of the step after `steps`, which are counted over all of them."""
    at_step(patch, steps + 1, Mock(side_effect=death))


def logged(run: Path) -> dict[str, dict[int, float]]:
    """Name of what a run logged of each step -> its values by step, as TensorBoard reads them."""
    log = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    tags = [tag for tag in log.Tags()["scalars"] if tag.startswith(STEP_TAGS)]
    return {tag.removeprefix(STEP_TAGS): {each.step: each.value for each in log.Scalars(tag)} for tag in tags}


def signalled(number: int) -> Callable[[Losses], Losses]:
    def send(losses: Losses) -> Losses:
        os.kill(os.getpid(), number)
        return losses

    return send


def not_a_number(losses: Losses) -> Losses:
    return {name: value * torch.nan for name, value in losses.items()}


def decoder_of(run: Path) -> Losses:
    """Of the best epoch."""
    return load_file(run / "decoder.safetensors")


def equal(one: Losses, other: Losses) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


def state_names(run: Path) -> list[str]:
    """Step and epoch of each state, the oldest first."""
    return sorted(path.name[:13] for path in (run / "states").iterdir())


def assert_same(one: TrainConfig, other: TrainConfig) -> None:
    """Of the best epoch, of the last step, and their mean then; measures and progress too."""
    assert equal(decoder_of(one.output), decoder_of(other.output))
    first, second = (newest_state(run.output) for run in (one, other))
    assert equal(first["weights"], second["weights"]) and equal(first["mean"], second["mean"])
    assert first["progress"] == second["progress"]
    logs = [(run.output / "metrics.jsonl").read_text() for run in (one, other)]
    assert logs[0] == logs[1]
    assert not [path for run in (one, other) for path in run.output.rglob("*.part")]


def assert_killed_and_resumed_equals_uninterrupted(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    expected = train(config)
    broken = replace(config, output=config.output.with_name("broken"))
    with monkeypatch.context() as patch:
        killed_after(patch, steps)
        with pytest.raises(Killed):
            train(broken)
    assert train(replace(broken, resume=True)) == expected
    assert_same(config, broken)
