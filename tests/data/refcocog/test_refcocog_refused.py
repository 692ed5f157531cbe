"""Folders and records that cannot be used: each is refused in one line that names what is wrong."""

import pickle
import shutil

import pytest

from grounding.data.refcocog import RefCOCOg
from tests.data.refcocog.records import change, error, write


def test_unknown_group_by_is_refused(root):
    assert "group_by is 'box'" in error(root, "val", group_by="box")


def test_missing_root(tmp_path):
    message = error(tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'}" in message and "python -m grounding.data.download refcocog --root" in message


def test_missing_refs_file(tmp_path, root):
    message = error(root, split_by="google")
    assert "refs(google).p" in message and "refs(umd).p" in message and "split_by" in message
    (tmp_path / "empty").mkdir()
    message = error(tmp_path / "empty")
    assert "refs(umd).p" in message and "python -m grounding.data.download refcocog --root" in message


def test_missing_instances(root):
    (root / "annotations" / "instances.json").unlink()
    assert str(root / "annotations" / "instances.json") in error(root)


def test_missing_images_folder(root):
    shutil.rmtree(root / "images")
    assert f"{root / 'images'}" in error(root)


def test_missing_split_lists_those_present(tmp_path, records):
    root = write(tmp_path, *records, split_by="google")
    message = error(root, "test", split_by="google")
    assert "'test'" in message and "train, val" in message and "split_by='umd'" in message


def test_split_without_sentences(tmp_path, records):
    refs, instances = records
    refs[2]["sentences"] = []
    assert "'train'" in error(write(tmp_path, refs, instances), "train")


@pytest.mark.parametrize("text", ["{not json", "[]", '{"images": []}', '{"images": [3], "annotations": []}'])
def test_unusable_instances_json(root, text):
    (root / "annotations" / "instances.json").write_text(text)
    assert "instances.json" in error(root)


@pytest.mark.parametrize("value", [{}, [], [3], [{"split": "train"}], "refs"], ids=range(5))
def test_refs_file_without_references(root, value):
    (root / "annotations" / "refs(umd).p").write_bytes(pickle.dumps(value))
    assert "refs(umd).p" in error(root)


def test_empty_phrase_is_refused_naming_where(tmp_path, records):
    refs, instances = records
    refs[0]["sentences"][1].update(sent="", raw="  ")
    message = error(write(tmp_path, refs, instances), "val")
    assert "refs(umd).p" in message and "ref_id 1" in message and "sent_id 11" in message


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ((0, 1, "ann_id"), 12345, ["instances.json", "ref_id 2", "ann_id 12345"]),
        ((0, 1, "image_id"), 54321, ["instances.json", "ref_id 2", "image_id 54321"]),
        ((0, 1, "image_id"), 6, ["ref_id 2", "ann_id 102", "image 6"]),
        ((0, 1, "ref_id"), "two", ["refs(umd).p", "ref_id"]),
        ((0, 1, "sentences"), None, ["refs(umd).p", "ref_id 2", "sentences"]),
        ((0, 1, "sentences", 0, "sent_id"), None, ["ref_id 2", "sent_id"]),
        ((0, 1, "sentences", 0, "tags"), [1], ["ref_id 2", "tags"]),
        ((1, "images", 0, "file_name"), None, ["instances.json", "image 5", "file_name"]),
        ((1, "images", 0, "file_name"), "/etc/passwd", ["instances.json", "image 5", "leads out of the images folder"]),
        ((1, "images", 0, "file_name"), "a/../../b.jpg", ["instances.json", "image 5", "'a/../../b.jpg'"]),
        ((1, "images", 0, "file_name"), "..\\b.jpg", ["instances.json", "image 5", "leads out"]),
        ((1, "images", 0, "file_name"), "C:\\b.jpg", ["instances.json", "image 5", "leads out"]),
        ((1, "images", 0, "width"), "wide", ["instances.json", "image 5", "width"]),
        ((1, "annotations", 1, "bbox"), [1, 2, 3], ["instances.json", "annotation 102", "bbox"]),
        ((1, "annotations", 1, "bbox"), [1, 2, float("nan"), 3], ["annotation 102", "bbox"]),
        ((1, "annotations", 1, "bbox"), [50, 2, 5, 5], ["annotation 102", "nothing lies in the image"]),
        ((0, 1, "ref_id"), 2**63, ["refs(umd).p", "ref_id", "beyond 64 bits"]),
        ((0, 1, "sentences", 0, "sent"), "half \ud83d", ["ref_id 2", "phrase with half a character"]),
        ((0, 1, "sentences", 0, "tags"), ["\ud83d"], ["ref_id 2", "tags"]),
        ((1, "categories"), None, ["instances.json", "categories"]),
        ((1, "categories", 0, "name"), "\ud83d", ["instances.json", "category", "half a character"]),
        ((1, "images", 0, "file_name"), "\ud83d", ["instances.json", "image 5", "half a character"]),
        ((1, "images", 0, "width"), 2**63, ["instances.json", "image 5", "width"]),
        ((1, "annotations", 1, "bbox"), [1, 2, 10**400, 3], ["annotation 102", "bbox"]),
        ((1, "annotations", 1, "bbox"), [1, 2, float("inf"), 3], ["annotation 102", "bbox"]),
        ((1, "annotations", 1, "bbox"), [[[]], 2, 3, 3], ["annotation 102", "bbox"]),
        ((1, "annotations", 1, "bbox"), [5, 2, 0, 5], ["annotation 102", "nothing lies in the image"]),
    ],
)
def test_unusable_records_are_refused_naming_file_and_field(tmp_path, records, path, value, words):
    message = error(write(tmp_path, *change(records, path, value)), "val")
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("value", [None, [], {"a": 1}, "one", 10**400])
def test_a_category_of_no_kind_is_none(tmp_path, records, value):
    dataset = RefCOCOg(write(tmp_path, *change(records, (1, "annotations", 1, "category_id"), value)), "val")
    assert [each.category for each in dataset.expressions if each.ann_id == 102] == [""]


@pytest.mark.parametrize("value", [None, [], {"a": 1}, "one", 10**400])
def test_an_object_of_no_image_is_refused(tmp_path, records, value):
    message = error(write(tmp_path, *change(records, (1, "annotations", -1, "image_id"), value)), "val")
    assert "instances.json, annotation " in message and "'image_id'" in message


def test_a_fault_in_another_split_does_not_matter(tmp_path, records):
    assert len(RefCOCOg(write(tmp_path, *change(records, (0, 1, "ann_id"), 12345)), "train")) == 1
