"""What is read from the files: phrases, boxes and images, in their order, from either layout, whole or in part."""

import json
import warnings

import numpy as np
import pytest
from PIL import Image

from grounding.data.refcocog import RefCOCOg
from grounding.runtime.errors import InputError
from grounding.types import Expression
from tests.data.refcocog.records import SIZE, error, write
from tests.toy_data import write_toy_data


def test_examples_are_in_the_order_of_the_refs_file_and_hold_the_annotation_and_the_image_of_its_id(root):
    dataset = RefCOCOg(str(root), "val")
    assert [example.phrases for example in dataset] == [
        ["the left cup"], ["a cup on the left"], ["the dog"], ["the right cup"], ["the tree"],
    ]  # fmt: skip
    assert [dataset.expressions_of(i) for i in range(len(dataset))] == [(e,) for e in dataset.expressions]
    assert (dataset.root, dataset.split, dataset.split_by) == (root, "val", "umd")
    assert dataset.expressions[1] == Expression("a cup on the left", (1.5, 2.0, 11.5, 14.25), 7, 1, 101, 11,
                                                root / "images" / "photo_7.jpg", "thing", ())  # fmt: skip
    assert dataset.expressions[-1].box_xyxy == (30, 20, 40, 30), "clipped to the image"
    dog = dataset[2]
    assert dog.image.shape == (30, 40, 3) and dog.image.dtype == np.uint8
    assert np.abs(dog.image[0, 0].astype(int) - (5, 100, 200)).max() <= 4
    assert dog.boxes_xyxy.tolist() == [[0, 0, 40, 30]]


def test_group_by_image_gives_each_image_once_with_all_its_expressions(root):
    dataset = RefCOCOg(root, "val", group_by="image")
    assert [[e.sent_id for e in dataset.expressions_of(i)] for i in range(len(dataset))] == [[10, 11, 40], [20], [50]]
    assert dataset[0].phrases == ["the left cup", "a cup on the left", "the right cup"]
    assert dataset.expressions == RefCOCOg(root, "val").expressions


def test_raw_is_the_phrase_only_where_sent_is_missing_or_blank_and_tags_are_kept(tmp_path, records):
    refs, instances = records
    del refs[0]["sentences"][0]["sent"]
    refs[0]["sentences"][1]["sent"] = " "
    del refs[1]["sentences"][0]["raw"]
    refs[1]["sentences"][0]["tags"] = ["novel", "relation"]
    expressions = RefCOCOg(write(tmp_path, refs, instances), "val").expressions
    assert [e.phrase for e in expressions[:3]] == ["The left cup", "A cup on the left", "the dog"]
    assert [e.tags for e in expressions] == [(), (), ("novel", "relation"), (), ()]


@pytest.mark.parametrize("images", ["images", "images/train2014", "images/saiapr_tc-12", "train2014"])
@pytest.mark.parametrize("annotations", ["annotations", "."])
def test_both_layouts_are_found(tmp_path, records, annotations, images):
    (tmp_path / "annotations").mkdir()  # does not hide the files at the top
    dataset = RefCOCOg(write(tmp_path, *records, annotations=annotations, images=images), "val")
    assert dataset.images_dir == tmp_path / images
    assert dataset[0].image.shape == (30, 40, 3)
    dataset.check_images()


def test_boxes_of_their_own_go_with_the_refs_of_their_name(tmp_path, records):
    root = write(tmp_path, *records, split_by="pseudo")
    own = json.loads((root / "annotations" / "instances.json").read_text())
    own["annotations"][1]["bbox"] = [3, 4, 5, 6]
    (root / "annotations" / "instances(pseudo).json").write_text(json.dumps(own))
    assert RefCOCOg(root, "val", split_by="pseudo").expressions[2].box_xyxy == (3, 4, 8, 10)


def test_missing_image_is_named_when_read_and_counted_by_the_check(root):
    dataset = RefCOCOg(root, "val")
    dataset.check_images()
    (root / "images" / "photo_7.jpg").unlink()
    (root / "images" / "photo_6.jpg").unlink()
    with pytest.raises(InputError, match=r"photo_7\.jpg"):
        dataset[0]
    assert dataset[2].image.shape == (30, 40, 3)
    with pytest.raises(InputError, match=r"2 of the 3 images of split 'val'.*photo_7\.jpg"):
        dataset.check_images()
    RefCOCOg(root, "train").check_images()


