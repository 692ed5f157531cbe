"""Real annotations, read as plain loops over their files read them."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image

from grounding.data.refcocog import RefCOCOg
from tests.data.refcocog.records import error
from tests.shared_data import SHARED_DATA, needs_shared_data


def brute_force(root, split_by, split):
    """(phrase, box, image, ref, ann, sentence, file, category) of each sentence, from the files by plain loops."""
    with open(root / "annotations" / f"refs({split_by}).p", "rb") as file:
        refs = pickle.load(file)
    instances = json.loads((root / "annotations" / "instances.json").read_text())
    rows = []
    for item in refs:
        if item["split"] != split:
            continue
        (annotation,) = [a for a in instances["annotations"] if a["id"] == item["ann_id"]]
        (image,) = [i for i in instances["images"] if i["id"] == item["image_id"]]
        (category,) = [c["name"] for c in instances["categories"] if c["id"] == annotation["category_id"]]
        x, y, width, height = annotation["bbox"]
        for sentence in item["sentences"]:
            ids = (item["image_id"], item["ref_id"], item["ann_id"], sentence["sent_id"])
            rows.append((sentence["sent"], (x, y, x + width, y + height), *ids, image["file_name"], category))
    return rows


@pytest.mark.parametrize(
    ("name", "split_by", "split", "sentences", "images"),
    [
        pytest.param(*case, marks=needs_shared_data(case[0]))
        for case in [
            ("refcocog-mini", "umd", "train", 8, 7),
            ("refcocog-mini", "umd", "val", 15, 3),
            ("refcocog-mini", "umd", "test", 9, 5),
            ("refcocog-mini", "google", "train", 22, 7),
            ("refcocog-mini", "google", "val", 10, 8),
            ("coco-photos", "umd", "val", 45, None),
        ]
    ],
)
def test_real_data_equal_a_plain_reading_of_the_files(name, split_by, split, sentences, images):
    root = SHARED_DATA / name
    dataset = RefCOCOg(root, split, split_by=split_by)
    expected = brute_force(root, split_by, split)
    assert len(dataset) == len(expected) == sentences
    for expression, (phrase, box, *ids, file_name, category) in zip(dataset.expressions, expected, strict=True):
        assert [expression.image_id, expression.ref_id, expression.ann_id, expression.sent_id] == ids
        assert (expression.phrase, expression.category) == (phrase, category)
        assert expression.image_path == root / "images" / file_name
        np.testing.assert_allclose(expression.box_xyxy, box, atol=1e-3)
    by_image = RefCOCOg(root, split, split_by=split_by, group_by="image")
    assert len(by_image) == len({row[2] for row in expected}) == (images or len(by_image))
    assert sum(len(by_image.expressions_of(i)) for i in range(len(by_image))) == sentences
    by_image.check_images()


@needs_shared_data("refcocog-mini")
def test_real_examples_decode_with_their_boxes_inside():
    for example in RefCOCOg(SHARED_DATA / "refcocog-mini", "val", group_by="image"):
        height, width, _ = example.image.shape
        assert (example.boxes_xyxy >= 0).all() and (example.boxes_xyxy <= [width, height, width, height]).all()
        with Image.open(example.expressions[0].image_path) as reference:
            np.testing.assert_array_equal(example.image, np.asarray(reference))


@needs_shared_data("refcocog-mini")
def test_real_google_split_has_no_test_set():
    message = error(SHARED_DATA / "refcocog-mini", "test", split_by="google")
    assert "train, val" in message and "umd" in message
