"""A small data set in RefCOCOg's layout as records that a test may spoil before they are written."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from PIL import Image

from grounding.data.refcocog import RefCOCOg
from grounding.runtime.errors import InputError

SIZE = (40, 30)


def ref(ref_id, ann_id, image_id, split, *phrases):
    sentences = [
        {"sent_id": 10 * ref_id + i, "sent": phrase.lower(), "raw": phrase, "tokens": phrase.lower().split()}
        for i, phrase in enumerate(phrases)
    ]
    return {"ref_id": ref_id, "ann_id": ann_id, "image_id": image_id, "category_id": 1, "split": split,
            "file_name": f"photo_{image_id}_{ann_id}.jpg", "sentences": sentences}  # fmt: skip


def make_records():
    """Three val images whose references are not in image order, and one train image."""
    refs = [
        ref(1, 101, 7, "val", "The left cup", "A cup on the left"),
        ref(2, 102, 5, "val", "The dog"),
        ref(3, 103, 9, "train", "A car"),
        ref(4, 104, 7, "val", "The right cup"),
        ref(5, 105, 6, "val", "The tree"),
    ]
    boxes = {
        101: [1.5, 2, 10, 12.25],
        102: [0, 0, 40, 30],
        103: [4, 5, 6, 7],
        104: [20, 3, 9, 9],
        105: [30, 20, 25, 25],
    }
    image_of = {item["ann_id"]: item["image_id"] for item in refs}
    instances = {
        "images": [
            {"id": i, "file_name": f"photo_{i}.jpg", "width": SIZE[0], "height": SIZE[1]} for i in (5, 6, 7, 9, 99)
        ],
        "annotations": [
            {"id": i, "image_id": image_of[i], "category_id": 1, "bbox": box, "segmentation": [[0, 0, 1, 1, 2, 0]]}
            for i, box in boxes.items()
        ]
        + [{"id": 999, "image_id": 99, "category_id": 1, "bbox": "never looked at"}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    return refs, instances


def write(root, refs, instances, *, annotations="annotations", images="images", split_by="umd"):
    (root / annotations).mkdir(parents=True, exist_ok=True)
    (root / images).mkdir(parents=True, exist_ok=True)
    (root / annotations / f"refs({split_by}).p").write_bytes(pickle.dumps(refs, protocol=2))
    (root / annotations / "instances.json").write_text(json.dumps(instances))
    for image_id in (5, 6, 7, 9):
        Image.new("RGB", SIZE, (image_id, 100, 200)).save(root / images / f"photo_{image_id}.jpg", quality=100)
    return root


def error(*args, **kwargs):
    with pytest.raises(InputError) as caught:
        RefCOCOg(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and not message.endswith(".")
    return message


def change(records, path, value):
    records = copy.deepcopy(records)
    *parents, last = path
    target = records
    for key in parents:
        target = target[key]
    target[last] = value
    return records
