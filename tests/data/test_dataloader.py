"""Batches as torch's own loader has them, errors as they were raised, and the time waited by a fake clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from grounding import InputError, RefCOCOg
from grounding.data import dataloader
from grounding.data.dataloader import ImageLoader, TimedLoader
from grounding.data.images import read_image
from tests.toy_data import write_toy_data


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


def test_batches_are_those_of_torchs_loader() -> None:
    values = TensorDataset(torch.arange(7), torch.rand(7, 3))
    for ours, theirs in zip(ImageLoader(values, batch_size=3), DataLoader(values, batch_size=3), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    given = {"batch_sampler": [[5, 1], [2]], "collate_fn": len}
    assert list(ImageLoader(values, **given)) == list(DataLoader(values, **given)) == [2, 1]


class Clock:
    """Stands still but for what is added."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(dataloader, "time", clock)
    return clock


def read(clock: Clock, seconds: float) -> Iterator[int]:
    for number in range(4):
        clock.now += seconds
        yield number


@pytest.mark.parametrize(
    ("reading", "learning", "workers", "told"),
    [
        (3, 1, 0, "waiting for data: 75% of the time (--workers 4 reads more images at once)"),
        (3, 1, 4, "waiting for data: 75% of the time (--workers 8 reads more images at once)"),
        (1, 99, 0, "waiting for data: 1% of the time"),
    ],
)
def test_waiting_is_told_with_its_remedy(clock, reading, learning, workers, told):
    batches = TimedLoader(read(clock, reading))
    seen = []
    for batch in batches:
        clock.now += learning
        seen.append(batch)
    assert seen == [0, 1, 2, 3]
    assert (batches.waited, batches.lasted) == (4 * reading, 4 * (reading + learning))
    assert batches.summary(workers) == told


def test_without_batches_nothing_was_waited_for(clock):
    nothing = TimedLoader([])
    assert list(nothing) == []
    assert nothing.summary(0) == "waiting for data: 0% of the time"


def test_a_batch_that_cannot_be_read_ends_the_loop():
    def broken() -> Iterator[int]:
        yield 1
        raise InputError("a.jpg cannot be read")

    seen = []
    with pytest.raises(InputError, match=r"a\.jpg cannot be read"):
        seen.extend(TimedLoader(broken()))
    assert seen == [1]
