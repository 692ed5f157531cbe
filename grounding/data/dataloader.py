"""Data loading: the order of a run's images, errors of worker processes as they were raised, the time spent waiting."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from grounding.runtime.distributed import failing_together
from grounding.runtime.errors import InputError
from grounding.runtime.signals import leave_signals_to_the_parent

Batch = TypeVar("Batch")
WAITING_TOO_LONG = 0.1  # share of the time above which more workers are suggested


class GlobalBatches(Sampler[list[int]]):
    """Batches of indices at random; the order depends on the seed and the epoch alone.

    A batch is what one optimiser step learns from, and the processes share it. The last one of an epoch is filled up
    from the epoch's start, so that all steps weigh the same; of fewer images than a batch has, all are the batch.

    Attributes:
        epoch: whose order comes next.
        first_step: of the epoch that comes next; a resumed epoch leaves out what was done before.
    """

    def __init__(self, count: int, images_per_batch: int, *, seed: int, process: int = 0, processes: int = 1) -> None:
        if images_per_batch % processes:
            raise InputError(
                f"images_per_batch is {images_per_batch}, and {processes} processes share it: give a multiple of "
                f"{processes}"
            )
        if count < processes:
            raise InputError(f"{processes} processes share {count} training images: start at most {count}")
        self.epoch = self.first_step = 0
        self._count, self._size, self._seed = count, min(images_per_batch, count), seed
        self._process, self._processes = process, processes

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return math.ceil(self._count / self._size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self._seed + self.epoch)
        order = torch.randperm(self._count, generator=generator).tolist()
        order += order[: len(self) * self._size - self._count]
        edges = [self._size * process // self._processes for process in (self._process, self._process + 1)]
        for step in range(self.first_step, len(self)):
            start = step * self._size
            yield order[start + edges[0] : start + edges[1]]


class ImageLoader(DataLoader[Any]):
    """A `DataLoader` that raises an item's `InputError` as it was; of a worker's, torch's own makes another one."""

    def __init__(self, dataset: Dataset[Any], *, collate_fn: Callable[[list[Any]], Any], **options: Any) -> None:
        if not isinstance(dataset, IterableDataset):  # which gives errors as items itself
            dataset = _ErrorsAsItems(dataset)
        super().__init__(dataset, collate_fn=partial(_batch_or_error, collate_fn),
                         worker_init_fn=leave_signals_to_the_parent, **options)  # fmt: skip

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, InputError):
                raise batch
            yield batch


class TimedLoader(Generic[Batch]):
    """Batches, with the time measured that the loop waits for them; an `InputError` of one process ends all.

    Attributes:
        waited: seconds in which the loop had no batch, because this process or another was still reading its own.
        lasted: seconds from the first request until the loop was done with the last batch.
    """

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._batches = batches
        self.waited = self.lasted = 0.0

    def __iter__(self) -> Iterator[Batch]:
        began = asked = time.perf_counter()
        remaining = iter(self._batches)
        while True:
            with failing_together():
                batch = next(remaining, None)
            if batch is None:
                return
            self.waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()
            self.lasted = asked - began

    def summary(self, workers: int) -> str:
        """The share waited as a sentence; where it is large, with more than these `workers` as a remedy."""
        share_waited = self.waited / self.lasted if self.lasted else 0.0
        summary = f"waiting for data: {share_waited:.0%} of the time"
        if share_waited <= WAITING_TOO_LONG:
            return summary
        remedy = f"--workers {2 * workers}" if workers else "--workers 4"
        return f"{summary} ({remedy} reads more images at once)"


class _ErrorsAsItems(Dataset[Any]):
    """The items of a data set, or the errors in their place."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        try:
            return self._dataset[index]
        except InputError as error:
            return error


def _batch_or_error(collate: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    """A batch, or the first error in its place."""
    return next((item for item in items if isinstance(item, InputError)), None) or collate(items)
