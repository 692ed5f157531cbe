"""The processes of one launch: how many share the work, which one this is, and what they agree on.

`torchrun` and `accelerate launch` start and number them, `accelerate` lets them meet. Process 0 is the main one: it
alone prints, and writes what is written once. With one process, nothing is exchanged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, TypeVar
from unittest.mock import patch

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor

from grounding.runtime.errors import InputError, SharedError
from grounding.runtime.launch import is_main, launched_as

# For the others, where shares of the work take differently long. Nobody waits for a process that has failed: it says so
# (`failing_together`), and where it ended without a word, as one that was killed, the launcher ends all of them.
PATIENCE = timedelta(days=30)

# What accelerate is told in their place where there is no launch: it would take one of them for one, and MPI's too.
ALONE = {"LOCAL_RANK": "-1", "PMI_SIZE": "1"}

Value = TypeVar("Value")
Given = ParamSpec("Given")


def on_cpu(device: str) -> bool:
    """Whether to work without GPUs, for a setting `device` of "auto" or "cpu".

    Without being told that it is for the CPU, accelerate takes each process of a launch without GPUs to be alone.
    """
    return device == "cpu" or (launched_as()[1] > 1 and not torch.cuda.is_available())


def join_launch(device: str) -> PartialState:
    """What this process is of its launch, connected with the others; alone where nothing has launched it.

    `device` is "auto" (a GPU if there is one) or "cpu".
    """
    with patch.dict(os.environ, ALONE if launched_as()[1] == 1 else {}):
        return PartialState(cpu=on_cpu(device), timeout=PATIENCE)


def process_count() -> int:
    """How many processes have met; 1 as long as none has."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_index() -> int:
    """This process's number, from 0; 0 as long as none has met another."""
    return dist.get_rank() if process_count() > 1 else 0


def on_main(function: Callable[Given, None]) -> Callable[Given, None]:
    """The function in the main process, and nothing in the others, which do not hear of its errors.

    Where they go on together afterwards, it is called within `failing_together`.
    """

    @wraps(function)
    def guarded(*arguments: Given.args, **named: Given.kwargs) -> None:
        if is_main():
            function(*arguments, **named)

    return guarded


def leave() -> None:
    """Ends what the processes exchange, at the end of a program; without it NCCL complains."""
    if process_count() > 1:
        dist.destroy_process_group()


def gather(own: Sequence[Value]) -> list[Value]:
    """Every process's items in all processes, in the order of their numbers; each calls this once."""
    if process_count() == 1:
        return list(own)
    parts: list[Sequence[Value]] = [()] * process_count()
    dist.all_gather_object(parts, own)
    return [item for part in parts for item in part]


def mean_over_processes(values: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean of every () value over the processes; all have the same names in the same order."""
    stacked = torch.stack([value.detach() for value in values.values()])
    if process_count() > 1:
        dist.all_reduce(stacked)
        stacked /= process_count()
    return dict(zip(values, stacked.tolist(), strict=True))


def scale_to_global_means(means: Mapping[str, tuple[Tensor, int]]) -> dict[str, Tensor]:
    """This process's means, scaled so that their average over the processes is the mean over all things.

    `DistributedDataParallel` averages gradients over processes, however many things each of them took its mean over.
    A mean m over n of the N things that W processes hold is therefore multiplied by W n / N. Of each name, `means` has
    a () mean and n; all processes have the same names in the same order.
    """
    if process_count() == 1:
        return {name: mean for name, (mean, _) in means.items()}
    device = next(iter(means.values()))[0].device
    counts = torch.tensor([count for _, count in means.values()], device=device)
    dist.all_reduce(counts)
    totals = counts.tolist()
    return {
        name: mean * (process_count() * count / max(1, total))
        for (name, (mean, count)), total in zip(means.items(), totals, strict=True)
    }


@contextmanager
def failing_together() -> Iterator[None]:
    """An error in the block of one process ends the block of all: nobody waits for a process that has gone.

    So, too, for what the main process alone does in it, while the others have nothing to do. All processes must enter
    the block, and none may exchange anything within it. What the first of those that failed says is an `InputError` in
    the main process and a `SharedError` in the others; a process that itself failed otherwise raises its own error.
    """
    if process_count() == 1:
        yield
        return
    error = None
    try:
        yield
    except Exception as caught:
        error = caught
    messages: list[str | None] = [None] * process_count()
    dist.all_gather_object(messages, None if error is None else _sentence(error))
    first = next((message for message in messages if message is not None), None)
    if error is not None and not isinstance(error, InputError):
        raise error
    if first is not None:
        raise (InputError if is_main() else SharedError)(first) from error


def _sentence(error: Exception) -> str:
    """What the other processes say of an error."""
    if isinstance(error, InputError):
        return str(error)
    reason = " ".join(str(error).split()) or "no reason given"
    return f"process {process_index()} has failed ({type(error).__name__}: {reason}): mend that, and start all again"
