"""A training that ends in the middle of a step, as by a signal."""

from __future__ import annotations

import pytest
import torch

from grounding.data.batches import TrainingBatch
from grounding.training.criterion import TrainingCriterion


class Killed(Exception):
    pass


def killed_after(patch: pytest.MonkeyPatch, steps: int, death: type[BaseException] | BaseException = Killed) -> None:
    """Ends the process's trainings in the middle of the step after `steps`, which are counted over all of them."""
    losses = TrainingCriterion.forward
    calls = iter(range(steps + 1))

    def dying(criterion: TrainingCriterion, batch: TrainingBatch) -> dict[str, torch.Tensor]:
        if next(calls) == steps:
            raise death
        return losses(criterion, batch)

    patch.setattr(TrainingCriterion, "forward", dying)
