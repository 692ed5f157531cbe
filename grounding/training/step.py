"""The optimiser of a run, and one step of it: from a batch to better weights, or to none if a number is not finite."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from grounding.data.batches import TrainingBatch
from grounding.runtime.distributed import mean_over_processes
from grounding.training.config import TrainConfig
from grounding.training.criterion import TrainingCriterion
from grounding.training.run_folder import GRADIENT_NORM, LEARNING_RATE, TOTAL_LOSS

# Of AdamW. Where a gradient is zero but for rounding, as that of an attention's key bias, which softmax ignores, what
# rounding leaves must not be blown up to a step: it is another with every other number of processes.
EPSILON = 1e-6
# Of the gradient scaler for float16. It starts far above, and skips the steps by which it finds how large it may be;
# where the scale has come to be below 1, it is not the scale that makes gradients infinite.
LEAST_SCALE = 1.0


class TrainingStep:
    """Makes optimiser steps: AdamW with a linear warm-up and a cosine, and `mean`, the decoder's running mean."""

    def __init__(
        self, criterion: TrainingCriterion, config: TrainConfig, accelerator: Accelerator, *, total_steps: int
    ) -> None:
        # Plain numbers: those of the command line are of a class that a saved state would need on reading.
        groups = _parameter_groups(criterion, float(config.weight_decay))
        optimizer = torch.optim.AdamW(groups, lr=float(config.learning_rate), eps=EPSILON, fused=True)
        schedule = LambdaLR(optimizer, lambda step: warmup_cosine(step, config.warmup_steps, total_steps))
        self.accelerator, self._decoder, self._clip_norm = accelerator, criterion.decoder, config.clip_norm
        averaged = AveragedModel(criterion.decoder, multi_avg_fn=running_mean(config.ema_decay))
        self.mean = averaged.to(accelerator.device)
        self._criterion, self._optimizer, self._schedule = accelerator.prepare(criterion, optimizer, schedule)

    def __call__(self, batch: TrainingBatch) -> tuple[dict[str, float], bool]:
        """One step on this process's part of a batch; all processes call it at the same time.

        Losses, gradient norm before clipping and learning rate, by name; and whether the step was skipped, since the
        loss or the gradient was not finite, and nothing was changed. A step in which the gradient was too large for
        float16 as it was scaled is none of these: nothing was changed either, and the next scale is smaller.
        """
        self._criterion.train()
        with self.accelerator.autocast():
            losses: dict[str, Tensor] = self._criterion(batch)
        loss = torch.stack(list(losses.values())).sum()
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self._criterion.parameters(), self._clip_norm)
        # All processes must agree on whether to skip: a loss that is not finite in one makes the mean so.
        values = mean_over_processes({TOTAL_LOSS: loss, **losses, GRADIENT_NORM: norm})
        finite = math.isfinite(values[TOTAL_LOSS]) and math.isfinite(values[GRADIENT_NORM])
        scaler = self.accelerator.scaler
        scale = 0.0 if finite or scaler is None else scaler.get_scale()
        if finite or scaler is not None:  # which leaves such a step out itself, and learns from it
            self._optimizer.step()
        values[LEARNING_RATE] = float(self._schedule.get_last_lr()[0])  # of this step; all groups have the same
        if finite:
            self._schedule.step()
            self.mean.update_parameters(self._decoder)
        self._optimizer.zero_grad(set_to_none=True)
        # Not the accelerator's `optimizer_step_was_skipped`: a fused optimiser is called then too, and skips inside.
        too_large_as_scaled = scale >= LEAST_SCALE and math.isfinite(values[TOTAL_LOSS]) and scaler.get_scale() < scale
        return values, not finite and not too_large_as_scaled

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, whether or not several processes share it; `load_state` takes it."""
        return {name: each.state_dict() for name, each in self._parts().items()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put everything back as it was when `state` gave it."""
        for name, each in self._parts().items():
            each.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts = {"weights": self.accelerator.unwrap_model(self._criterion), "mean": self.mean,
                 "optimizer": self._optimizer, "schedule": self._schedule}  # fmt: skip
        return parts if self.accelerator.scaler is None else {**parts, "scaler": self.accelerator.scaler}


def running_mean(decay: float) -> Callable[..., None]:
    """The update of an exponential moving average that starts quickly: the decay grows from 1/10 to `decay`.

    Without this, the mean of a run of a few hundred steps would still be mostly its random start.
    """

    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], updates: Tensor) -> None:
        step_decay = min(decay, (1 + float(updates)) / (10 + float(updates)))
        torch._foreach_lerp_(averages, values, 1 - step_decay)

    return update


def warmup_cosine(step: int, warmup_steps: int, total_steps: int) -> float:
    """Factor on the learning rate: linear up to 1, then a cosine down to 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return 0.5 * (1 + math.cos(math.pi * done))


def _parameter_groups(criterion: nn.Module, weight_decay: float) -> Iterator[dict[str, object]]:
    """Kernels decay, biases and norms do not."""
    parameters = sorted(criterion.parameters(), key=lambda p: p.ndim > 1)
    for decays, group in itertools.groupby(parameters, key=lambda p: p.ndim > 1):
        yield {"params": list(group), "weight_decay": weight_decay if decays else 0.0}
