"""Batches as torch's own loader has them, and errors as they were raised."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from grounding import InputError, RefCOCOg
from grounding.data.images import read_image
from grounding.data.reading import ReadingLoader
from tests.toy_data import write_toy_data


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_says_the_same_from_a_worker(tmp_path: Path, workers: int) -> None:
    data = write_toy_data(tmp_path, {"train": 1, "val": 1, "test": 5})
    dataset = RefCOCOg(data, "test", group_by="image")
    broken = dataset.expressions_of(3)[0].image_path
    broken.write_bytes(b"no image")
    with pytest.raises(InputError) as alone:
        read_image(broken)
    batches = iter(ReadingLoader(dataset, batch_size=2, collate_fn=list, num_workers=workers))
    assert [len(next(batches))] == [2]
    with pytest.raises(InputError) as raised:
        next(batches)
    assert str(raised.value) == str(alone.value)


def test_batches_are_those_of_torchs_loader() -> None:
    values = TensorDataset(torch.arange(7), torch.rand(7, 3))
    for ours, theirs in zip(ReadingLoader(values, batch_size=3), DataLoader(values, batch_size=3), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    given = {"batch_sampler": [[5, 1], [2]], "collate_fn": len}
    assert list(ReadingLoader(values, **given)) == list(DataLoader(values, **given)) == [2, 1]
