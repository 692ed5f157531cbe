"""What the processes of one run agree on; with one process, nothing is exchanged.

`torchrun` and `accelerate launch` start the processes and number them; `accelerate` lets them meet. Process 0 is the
main one: it alone writes and prints.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
import torch.distributed
from torch import Tensor

from grounding.errors import InputError

Value = TypeVar("Value")
Given = ParamSpec("Given")


def process_count() -> int:
    """How many processes have met; 1 as long as none has."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size()
    return 1


def is_main() -> bool:
    """Whether this is the main process, from the start on: launchers number processes before these meet."""
    return os.environ.get("RANK", "0") == "0"


def refuse_several(command: str) -> None:
    """Does nothing, unless a launcher has started several processes.

    Raises:
        InputError: it has, and `command` is work for one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(f"{command} works in one process: start it with python, not with torchrun or accelerate")


def on_main(function: Callable[Given, None]) -> Callable[Given, None]:
    """The function in the main process, and nothing in the others."""

    @wraps(function)
    def guarded(*arguments: Given.args, **named: Given.kwargs) -> None:
        if is_main():
            function(*arguments, **named)

    return guarded


def from_main(value: Value) -> Value:
    """The main process's value, in all processes, which must all ask."""
    if process_count() == 1:
        return value
    values = [value]
    torch.distributed.broadcast_object_list(values)
    return values[0]


def leave() -> None:
    """Ends what the processes exchange, at the end of a program; without it NCCL complains."""
    if process_count() > 1:
        torch.distributed.destroy_process_group()


@contextmanager
def failing_together() -> Iterator[None]:
    """An error in the block of one process ends the block of all: nobody waits for a process that has gone.

    All processes must enter the block, and none may exchange anything within it.

    Raises:
        InputError: what the first of the processes that failed has raised.
    """
    error = None
    try:
        yield
    except InputError as caught:
        error = caught
    if process_count() > 1:
        messages: list[str | None] = [None] * process_count()
        torch.distributed.all_gather_object(messages, None if error is None else str(error))
        first = next((message for message in messages if message is not None), None)
        if first is not None:
            raise InputError(first) from error
    if error is not None:
        raise error


def weighed_by_share(
    means: Mapping[str, Tensor], counts: Mapping[str, int | Tensor], names: Sequence[str], device: torch.device
) -> dict[str, Tensor]:
    """This process's means, weighed so that their mean over the processes is the mean over all things.

    `DistributedDataParallel` averages gradients over processes, whatever each of them has averaged over. A mean m over
    n of the N things that W processes hold is therefore multiplied by W n / N.

    Args:
        means: () means by name, some of `names`.
        counts: over how many things each was taken.
        names: of all means that any process may have, in one order for all.
        device: of the means.

    Returns:
        the means that any process has, in the order of `names`; 0 where this one has none.
    """
    if process_count() == 1:
        return {name: means[name] for name in names if name in means}
    own = torch.tensor([[int(counts.get(name, 0)), int(name in means)] for name in names], device=device)
    everyone = own.clone()
    torch.distributed.all_reduce(everyone)
    nothing = torch.zeros((), device=device)
    return {
        name: means.get(name, nothing) * (process_count() * mine / max(1, total))
        for name, (mine, _), (total, holders) in zip(names, own.tolist(), everyone.tolist(), strict=True)
        if holders
    }


def mean_over_processes(values: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean of every value over the processes; all have the same names in the same order."""
    together = torch.stack([value.detach() for value in values.values()])
    if process_count() > 1:
        torch.distributed.all_reduce(together)
        together /= process_count()
    return dict(zip(values, together.tolist(), strict=True))
