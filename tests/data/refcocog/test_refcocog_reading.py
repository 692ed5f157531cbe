"""What is read from the files: phrases, boxes and images, in their order, from either layout, whole or in part."""

import json
import re
import warnings

import numpy as np
import pytest
from PIL import Image

from grounding.data.refcocog import RefCOCOg
from grounding.runtime.errors import InputError
from grounding.types import Expression
from tests.toy_data import edit_toy_data, write_toy_data


def test_an_example_is_an_expression_with_its_annotation_and_the_image_of_its_id(root):
    dataset = RefCOCOg(str(root), "val")
    assert [example.phrases for example in dataset] == [[each.phrase] for each in dataset.expressions]
    path, example = root / "images" / "toy_007.png", dataset[0]
    with Image.open(path) as image:
        np.testing.assert_array_equal(example.image, np.asarray(image))
        box = (1.5, 2.0, float(image.width), 14.25)  # clipped to the image
    assert example.expressions == (Expression(dataset.expressions[0].phrase, box, 7, 13, 13, 18, path, "box", ()),)
    assert example.image.dtype == np.uint8 and example.boxes_xyxy.tolist() == [list(box)]


def test_group_by_image_gives_each_image_once_with_all_its_expressions(root):
    dataset = RefCOCOg(root, "val", group_by="image")
    groups = [[each.sent_id for each in dataset.expressions_of(index)] for index in range(len(dataset))]
    assert groups == [[18, 19, 20], [21, 22, 23], [24, 25, 26]]
    assert [each.sent_id for each in dataset.expressions] == [18, 21, 24, 19, 20, 22, 23, 25, 26]
    assert dataset.expressions == RefCOCOg(root, "val").expressions
    assert dataset[0].phrases == [each.phrase for each in dataset.expressions_of(0)]


def test_raw_is_the_phrase_only_where_sent_is_missing_or_blank_and_tags_are_kept(root):
    def edit(refs, instances):
        first, second, third = (ref["sentences"][0] for ref in refs if ref["ref_id"] in (13, 15, 17))
        del first["sent"], third["raw"]
        first["raw"] = second["raw"] = "As Typed"
        second["sent"], third["tags"] = " ", ["novel", "relation"]

    expressions = RefCOCOg(edit_toy_data(root, edit), "val").expressions[:3]
    assert [each.phrase == "As Typed" for each in expressions] == [True, True, False]
    assert [each.tags for each in expressions] == [(), (), ("novel", "relation")]


@pytest.mark.parametrize("images", ["images", "images/train2014", "images/saiapr_tc-12", "train2014"])
@pytest.mark.parametrize("annotations", ["annotations", "."])
def test_both_layouts_are_found(root, annotations, images):
    (root / "images").rename(root / "moved")
    (root / images).parent.mkdir(exist_ok=True)
    (root / "moved").rename(root / images)
    for path in (root / "annotations").iterdir():  # an empty folder does not hide the files at the top
        path.rename(root / annotations / path.name)
    dataset = RefCOCOg(root, "val")
    assert dataset.images_dir == root / images and dataset[0].image.ndim == 3
    dataset.check_images()


def test_boxes_of_their_own_go_with_the_refs_of_their_name(root):
    (root / "annotations" / "refs(umd).p").rename(root / "annotations" / "refs(pseudo).p")
    own = json.loads((root / "annotations" / "instances.json").read_text())
    own["annotations"][12]["bbox"] = [3, 4, 5, 6]
    (root / "annotations" / "instances(pseudo).json").write_text(json.dumps(own))
    assert RefCOCOg(root, "val", split_by="pseudo").expressions[0].box_xyxy == (3, 4, 8, 10)


def test_a_missing_image_or_one_of_another_size_is_named(root):
    dataset = RefCOCOg(root, "val")
    for name in ("toy_007.png", "toy_009.png"):
        (root / "images" / name).unlink()
    with pytest.raises(InputError, match=r"toy_007\.png"):
        dataset[0]
    Image.new("RGB", (5, 6)).save(root / "images" / "toy_008.png")
    with pytest.raises(InputError, match=r"toy_008\.png has 5x6 pixels where the annotations say"):
        dataset[1]
    with pytest.raises(InputError, match=r"2 of the 3 images of split 'val'.*toy_007\.png"):
        dataset.check_images()
    RefCOCOg(root, "train").check_images()


