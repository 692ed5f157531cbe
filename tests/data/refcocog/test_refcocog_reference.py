"""The reader says of a file what the refer project's own, and pycocotools, say of it."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from grounding.data import annotations
from grounding.data.annotations import PUBLISHED_REFERENCES
from grounding.data.refcocog import RefCOCOg
from grounding.runtime.errors import InputError
from tests.shared_data import SHARED_DATA, needs_shared_data
from tests.toy_data import edit_toy_data, write_toy_data

Rows = list[tuple[int, int, int, int, str, list[float]]]
# Names of splits as the published files of RefCOCOg, RefCOCO and RefCLEF have them.
SPLITS = ("train", "val", "test", "testA", "testB", "testC", "testAB", "testBC", "testAC")


def by_refer(refs_file: Path, instances_file: Path, split: str) -> Rows:
    """What refer.py's `getRefIds(split=...)`, `getRefBox` and a reference's sentences give, in its words.

    Returns:
        (ref_id, ann_id, image_id, sent_id, sent, [x, y, width, height]) of every sentence.
    """
    refs = pickle.loads(refs_file.read_bytes())
    box_of = {each["id"]: each["bbox"] for each in json.loads(instances_file.read_text())["annotations"]}
    if split in ("testA", "testB", "testC"):
        chosen = [ref for ref in refs if split[-1] in ref["split"]]
    elif split == "test":
        chosen = [ref for ref in refs if "test" in ref["split"]]
    else:
        chosen = [ref for ref in refs if ref["split"] == split]
    return [
        (ref["ref_id"], ref["ann_id"], ref["image_id"], each["sent_id"], each["sent"], box_of[ref["ann_id"]])
        for ref in chosen
        for each in ref["sentences"]
    ]


def by_us(root: Path, split: str, split_by: str) -> Rows:
    rows: Rows = []
    for each in RefCOCOg(root, split, split_by=split_by).expressions:
        x1, y1, x2, y2 = each.box_xyxy
        rows.append((each.ref_id, each.ann_id, each.image_id, each.sent_id, each.phrase, [x1, y1, x2 - x1, y2 - y1]))
    return rows


def assert_same(root: Path, split: str, split_by: str) -> int:
    refs_file = root / "annotations" / f"refs({split_by}).p"
    wanted = by_refer(refs_file, refs_file.with_name("instances.json"), split)
    if not wanted:
        with pytest.raises(InputError, match=f"has no split '{split}'"):
            by_us(root, split, split_by)
        return 0
    found = by_us(root, split, split_by)
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


def generated(root: Path) -> Path:
    """Four references in each of the splits; boxes between pixels, and objects of three kinds, one of them a crowd."""

    def edit(refs: list[dict], instances: dict) -> None:
        for number, ref in enumerate(refs):
            ref["split"] = SPLITS[number % len(SPLITS)]
            ref["sentences"] = [each | {"raw": "as it was typed"} for each in ref["sentences"]]
        for each in instances["annotations"]:
            x, y, *size = each["bbox"]
            each.update(bbox=[x + each["id"] / 64, y + 0.37, *size], category_id=1 + each["id"] % 3, iscrowd=0)
        instances["annotations"].append(instances["annotations"][0] | {"id": 999, "iscrowd": 1})
        instances["categories"] = [{"id": i, "name": name} for i, name in enumerate(("cup", "dog", "tree"), start=1)]

    edit_toy_data(write_toy_data(root, {"train": 18}), edit)
    (root / "annotations" / "refs(umd).p").rename(root / "annotations" / "refs(unc).p")
    return root


@pytest.mark.parametrize("split", SPLITS)
def test_generated_files_in_every_split(tmp_path: Path, split: str) -> None:
    assert assert_same(generated(tmp_path), split, "unc") > 0


@pytest.mark.parametrize("where", ["generated", pytest.param("real", marks=needs_shared_data("refcocog-mini"))])
def test_regions_are_those_of_pycocotools(tmp_path: Path, where: str) -> None:
    coco_module = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    root, split_by = (generated(tmp_path), "unc") if where == "generated" else (SHARED_DATA / "refcocog-mini", "umd")
    with contextlib.redirect_stdout(io.StringIO()):  # it reports what it does
        coco = coco_module.COCO(str(root / "annotations" / "instances.json"))
    dataset = RefCOCOg(root, "val", split_by=split_by, group_by="image")
    assert dataset.regions
    for image_id, regions in dataset.regions.items():
        theirs: list[dict[str, Any]] = coco.loadAnns(coco.getAnnIds(imgIds=[image_id], iscrowd=False))
        assert [region.ann_id for region in regions] == [each["id"] for each in theirs]
        ours = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in (region.box_xyxy for region in regions)]
        np.testing.assert_allclose(ours, [each["bbox"] for each in theirs], atol=0.01)
        names = [coco.loadCats([each["category_id"]])[0]["name"] for each in theirs]
        assert [region.category for region in regions] == names
        [image] = coco.loadImgs([image_id])
        assert dataset.images_dir / image["file_name"] in {each.image_path for each in dataset.expressions}


def test_published_splits_add_up() -> None:
    """Two divisions of one data set have the same objects; the totals are those that its papers give."""
    totals = {name: sum(counts.values()) for name, counts in PUBLISHED_REFERENCES.items()}
    assert totals == {("RefCOCOg", "umd"): 49_822, ("RefCOCOg", "google"): 49_822, ("RefCOCO", "unc"): 50_000,
                      ("RefCOCO", "google"): 50_000, ("RefCOCO+", "unc"): 49_856}  # fmt: skip


def test_a_complete_file_with_other_splits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the google split is saved as umd's."""
    root = generated(tmp_path)
    monkeypatch.setattr(annotations, "PUBLISHED_REFERENCES", {("Made-up", "unc"): dict.fromkeys(SPLITS, 4)})
    assert RefCOCOg(root, "val", split_by="unc").expressions
    monkeypatch.setattr(annotations, "PUBLISHED_REFERENCES", {("Made-up", "unc"): {"train": 30, "val": 6}})
    with pytest.raises(
        InputError, match=r"refs\(unc\)\.p has all 36 references of Made-up, but 4 train, .* where 30 train"
    ):
        RefCOCOg(root, "val", split_by="unc")
    monkeypatch.setattr(annotations, "PUBLISHED_REFERENCES", {("Made-up", "unc"): {"train": 30, "val": 5}})
    assert RefCOCOg(root, "val", split_by="unc").expressions  # a part of it, or another data set
