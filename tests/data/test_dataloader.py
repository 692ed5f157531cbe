"""Batches as torch's own loader has them, one order for any number of processes, errors as raised, the time waited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from grounding import InputError, RefCOCOg
from grounding.data import dataloader
from grounding.data.dataloader import GlobalBatches, ImageLoader, TimedLoader
from grounding.data.images import read_image
from tests.toy_data import write_toy_data


@pytest.mark.parametrize(("group_by", "workers"), [("sentence", 0), ("image", 2)])
def test_a_default_loader_gives_what_the_examples_hold(tmp_path: Path, workers: int, group_by) -> None:
    dataset = RefCOCOg(write_toy_data(tmp_path, {"train": 3}), "train", group_by=group_by)
    batches = list(DataLoader(dataset, batch_size=2, num_workers=workers))
    assert [len(each["images"]) for each in batches] == [2] * (len(dataset) // 2) + [1] * (len(dataset) % 2)
    rows = [{name: values[index] for name, values in batch.items()} for batch in batches
            for index in range(len(batch["images"]))]  # fmt: skip
    for row, example in zip(rows, dataset, strict=True):
        assert row["images"].dtype == torch.uint8
        assert row["images"].permute(1, 2, 0).numpy().tolist() == example.image.tolist()
        assert row["phrases"] == example.phrases
        assert row["boxes_xyxy"].dtype == torch.float32
        assert row["boxes_xyxy"].tolist() == [list(each.box_xyxy) for each in example.expressions]
        assert row["sent_ids"].tolist() == [each.sent_id for each in example.expressions]
        assert row["image_ids"].item() == example.expressions[0].image_id


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_says_the_same_from_a_worker(tmp_path: Path, workers: int) -> None:
    data = write_toy_data(tmp_path, {"train": 1, "val": 1, "test": 5})
    dataset = RefCOCOg(data, "test", group_by="image")
    broken = dataset.expressions_of(3)[0].image_path
    broken.write_bytes(b"no image")
    with pytest.raises(InputError) as alone:
        read_image(broken)
    batches = iter(ImageLoader(dataset, batch_size=2, collate_fn=list, num_workers=workers))
    assert [len(next(batches))] == [2]
    with pytest.raises(InputError) as raised:
        next(batches)
    assert str(raised.value) == str(alone.value)


def test_waiting_is_told_with_its_remedy(monkeypatch):
    now = 100.0  # a clock that stands still but for what is added

    def read() -> Iterator[int]:
        nonlocal now
        for number in range(4):
            now += 3
            yield number

    monkeypatch.setattr(dataloader, "time", SimpleNamespace(perf_counter=lambda: now))
    batches = TimedLoader(read())
    for _ in batches:
        now += 1
    assert (batches.waited, batches.lasted) == (12, 16)
    assert batches.summary(4) == "waiting for data: 75% of the time (--workers 8 reads more images at once)"
    batches.waited = 0.2
    assert batches.summary(4) == "waiting for data: 1% of the time"


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
    assert [sorted(batch) for batch in steps(5, 16, processes=2)] == [[0, 1, 2, 3, 4]], "of fewer images, all"


def test_a_resumed_epoch_goes_on_where_it_was():
    for processes in (1, 2):
        assert steps(25, 8, epoch=2, processes=processes, first=3) == steps(25, 8, epoch=2)[3:]
        assert steps(25, 8, first=4) == []


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(InputError, match="images_per_batch is 6, and 4 processes share it: give a multiple of 4"):
        GlobalBatches(100, 6, seed=0, processes=4)
    with pytest.raises(InputError, match="8 processes share 5 training images: start at most 5"):
        GlobalBatches(5, 16, seed=0, processes=8)
