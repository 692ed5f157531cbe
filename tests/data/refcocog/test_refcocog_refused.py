"""Folders and records that cannot be used: each is refused in one line that names what is wrong."""

import pickle
import shutil

import pytest

from grounding.data.check import check
from grounding.data.refcocog import RefCOCOg
from grounding.runtime.errors import InputError
from tests.toy_data import edit_toy_data, write_toy_data


def error(*args, **kwargs):
    with pytest.raises(InputError) as caught:
        RefCOCOg(*args, **kwargs)
    return str(caught.value)


def test_missing_files_are_named_with_their_remedy(tmp_path, root):
    download = "python -m grounding.data.download refcocog --root"
    message = error(tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'}" in message and download in message
    assert f"{root} has no refs(google).p, only refs(umd).p: set split_by" in error(root, split_by="google")
    shutil.move(root / "images", tmp_path / "elsewhere")
    assert f"{root / 'images'}" in error(root)
    (root / "annotations" / "instances.json").unlink()
    assert str(root / "annotations" / "instances.json") in error(root)


def test_missing_split_lists_those_present(tmp_path):
    folder = write_toy_data(tmp_path, {"train": 1, "val": 1}) / "annotations"
    (folder / "refs(umd).p").rename(folder / "refs(google).p")
    message = error(tmp_path, "test", split_by="google")
    assert "'test'" in message and "train, val" in message and "split_by='umd'" in message


def test_split_without_sentences(root):
    assert "'val'" in error(edit_toy_data(root, lambda refs, _: [ref.update(sentences=[]) for ref in refs]), "val")


@pytest.mark.parametrize("text", ["{not json", "[]", '{"images": [3], "annotations": []}'])
def test_unusable_instances_json(root, text):
    (root / "annotations" / "instances.json").write_text(text)
    assert "instances.json" in error(root)


@pytest.mark.parametrize("value", [{}, [], [3], [{"split": "train"}]], ids=range(4))
def test_refs_file_without_references(root, value):
    (root / "annotations" / "refs(umd).p").write_bytes(pickle.dumps(value))
    assert "refs(umd).p" in error(root)


REF, IMAGE, ANNOTATION = (0, 6), (1, "images", 6), (1, "annotations", 12)  # all of the first expression of val
TWIN = {"id": 13, "image_id": 7, "category_id": 1, "bbox": [1, 1, 5, 5]}  # of the same object


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ((*REF, "ann_id"), 12345, ["instances.json", "ref_id 13", "ann_id 12345"]),
        ((*REF, "ann_id"), "13", ["refs(umd).p", "ref_id 13", "ann_id"]),
        ((*REF, "image_id"), 8, ["ref_id 13", "ann_id 13", "image 8"]),
        ((*REF, "ref_id"), 2**63, ["refs(umd).p", "ref_id", "beyond 64 bits"]),
        ((*REF, "ref_id"), 14, ["ref_id 14 2 times"]),
        ((*REF, "sentences"), None, ["refs(umd).p", "ref_id 13", "sentences"]),
        ((*REF, "sentences", 0), {"sent_id": 18, "sent": "", "raw": "  "}, ["refs(umd).p", "ref_id 13, sent_id 18"]),
        ((*REF, "sentences", 0, "sent"), "half \ud83d", ["ref_id 13", "half a character"]),
        ((*IMAGE, "file_name"), "a/../../b.jpg", ["instances.json", "image 7", "'a/../../b.jpg'"]),
        ((*IMAGE, "file_name"), "C:\\b.jpg", ["instances.json", "image 7", "leads out"]),
        ((*IMAGE, "width"), 0, ["image 7", "a size of 0 x"]),
        ((*ANNOTATION, "image_id"), True, ["annotation 13", "'image_id'"]),
        ((*ANNOTATION, "bbox"), [1, 2, float("nan"), 3], ["annotation 13", "bbox"]),
        ((*ANNOTATION, "bbox"), [[[]], 2, 3, 3], ["annotation 13", "bbox"]),
        ((*ANNOTATION, "bbox"), [100, 2, 5, 5], ["ref_id 13", "ann_id 13 with a box in image 7"]),
        ((1, "annotations", 23), TWIN, ["annotation 13 stands twice"]),
        ((1, "annotations", 23), TWIN | {"id": 99, "iscrowd": "0"}, ["annotation 99 has iscrowd '0'"]),
    ],
)
def test_unusable_records_are_refused_naming_file_and_field_and_found_by_the_check(root, path, value, words):
    def edit(*records):
        *parents, last = path
        target = records
        for key in parents:
            target = target[key]
        target[last] = value

    edit_toy_data(root, edit)
    message = error(root, "val")
    assert [word for word in words if word not in message] == []
    assert [
        said for places in check(root, images=False).values() for said in places if all(word in said for word in words)
    ]
    if path[:2] == REF:
        assert len(RefCOCOg(root, "train").expressions) == 18  # a fault in another split does not matter
