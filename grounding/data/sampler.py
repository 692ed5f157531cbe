"""The order of a training run's images, step by step, and each process's slice of a step."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from grounding.errors import InputError


class GlobalBatches(Sampler[list[int]]):
    """Batches of indices at random; the order depends on the seed and the epoch alone.

    A batch is what one optimiser step learns from, and the processes share it. The last one of an epoch is filled up
    from the epoch's start, so that all steps weigh the same; of fewer images than a batch has, all are the batch.

    Args:
        count: of images.
        images_per_batch: of one step, over all processes.
        seed: together with the epoch, of the order.
        process: which one of the processes, from 0.
        processes: how many share a batch.

    Attributes:
        epoch: whose order comes next.
        first_step: of the epoch that comes next; a resumed epoch leaves out what was done before.

    Raises:
        InputError: a batch cannot be shared evenly, or there are more processes than images.
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
