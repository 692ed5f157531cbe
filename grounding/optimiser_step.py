"""One optimiser step: from a batch to better weights, or to none where the numbers are not finite."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from grounding.data.batches import TrainingBatch
from grounding.interruption import StopRequest
from grounding.run_folder import GRADIENT_NORM, LEARNING_RATE, TOTAL_LOSS
from grounding.shared_means import mean_over_processes


@dataclass(frozen=True)
class StepOutcome:
    """What a step came to; the same in all processes.

    Attributes:
        values: losses, gradient norm before clipping and learning rate, by name.
        skipped: whether the loss or the gradient was not finite, and nothing was changed.
        stop: whether any process was asked to stop.
    """

    values: dict[str, float]
    skipped: bool
    stop: bool


@dataclass(frozen=True)
class OptimiserStep:
    """Makes steps.

    Attributes:
        accelerator: has prepared the three that follow.
        learner: gives the losses of a batch by name.
        optimizer, schedule: of its weights.
        mean: their running mean.
        trained: the module that `mean` is of.
        clip_norm: gradients are scaled down to this norm.
    """

    accelerator: Accelerator
    learner: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    mean: AveragedModel
    trained: nn.Module
    clip_norm: float

    def __call__(self, batch: TrainingBatch, stop: StopRequest) -> StepOutcome:
        """One step.

        Args:
            batch: this process's part of it.
            stop: of this process; all are to know of it after the same step.
        """
        self.learner.train()
        with self.accelerator.autocast():
            losses: dict[str, Tensor] = self.learner(batch)
        loss = torch.stack(list(losses.values())).sum()
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.learner.parameters(), self.clip_norm)
        # One exchange for all that processes must agree on: a loss that is not finite in one makes the mean so.
        asked = loss.new_tensor(stop.received)
        values = mean_over_processes({TOTAL_LOSS: loss, **losses, GRADIENT_NORM: norm, "stop": asked})
        any_stop = values.pop("stop") > 0
        finite = math.isfinite(values[TOTAL_LOSS]) and math.isfinite(values[GRADIENT_NORM])
        if finite or self.accelerator.scaler is not None:  # which leaves such a step out itself, and learns from it
            self.optimizer.step()
        values[LEARNING_RATE] = float(self.schedule.get_last_lr()[0])  # of this step; all groups have the same
        if finite:
            self.schedule.step()
            self.mean.update_parameters(self.trained)
        self.optimizer.zero_grad(set_to_none=True)
        return StepOutcome(values, not finite, any_stop)
