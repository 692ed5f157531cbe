"""Folders and records that cannot be used: each is refused in one line that names what is wrong."""

import pickle
import shutil

import pytest

from grounding.data.check import check
from grounding.data.refcocog import RefCOCOg
from tests.data.refcocog.records import change, error, write


def test_unknown_group_by_is_refused(root):
    assert "group_by is 'box'" in error(root, "val", group_by="box")


def test_missing_files_are_named_with_their_remedy(tmp_path, root):
    download = "python -m grounding.data.download refcocog --root"
    message = error(tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'}" in message and download in message
    message = error(root, split_by="google")
    assert f"{root} has no refs(google).p, only refs(umd).p: set split_by" in message
    (tmp_path / "empty").mkdir()
    message = error(tmp_path / "empty")
    assert "refs(umd).p" in message and download in message
    shutil.move(root / "images", tmp_path / "elsewhere")
    assert f"{root / 'images'}" in error(root)
    (root / "annotations" / "instances.json").unlink()
    assert str(root / "annotations" / "instances.json") in error(root)


def test_missing_split_lists_those_present(tmp_path, records):
    root = write(tmp_path, *records, split_by="google")
    message = error(root, "test", split_by="google")
    assert "'test'" in message and "train, val" in message and "split_by='umd'" in message


def test_split_without_sentences(tmp_path, records):
    refs, instances = records
    refs[2]["sentences"] = []
    assert "'train'" in error(write(tmp_path, refs, instances), "train")


@pytest.mark.parametrize(
    "text",
    [
        "{not json",
        "[]",
        '{"images": []}',
        '{"images": [], "annotations": [], "categories": null}',
        '{"images": [3], "annotations": []}',
    ],
)
def test_unusable_instances_json(root, text):
    (root / "annotations" / "instances.json").write_text(text)
    assert "instances.json" in error(root)


@pytest.mark.parametrize("value", [{}, [], [3], [{"split": "train"}], "refs"], ids=range(5))
def test_refs_file_without_references(root, value):
    (root / "annotations" / "refs(umd).p").write_bytes(pickle.dumps(value))
    assert "refs(umd).p" in error(root)


OF_FIRST = (1, "images", 0)
OF_DOG = (1, "annotations", 1)
TWIN = {"id": 102, "image_id": 5, "category_id": 1, "bbox": [1, 1, 5, 5]}  # of the dog


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ((0, 1, "ann_id"), 12345, ["instances.json", "ref_id 2", "ann_id 12345"]),
        ((0, 1, "ann_id"), "102", ["refs(umd).p", "ref_id 2", "ann_id"]),
        ((0, 1, "image_id"), 54321, ["instances.json", "ref_id 2", "image_id 54321"]),
        ((0, 1, "image_id"), 6, ["ref_id 2", "ann_id 102", "image 6"]),
        ((0, 1, "ref_id"), "two", ["refs(umd).p", "ref_id"]),
        ((0, 1, "ref_id"), 2**63, ["refs(umd).p", "ref_id", "beyond 64 bits"]),
        ((0, 1, "ref_id"), 1, ["ref_id 1 2 times"]),
        ((0, 1, "sentences"), None, ["refs(umd).p", "ref_id 2", "sentences"]),
        ((0, 1, "sentences", 0, "sent_id"), None, ["ref_id 2", "sent_id"]),
        ((0, 1, "sentences", 0, "sent_id"), 11, ["sent_id 11 2 times"]),
        ((0, 1, "sentences", 0), {"sent_id": 20, "sent": "", "raw": "  "}, ["refs(umd).p", "ref_id 2, sent_id 20"]),
        ((0, 1, "sentences", 0, "sent"), "half \ud83d", ["ref_id 2", "half a character"]),
        ((0, 1, "sentences", 0, "tags"), [1], ["ref_id 2", "tag"]),
        ((1, "categories", 0), {"id": 1}, ["instances.json", "name"]),
        ((1, "categories"), [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], ["'categories' stands twice"]),
        ((*OF_FIRST, "id"), "5", ["instances.json", "'images'", "'id'"]),
        ((*OF_FIRST, "id"), 6, ["instances.json, image 6 stands twice"]),
        ((*OF_FIRST, "file_name"), None, ["instances.json", "image 5", "file_name"]),
        ((*OF_FIRST, "file_name"), "/etc/passwd", ["instances.json", "image 5", "leads out of the images folder"]),
        ((*OF_FIRST, "file_name"), "a/../../b.jpg", ["instances.json", "image 5", "'a/../../b.jpg'"]),
        ((*OF_FIRST, "file_name"), "..\\b.jpg", ["instances.json", "image 5", "leads out"]),
        ((*OF_FIRST, "file_name"), "C:\\b.jpg", ["instances.json", "image 5", "leads out"]),
        ((*OF_FIRST, "width"), None, ["instances.json", "image 5", "width"]),
        ((*OF_FIRST, "width"), 0, ["image 5", "a size of 0 x 30"]),
        ((*OF_DOG, "image_id"), True, ["annotation 102", "'image_id'"]),
        ((*OF_DOG, "bbox"), [1, 2, 3], ["instances.json", "annotation 102", "bbox"]),
        ((*OF_DOG, "bbox"), [1, 2, float("nan"), 3], ["annotation 102", "bbox"]),
        ((*OF_DOG, "bbox"), [1, 2, 10**400, 3], ["annotation 102", "bbox"]),
        ((*OF_DOG, "bbox"), [[[]], 2, 3, 3], ["annotation 102", "bbox"]),
        ((*OF_DOG, "bbox"), [50, 2, 5, 5], ["ref_id 2", "ann_id 102 with a box in image 5"]),
        ((*OF_DOG, "bbox"), [5, 2, 0, 5], ["ref_id 2", "ann_id 102 with a box in image 5"]),
        ((1, "annotations", 5), TWIN, ["annotation 102 stands twice"]),
        ((1, "annotations", 5), TWIN | {"id": 9, "iscrowd": "0"}, ["annotation 9 has iscrowd '0'"]),
        ((1, "annotations", 5), TWIN | {"id": 9, "bbox": "none"}, ["annotation 9", "bbox"]),
    ],
)
def test_unusable_records_are_refused_naming_file_and_field_and_found_by_the_check(
    tmp_path, records, path, value, words
):
    root = write(tmp_path, *change(records, path, value))
    message = error(root, "val")
    assert [word for word in words if word not in message] == []
    assert [said for _, said in check(root, images=False) if all(word in said for word in words)]


def test_a_fault_in_another_split_does_not_matter(tmp_path, records):
    assert len(RefCOCOg(write(tmp_path, *change(records, (0, 1, "ann_id"), 12345)), "train")) == 1
