"""Steps of an epoch: one order for every number of processes, each image once, the last batch filled up."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import BatchSampler, RandomSampler

from grounding import InputError
from grounding.data.sampler import GlobalBatches


def steps(count: int, images_per_batch: int, *, epoch: int = 0, processes: int = 1, first: int = 0) -> list[list[int]]:
    """The batches of all processes, each put together from its slices."""
    slices = []
    for process in range(processes):
        batches = GlobalBatches(count, images_per_batch, seed=3, process=process, processes=processes)
        batches.epoch, batches.first_step = epoch, first
        slices.append(list(batches))
    assert len({len(each) for each in slices}) == 1
    return [[index for part in step for index in part] for step in zip(*slices, strict=True)]


@pytest.mark.parametrize(("count", "images_per_batch"), [(24, 4), (24, 12), (25, 8), (31, 8), (7, 12)])
def test_the_order_does_not_depend_on_the_number_of_processes(count, images_per_batch):
    alone = steps(count, images_per_batch)
    for processes in (2, 4):
        assert steps(count, images_per_batch, processes=processes) == alone


def test_every_process_has_its_even_slice():
    for process in range(4):
        assert {len(part) for part in GlobalBatches(30, 8, seed=0, process=process, processes=4)} == {2}


def test_one_process_sees_the_order_of_pytorchs_sampler():
    for epoch in (0, 5):
        sampler = RandomSampler(range(24), generator=torch.Generator().manual_seed(3 + epoch))
        assert steps(24, 4, epoch=epoch) == list(BatchSampler(sampler, 4, drop_last=False))


def test_the_last_batch_is_filled_from_the_start_of_the_order():
    batches = steps(25, 8)
    assert [len(batch) for batch in batches] == [8, 8, 8, 8]
    order = [index for batch in batches for index in batch]
    assert sorted(order[:25]) == list(range(25))
    assert order[25:] == order[:7]


def test_of_fewer_images_than_a_batch_all_are_the_batch():
    (batch,) = steps(5, 16, processes=2)
    assert sorted(batch) == [0, 1, 2, 3, 4]


def test_a_resumed_epoch_goes_on_where_it_was():
    for processes in (1, 2):
        assert steps(25, 8, epoch=2, processes=processes, first=3) == steps(25, 8, epoch=2)[3:]
        assert steps(25, 8, first=4) == []


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(InputError, match="images_per_batch is 6, and 4 processes share it: give a multiple of 4"):
        GlobalBatches(100, 6, seed=0, processes=4)
    with pytest.raises(InputError, match="8 processes share 5 training images: start at most 5"):
        GlobalBatches(5, 16, seed=0, processes=8)
