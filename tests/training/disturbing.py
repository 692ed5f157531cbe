"""What can befall a training in the middle of a step."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch

from grounding.data.batches import TrainingBatch
from grounding.training.criterion import TrainingCriterion
from tests.training.runs import Losses


def at_step(patch: pytest.MonkeyPatch, number: int, change: Callable[[Losses], Losses], *, until: int = 0) -> None:
    """Does something in the middle of a step, counted from 1, and in those after it `until` another."""
    losses, calls = TrainingCriterion.forward, iter(range(1, 1000))

    def disturbed(criterion: TrainingCriterion, batch: TrainingBatch) -> Losses:
        found = losses(criterion, batch)
        return change(found) if number <= next(calls) <= max(number, until) else found

    patch.setattr(TrainingCriterion, "forward", disturbed)


def signalled(number: int) -> Callable[[Losses], Losses]:
    def send(losses: Losses) -> Losses:
        os.kill(os.getpid(), number)
        return losses

    return send


def not_a_number(losses: Losses) -> Losses:
    return {name: value * torch.nan for name, value in losses.items()}
