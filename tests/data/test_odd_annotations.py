"""Values that other programs write into instances.json: taken for what they mean, or refused and told by the check."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grounding.data.check import check
from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from tests.toy_data import write_toy_data

Spoil = Callable[[list[dict], dict], Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_toy_data(tmp_path / "data")


def spoilt(root: Path, how: Spoil) -> Path:
    refs_file, instances_file = root / "annotations" / "refs(umd).p", root / "annotations" / "instances.json"
    refs, instances = pickle.loads(refs_file.read_bytes()), json.loads(instances_file.read_text())
    how(refs, instances)
    refs_file.write_bytes(pickle.dumps(refs))
    instances_file.write_text(json.dumps(instances))
    return root


def bystander(**values: Any) -> Spoil:
    """One more object of the first image, to which no expression refers."""
    entry = {"id": 900, "image_id": 1, "category_id": 1, "bbox": [1, 2, 9, 8], **values}
    return lambda refs, instances: instances["annotations"].append(entry)


def regions_of_first(root: Path) -> dict[int, Any]:
    return {region.ann_id: region for region in RefCOCOg(root, "train").regions[1]}


@pytest.mark.parametrize(
    ("value", "kept"), [(0, True), (0.0, True), (False, True), (None, True), (1, False), (1.0, False), (True, False)]
)
def test_a_crowd_is_left_out_and_one_object_is_not(root: Path, value: object, kept: bool) -> None:
    spoilt(root, bystander(iscrowd=value))
    assert (900 in regions_of_first(root)) is kept
    assert list(check(root)) == []


@pytest.mark.parametrize("value", ["0", "1", "false", "", 2, -1, [], {}])
def test_a_crowd_in_other_words_is_refused_and_told(root: Path, value: object) -> None:
    spoilt(root, bystander(iscrowd=value))
    with pytest.raises(InputError, match=r"annotation 900 has iscrowd .* none of the numbers 0 and 1"):
        RefCOCOg(root, "train")
    [(kind, place)] = check(root, images=False)
    assert kind == "entry of annotations that cannot be read" and "annotation 900 has iscrowd" in place


def test_ids_as_pandas_writes_them_are_the_same_ids(root: Path) -> None:
    expected = RefCOCOg(root, "train")

    def as_floats(refs: list[dict], instances: dict) -> None:
        for record in [*refs, *instances["images"], *instances["annotations"], *instances["categories"]]:
            for name in ("id", "ref_id", "ann_id", "image_id", "category_id", "width", "height"):
                if name in record:
                    record[name] = float(record[name])

    found = RefCOCOg(spoilt(root, as_floats), "train")
    assert (found.expressions, found.regions, found.image_sizes) == (
        expected.expressions, expected.regions, expected.image_sizes,
    )  # fmt: skip
    assert all(type(each.image_id) is type(each.ann_id) is int for each in found.expressions)
    assert {each.category for each in found.expressions} == {"box"}
    assert list(check(root)) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (bystander(image_id="1"), "annotation 900 has no int 'image_id'"),
        (bystander(image_id=1.5), "annotation 900 has no int 'image_id'"),
        (bystander(image_id=True), "annotation 900 has no int 'image_id'"),
        (bystander(id="900"), "no int 'id'"),
        (lambda r, i: i["images"][0].update(id="1"), "no int 'id'"),
        (lambda r, i: r[0].update(ann_id="1"), "no int 'ann_id'"),
        (lambda r, i: i["images"][0].update(width=0), "a size of 0 x "),
        (lambda r, i: i["images"][0].update(height=-3), "x -3 pixels"),
        (lambda r, i: i["annotations"].append({**i["annotations"][0], "bbox": [1, 1, 5, 5]}), "1 stands twice"),
        (lambda r, i: i["images"].append({**i["images"][0], "file_name": "other.png"}), "image 1 stands twice"),
        (lambda r, i: r[1]["sentences"][0].update(sent_id=r[0]["sentences"][0]["sent_id"]), "sent_id 0 2 times"),
        (lambda r, i: r[1].update(ref_id=1), "ref_id 1 2 times"),
    ],
)  # fmt: skip
def test_what_would_be_mistaken_is_refused_and_told(root: Path, spoil: Spoil, said: str) -> None:
    spoilt(root, spoil)
    with pytest.raises(InputError, match=said):
        RefCOCOg(root, "train")
    assert list(check(root, images=False))


def test_an_entry_that_stands_twice_as_it_is_does_no_harm(root: Path) -> None:
    expected = RefCOCOg(root, "train").regions
    spoilt(root, lambda r, i: [i[name].append(dict(i[name][0])) for name in ("images", "annotations")])
    assert RefCOCOg(root, "train").regions == expected


def test_a_category_given_twice_is_told(root: Path) -> None:
    spoilt(root, lambda r, i: i["categories"].append({"id": 1, "name": "crate"}))
    assert list(check(root, images=False)) == [("category id given twice", "1, 2 times")]


def with_boxes(change: Callable[[list[float], dict], list[float]]) -> Spoil:
    def spoil(refs: list[dict], instances: dict) -> None:
        images = {image["id"]: image for image in instances["images"]}
        for each in instances["annotations"]:
            each["bbox"] = change(each["bbox"], images[each["image_id"]])

    return spoil


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda box, image: [box[0], box[1], box[0] + box[2], box[1] + box[3]], "and not two corners"),
        (lambda box, image: [box[0] / image["width"], box[1] / image["height"],
                             box[2] / image["width"], box[3] / image["height"]], "boxes lie within 0 and 1"),
    ],
)  # fmt: skip
def test_boxes_in_another_form_are_warned_of_and_told(root: Path, change, said: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RefCOCOg(root, "train")
    spoilt(root, with_boxes(change))
    with pytest.warns(UserWarning, match=rf"instances\.json: .*{said}"):
        RefCOCOg(root, "train")
    assert [said in place for kind, place in check(root) if kind == "boxes in another form"] == [True]