@pytest.mark.parametrize(("value", "kept"), [(0, True), (False, True), (None, True), (1, False), (True, False)])
def test_a_crowd_and_what_lies_outside_are_left_out_and_one_object_is_not(root, value, kept):
    def edit(refs, instances):
        instances["annotations"][13]["iscrowd"] = 1  # a reference is about it
        instances["annotations"] += [
            {"id": 900, "image_id": 7, "category_id": "none", "bbox": [1, 2, 9, 8], "iscrowd": value},
            {"id": 901, "image_id": 7, "category_id": 1, "bbox": [100, 2, 5, 5]},
        ]

    regions = {region.ann_id: region for region in RefCOCOg(edit_toy_data(root, edit), "val").regions[7]}
    assert set(regions) == ({13, 14, 900} if kept else {13, 14})
    assert not kept or (regions[900].category, regions[900].box_xyxy) == ("", (1, 2, 10, 10))


def test_ids_as_pandas_writes_them_are_the_same_ids_and_an_entry_twice_does_no_harm(root):
    def edit(refs, instances):
        for entries in instances.values():
            entries.append(dict(entries[0]))
        for record in [*refs, *(entry for entries in instances.values() for entry in entries)]:
            record.update({name: float(value) for name, value in record.items() if isinstance(value, int)})

    expected = RefCOCOg(root, "val")
    found = RefCOCOg(edit_toy_data(root, edit), "val")
    assert (found.regions, found.image_sizes) == (expected.regions, expected.image_sizes)
    assert found.expressions == expected.expressions
    assert all(type(each.image_id) is type(each.ann_id) is int for each in found.expressions)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x, y, w, h: [x, y, x + w, y + h], "boxes reach beyond their image and are cut off: .* not two corners"),
        (lambda x, y, w, h: [x / 90, y / 90, w / 90, h / 90], "all boxes lie within 0 and 1"),
    ],
)
def test_boxes_in_another_form_are_warned_of(tmp_path, change, said):
    def edit(refs, instances):
        for each in instances["annotations"]:
            each["bbox"] = change(*each["bbox"])

    root = write_toy_data(tmp_path / "data")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RefCOCOg(root, "val")
    with pytest.warns(UserWarning, match=rf"instances\.json: .*{said}"):
        RefCOCOg(edit_toy_data(root, edit), "val")


def test_subset_counts_images_keeps_order_nests_and_is_the_seeds(tmp_path):
    root = write_toy_data(tmp_path / "toy", {"train": 20})  # of three phrases each
    whole = RefCOCOg(root).expressions
    chosen = {}
    for subset, count in [(1, 1), (0.01, 1), (0.25, 5), (5, 5), (12, 12), (0.99, 20), (20, 20), (None, 20)]:
        expressions = RefCOCOg(root, subset=subset, seed=3).expressions
        chosen[subset] = [e.image_id for e in expressions[::3]]
        assert len(expressions) == 3 * count
        assert list(expressions) == [e for e in whole if e in expressions]
        assert len(RefCOCOg(root, subset=subset, seed=3, group_by="image")) == count
    assert set(chosen[1]) < set(chosen[5]) < set(chosen[12]) < set(chosen[None])
    assert chosen[5] == chosen[0.25] and chosen[1] == chosen[0.01]
    assert chosen[12] != sorted(range(1, 13)), "a seeded choice, not the first images"
    by_seed = [tuple(e.image_id for e in RefCOCOg(root, subset=6, seed=seed).expressions) for seed in (0, 1, 2, 2)]
    assert len(set(by_seed)) == 3 and by_seed[2] == by_seed[3]


@pytest.mark.parametrize("subset", [0, 1.0, 1.5, float("nan"), True, 4, "half"])
def test_impossible_subsets_are_refused(root, subset):
    with pytest.raises(InputError, match=re.escape(f"subset is {subset!r}")):
        RefCOCOg(root, "val", subset=subset)
