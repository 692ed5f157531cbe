"""gRefCOCO's files: refs with lists of annotations, -1 for none, as JSON or as a pickle."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from grounding.data.refcocog import GRefCOCO, RefCOCOg
from grounding.runtime.errors import InputError
from tests.toy_data import write_toy_data, write_toy_sets


@pytest.fixture
def root(tmp_path) -> Path:
    """Of each image a phrase for both boxes, one for the first, one for none; the images of val last."""
    root = write_toy_sets(write_toy_data(tmp_path / "toy", {"val": 2, "train": 1}))
    path = root / "annotations" / "grefs(unc).json"
    path.write_text(json.dumps(json.loads(path.read_text())[::-1]))
    return root


def test_expressions_have_as_many_boxes_as_objects(root):
    dataset = GRefCOCO(root, "val")
    boxes = {region.ann_id: region.box_xyxy for some in RefCOCOg(root, "val").regions.values() for region in some}
    assert [(each.phrase, each.boxes_xyxy) for each in dataset.expressions] == [
        ("a dog", ()), ("the left box", (boxes[1],)), ("both boxes", (boxes[1], boxes[2])),
        ("a dog", ()), ("the left box", (boxes[3],)), ("both boxes", (boxes[3], boxes[4])),
    ]  # fmt: skip
    assert len(dataset) == 2
    assert dataset[1].phrases == ["a dog", "the left box", "both boxes"] and dataset[1].image.ndim == 3
    assert GRefCOCO(root, "train").expressions[2].ann_ids == (5, 6)


def test_a_pickle_is_read_as_json_is(root):
    json_file = root / "annotations" / "grefs(unc).json"
    expected = GRefCOCO(root, "val").expressions
    (root / "annotations" / "grefs(unc).p").write_bytes(pickle.dumps(json.loads(json_file.read_text()), protocol=2))
    json_file.unlink()
    assert GRefCOCO(root, "val").expressions == expected


REF = {"ref_id": 1, "ann_id": [3], "image_id": 2, "split": "val", "sentences": [{"sent_id": 1, "sent": "x"}]}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ann_id": [3, 3]}, "ref_id 1 has ann_id [3, 3], which is empty or names an object twice"),
        ({"ann_id": [3, "4"]}, "ref_id 1 has no int 'ann_id'"),
        ({"ann_id": [3, 1]}, "ref_id 1 is about: ann_id 1 with a box in image 2"),
        ({"sentences": []}, "has no split 'val' with a sentence"),
    ],
)
def test_what_cannot_be_read_is_named(root, changed, said):
    (root / "annotations" / "grefs(unc).json").write_text(json.dumps([REF | changed]))
    with pytest.raises(InputError) as caught:
        GRefCOCO(root, "val")
    assert said in str(caught.value)


def test_the_file_that_is_missing_is_named(root):
    (root / "annotations" / "grefs(unc).json").rename(root / "annotations" / "grefs(other).json")
    with pytest.raises(InputError, match=r"has no grefs\(unc\)\.json or grefs\(unc\)\.p, only grefs\(other\)\.json"):
        GRefCOCO(root, "val")
