"""What is read from the files: phrases, boxes and images, in their order, from either layout."""

import numpy as np
import pytest
from torch.utils.data import DataLoader

from grounding.data.refcocog import RefCOCOg
from grounding.types import Expression
from tests.data.refcocog.records import error, write


def test_sentences_are_in_the_order_of_the_refs_file(root):
    dataset = RefCOCOg(str(root), "val")
    assert [e.phrase for e in dataset.expressions] == [
        "the left cup", "a cup on the left", "the dog", "the right cup", "the tree",
    ]  # fmt: skip
    assert len(dataset) == 5
    assert [dataset.expressions_of(i) for i in range(5)] == [(e,) for e in dataset.expressions]
    assert (dataset.root, dataset.split, dataset.split_by) == (root, "val", "umd")
    assert dataset.images_dir == root / "images"


def test_expression_holds_the_annotation(root):
    assert RefCOCOg(root, "val").expressions[1] == Expression(
        phrase="a cup on the left",
        box_xyxy=(1.5, 2.0, 11.5, 14.25),
        image_id=7,
        ref_id=1,
        ann_id=101,
        sent_id=11,
        image_path=root / "images" / "photo_7.jpg",
        category="thing",
        tags=(),
    )


def test_example_has_the_image_of_the_image_id(root):
    example = RefCOCOg(root, "val")[2]
    assert example.image.shape == (30, 40, 3) and example.image.dtype == np.uint8
    assert np.abs(example.image[0, 0].astype(int) - (5, 100, 200)).max() <= 4
    assert example.phrases == ["the dog"] and example.boxes_xyxy.tolist() == [[0, 0, 40, 30]]


def test_group_by_image_gives_each_image_once_with_all_its_expressions(root):
    dataset = RefCOCOg(root, "val", group_by="image")
    assert [[e.sent_id for e in dataset.expressions_of(i)] for i in range(len(dataset))] == [[10, 11, 40], [20], [50]]
    assert dataset[0].phrases == ["the left cup", "a cup on the left", "the right cup"]
    assert dataset.expressions == RefCOCOg(root, "val").expressions


def test_iteration_and_negative_indices_stop_where_they_should(root):
    dataset = RefCOCOg(root, "val")
    assert [example.expressions[0] for example in dataset] == list(dataset.expressions)
    assert dataset[-1].expressions == dataset.expressions_of(4)
    with pytest.raises(IndexError):
        dataset[5]


def test_a_data_loader_reads_it_in_processes(root):
    loader = DataLoader(RefCOCOg(root, "val"), batch_size=2, num_workers=1, collate_fn=list)
    assert [phrase for batch in loader for example in batch for phrase in example.phrases] == [
        e.phrase for e in RefCOCOg(root, "val").expressions
    ]


def test_raw_is_the_phrase_only_where_sent_is_missing_or_blank(tmp_path, records):
    refs, instances = records
    del refs[0]["sentences"][0]["sent"]
    refs[0]["sentences"][1]["sent"] = " "
    del refs[1]["sentences"][0]["raw"]
    phrases = [e.phrase for e in RefCOCOg(write(tmp_path, refs, instances), "val").expressions]
    assert phrases[:3] == ["The left cup", "A cup on the left", "the dog"]


def test_tags_of_a_sentence_are_kept(tmp_path, records):
    refs, instances = records
    refs[1]["sentences"][0]["tags"] = ["novel", "relation"]
    expressions = RefCOCOg(write(tmp_path, refs, instances), "val").expressions
    assert [e.tags for e in expressions] == [(), (), ("novel", "relation"), (), ()]


@pytest.mark.parametrize("images", ["images", "images/train2014", "train2014"])
@pytest.mark.parametrize("annotations", ["annotations", "."])
def test_both_layouts_are_found(tmp_path, records, annotations, images):
    dataset = RefCOCOg(write(tmp_path, *records, annotations=annotations, images=images), "val")
    assert dataset.images_dir == tmp_path / images
    assert dataset[0].image.shape == (30, 40, 3)
    dataset.check_images()


def test_another_annotations_folder_does_not_hide_the_files_at_the_top(tmp_path, records):
    write(tmp_path, *records, annotations=".")
    (tmp_path / "annotations").mkdir()
    assert len(RefCOCOg(tmp_path, "val")) == 5


def test_refcoco_has_two_test_splits_and_both_are_test(tmp_path, records):
    refs, instances = records
    refs[0]["split"], refs[4]["split"] = "testA", "testB"
    root = write(tmp_path, refs, instances, split_by="unc")
    splits = ("train", "val", "testA", "testB", "test")
    assert [len(RefCOCOg(root, split, split_by="unc")) for split in splits] == [1, 2, 2, 1, 3]
    assert "testA, testB, train, val" in error(root, "testC", split_by="unc")
