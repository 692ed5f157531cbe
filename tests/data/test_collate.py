"""torch's own loader takes the data sets as they are: no collate is to be written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from grounding import RefCOCOg
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