def test_boxes_may_be_those_of_the_pixels_as_stored(tmp_path, records):
    root, exif = write(tmp_path, *records), Image.Exif()
    exif[0x0112] = 6  # to be turned, which the annotated size forbids
    Image.new("RGB", SIZE).save(root / "images" / "photo_5.jpg", exif=exif)
    assert RefCOCOg(root, "val")[2].image.shape == (SIZE[1], SIZE[0], 3)


@pytest.mark.parametrize(("value", "kept"), [(0, True), (False, True), (None, True), (1, False), (True, False)])
def test_a_crowd_and_what_lies_outside_are_left_out_and_one_object_is_not(tmp_path, records, value, kept):
    records[1]["annotations"] += [
        {"id": 900, "image_id": 5, "category_id": "none", "bbox": [1, 2, 9, 8], "iscrowd": value},
        {"id": 901, "image_id": 5, "category_id": 1, "bbox": [50, 2, 5, 5]},
    ]
    regions = {region.ann_id: region for region in RefCOCOg(write(tmp_path, *records), "val").regions[5]}
    assert set(regions) == ({102, 900} if kept else {102})
    assert not kept or (regions[900].category, regions[900].box_xyxy) == ("", (1, 2, 10, 10))
    records[1]["annotations"][1]["iscrowd"] = 1  # a reference is about it
    assert 102 in {region.ann_id for region in RefCOCOg(write(tmp_path, *records), "val").regions[5]}


def test_ids_as_pandas_writes_them_are_the_same_ids_and_an_entry_twice_does_no_harm(tmp_path, records):
    refs, instances = records
    expected = RefCOCOg(write(tmp_path / "a", refs, instances), "val")
    for name in ("images", "annotations", "categories"):
        instances[name].append(dict(instances[name][0]))
    for record in [*refs, *instances["images"], *instances["annotations"], *instances["categories"]]:
        record.update({name: float(value) for name, value in record.items() if isinstance(value, int)})
    found = RefCOCOg(write(tmp_path / "b", refs, instances), "val")
    assert (found.regions, found.image_sizes) == (expected.regions, expected.image_sizes)
    assert [(e.ref_id, e.sent_id, e.category) for e in found.expressions] == [
        (e.ref_id, e.sent_id, e.category) for e in expected.expressions
    ]
    assert all(type(each.image_id) is type(each.ann_id) is int for each in found.expressions)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x, y, w, h: [x, y, x + w, y + h], "boxes reach beyond their image and are cut off: .* not two corners"),
        (lambda x, y, w, h: [x / 40, y / 30, w / 40, h / 30], "all boxes lie within 0 and 1"),
    ],
)
def test_boxes_in_another_form_are_warned_of(tmp_path, records, change, said):
    refs, instances = records
    instances["annotations"][4]["bbox"] = [30, 20, 9, 9]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RefCOCOg(write(tmp_path, refs, instances), "val")
    for each in instances["annotations"][:-1]:
        each["bbox"] = change(*each["bbox"])
    with pytest.warns(UserWarning, match=rf"instances\.json: .*{said}"):
        RefCOCOg(write(tmp_path, refs, instances), "val")


def test_subset_counts_images_keeps_order_nests_and_is_the_seeds(tmp_path):
    root = write_toy_data(tmp_path / "toy", {"train": 20})  # of three phrases each
    whole = RefCOCOg(root).expressions
    chosen = {}
    counts = [(1, 1), (0.01, 1), (0.25, 5), (np.int64(5), 5), (12, 12), (np.float32(0.99), 20), (20, 20), (None, 20)]
    for subset, count in counts:
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


@pytest.mark.parametrize("subset", [0, -1, 1.0, 1.5, float("nan"), True, np.True_, np.int64(7), 4, "half"])
def test_impossible_subsets_are_refused(root, subset):
    assert f"subset is {subset!r}" in error(root, "val", subset=subset)
