"""The reader says of a file what the refer project's own says of it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from tests.shared_data import SHARED_DATA, needs_shared_data
from tests.toy_data import write_toy_data

Rows = list[tuple[int, int, int, int, str, list[float]]]


def by_refer(root: Path, split: str, split_by: str) -> Rows:
    """What refer.py's `getRefIds(split=...)`, `getRefBox` and a reference's sentences give, in its words.

    Returns:
        (ref_id, ann_id, image_id, sent_id, sent, [x, y, width, height]) of every sentence.
    """
    refs = pickle.loads((root / "annotations" / f"refs({split_by}).p").read_bytes())
    annotations = json.loads((root / "annotations" / "instances.json").read_text())["annotations"]
    box_of = {each["id"]: each["bbox"] for each in annotations}
    return [
        (ref["ref_id"], ref["ann_id"], ref["image_id"], each["sent_id"], each["sent"], box_of[ref["ann_id"]])
        for ref in refs
        for each in ref["sentences"]
        if (split == "test" and "test" in ref["split"]) or ref["split"] == split
    ]


def assert_same(root: Path, split: str, split_by: str) -> int:
    wanted = by_refer(root, split, split_by)
    if not wanted:
        with pytest.raises(InputError, match=f"has no split '{split}'"):
            RefCOCOg(root, split, split_by=split_by)
        return 0
    found: Rows = []
    for each in RefCOCOg(root, split, split_by=split_by).expressions:
        x1, y1, x2, y2 = each.box_xyxy
        found.append((each.ref_id, each.ann_id, each.image_id, each.sent_id, each.phrase, [x1, y1, x2 - x1, y2 - y1]))
    assert [row[:5] for row in found] == [row[:5] for row in wanted]
    np.testing.assert_allclose([row[5] for row in found], [row[5] for row in wanted], atol=0.01)
    return len(found)


@pytest.mark.parametrize(
    ("name", "split_by", "total"),
    [pytest.param(*case, marks=needs_shared_data(case[0]))
     for case in [("refcocog-mini", "umd", 32), ("refcocog-mini", "google", 32), ("coco-photos", "umd", None)]],
)  # fmt: skip
def test_real_files(name: str, split_by: str, total: int | None) -> None:
    counts = [assert_same(SHARED_DATA / name, split, split_by) for split in ("train", "val", "test")]
    assert sum(counts) == (total or sum(counts)) > 0
    for example in RefCOCOg(SHARED_DATA / name, "val", split_by=split_by, group_by="image", subset=3):
        with Image.open(example.expressions[0].image_path) as reference:
            np.testing.assert_array_equal(example.image, np.asarray(reference.convert("RGB")))


@pytest.mark.parametrize("split", ["train", "val", "test", "testA", "testB"])
def test_made_files_in_every_split(tmp_path: Path, split: str) -> None:
    root = write_toy_data(tmp_path / "toy", {"train": 3, "val": 2, "testA": 3, "testB": 2})
    assert assert_same(root, split, "umd") > 0
