import json
import pickle

import pytest

from grounding.data.completeness import ExpectedCounts, read_contents, verify
from grounding.errors import InputError
from tests.shared_data import SHARED_DATA, needs_shared_data

EXPECTED = ExpectedCounts({"train": 3, "val": 2}, images=3)


@pytest.fixture
def root(tmp_path):
    """Three images; image 1 has two references."""
    refs, sent_id = [], 0
    for ref_id, (image_id, split, count) in enumerate([(1, "train", 2), (1, "train", 1), (2, "val", 1), (3, "val", 1)]):
        sentences = [{"sent_id": sent_id + i, "sent": "a cat"} for i in range(count)]
        sent_id += count
        refs.append({"ref_id": ref_id, "ann_id": ref_id, "image_id": image_id, "split": split, "sentences": sentences})
    instances = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 8, "height": 8} for i in (1, 2, 3, 4)],
        "annotations": [
            {"id": ref["ann_id"], "image_id": ref["image_id"], "bbox": [0, 0, 4, 4], "category_id": 1} for ref in refs
        ],
    }
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations" / "refs(umd).p").write_bytes(pickle.dumps(refs))
    (tmp_path / "annotations" / "instances.json").write_text(json.dumps(instances))
    for i in (1, 2, 3):
        (tmp_path / "images" / f"{i}.jpg").write_bytes(b"jpeg")
    return tmp_path


def test_a_complete_data_set_passes(root):
    verify(root, "umd", EXPECTED, "")


def test_contents_are_the_sentences_and_the_images_they_refer_into(root):
    contents = read_contents(root, "umd", ["train", "val"])
    assert contents.sentences == {"train": 3, "val": 2}
    assert contents.images == tuple(root / "images" / f"{i}.jpg" for i in (1, 2, 3))
    assert contents.absent_images() == []


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (ExpectedCounts({"train": 80_512, "val": 2}, 3), "where 80,512 / 2 sentences in train / val over 3 images"),
        (ExpectedCounts({"train": 3, "val": 2}, 25_799), "where 3 / 2 sentences in train / val over 25,799 images"),
    ],
)
def test_other_counts_are_said_with_what_was_found(root, expected, said):
    with pytest.raises(InputError) as error:
        verify(root, "umd", expected, "get it again")
    assert str(error.value) == (
        f"{root} holds 3 / 2 sentences in train / val over 3 images, {said} are expected: get it again"
    )


def test_a_missing_split_is_said(root):
    with pytest.raises(InputError, match="no split 'test'"):
        verify(root, "umd", ExpectedCounts({"train": 3, "val": 2, "test": 0}, 3), "")


def test_missing_and_empty_images_are_said(root):
    (root / "images" / "1.jpg").unlink()
    (root / "images" / "3.jpg").write_bytes(b"")
    with pytest.raises(InputError) as error:
        verify(root, "umd", EXPECTED, "get it again")
    assert str(error.value) == (
        f"2 of the 3 images are missing or empty in {root / 'images'}, the first 1.jpg: get it again"
    )


@needs_shared_data("refcocog-mini")
def test_counts_real_annotations():
    verify(SHARED_DATA / "refcocog-mini", "umd", ExpectedCounts({"train": 8, "val": 15, "test": 9}, 15), "")
