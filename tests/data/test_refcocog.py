import copy
import json
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from grounding.types import Expression
from tests.shared_data import SHARED_DATA, needs_shared_data

SIZE = (40, 30)


def ref(ref_id, ann_id, image_id, split, *phrases):
    sentences = [
        {"sent_id": 10 * ref_id + i, "sent": phrase.lower(), "raw": phrase, "tokens": phrase.lower().split()}
        for i, phrase in enumerate(phrases)
    ]
    return {"ref_id": ref_id, "ann_id": ann_id, "image_id": image_id, "category_id": 1, "split": split,
            "file_name": f"photo_{image_id}_{ann_id}.jpg", "sentences": sentences}  # fmt: skip


def make_records():
    """Three val images whose references are not in image order, and one train image."""
    refs = [
        ref(1, 101, 7, "val", "The left cup", "A cup on the left"),
        ref(2, 102, 5, "val", "The dog"),
        ref(3, 103, 9, "train", "A car"),
        ref(4, 104, 7, "val", "The right cup"),
        ref(5, 105, 6, "val", "The tree"),
    ]
    boxes = {
        101: [1.5, 2, 10, 12.25],
        102: [0, 0, 40, 30],
        103: [4, 5, 6, 7],
        104: [20, 3, 9, 9],
        105: [30, 20, 25, 25],
    }
    image_of = {item["ann_id"]: item["image_id"] for item in refs}
    instances = {
        "images": [
            {"id": i, "file_name": f"photo_{i}.jpg", "width": SIZE[0], "height": SIZE[1]} for i in (5, 6, 7, 9, 99)
        ],
        "annotations": [
            {"id": i, "image_id": image_of[i], "category_id": 1, "bbox": box, "segmentation": [[0, 0, 1, 1, 2, 0]]}
            for i, box in boxes.items()
        ]
        + [{"id": 999, "image_id": 99, "category_id": 1, "bbox": "never looked at"}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    return refs, instances


def write(root, refs, instances, *, annotations="annotations", images="images", split_by="umd"):
    (root / annotations).mkdir(parents=True, exist_ok=True)
    (root / images).mkdir(parents=True, exist_ok=True)
    (root / annotations / f"refs({split_by}).p").write_bytes(pickle.dumps(refs, protocol=2))
    (root / annotations / "instances.json").write_text(json.dumps(instances))
    for image_id in (5, 6, 7, 9):
        Image.new("RGB", SIZE, (image_id, 100, 200)).save(root / images / f"photo_{image_id}.jpg", quality=100)
    return root


@pytest.fixture
def records():
    return make_records()


@pytest.fixture
def root(tmp_path, records):
    return write(tmp_path / "data", *records)


def error(*args, **kwargs):
    with pytest.raises(InputError) as caught:
        RefCOCOg(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message and not message.endswith(".")
    return message


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


def test_box_is_clipped_to_the_image_where_its_size_is_given(tmp_path, records):
    refs, instances = records
    assert RefCOCOg(write(tmp_path / "a", refs, instances), "val").expressions[-1].box_xyxy == (30, 20, 40, 30)
    for image in instances["images"]:
        del image["width"], image["height"]
    dataset = RefCOCOg(write(tmp_path / "b", refs, instances), "val")
    assert dataset.expressions[-1].box_xyxy == (30, 20, 55, 45)
    assert dataset[-1].image.shape == (30, 40, 3)


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


def test_refcoco_splits_have_no_special_treatment(tmp_path, records):
    refs, instances = records
    refs[0]["split"], refs[4]["split"] = "testA", "testB"
    root = write(tmp_path, refs, instances, split_by="unc")
    assert [len(RefCOCOg(root, split, split_by="unc")) for split in ("train", "val", "testA", "testB")] == [1, 2, 2, 1]
    assert "testA, testB, train, val" in error(root, "test", split_by="unc")


def many_images(root, count):
    refs = [ref(i, i, i, "train", f"Thing {i}", f"Object {i}") for i in range(1, count + 1)]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in range(1, count + 1)]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, 5, 5]} for i in range(1, count + 1)]
    return write(root, refs, {"images": images, "annotations": boxes, "categories": []})


def test_subset_counts_images_keeps_order_and_nests(tmp_path):
    root = many_images(tmp_path, 20)
    whole = RefCOCOg(root).expressions
    chosen = {}
    for subset, count in [(1, 1), (0.01, 1), (0.25, 5), (5, 5), (12, 12), (0.99, 20), (20, 20), (None, 20)]:
        expressions = RefCOCOg(root, subset=subset, seed=3).expressions
        chosen[subset] = [e.image_id for e in expressions[::2]]
        assert len(expressions) == 2 * count
        assert list(expressions) == [e for e in whole if e in expressions]
        assert len(RefCOCOg(root, subset=subset, seed=3, group_by="image")) == count
    assert set(chosen[1]) < set(chosen[5]) < set(chosen[12]) < set(chosen[None])
    assert chosen[5] == chosen[0.25] and chosen[1] == chosen[0.01]
    assert chosen[12] != sorted(range(1, 13)), "a seeded choice, not the first images"


def test_subset_depends_on_the_seed_alone(tmp_path):
    root = many_images(tmp_path, 20)
    by_seed = [tuple(e.image_id for e in RefCOCOg(root, subset=6, seed=seed).expressions) for seed in range(5)]
    assert len(set(by_seed)) > 1
    assert by_seed[2] == tuple(e.image_id for e in RefCOCOg(root, subset=6, seed=2).expressions)


@pytest.mark.parametrize("subset", [0, -1, 0.0, 1.0, 1.5, -0.5, float("nan"), True, 4, "half"])
def test_impossible_subsets_are_refused(root, subset):
    assert f"subset is {subset!r}" in error(root, "val", subset=subset)


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


def change(records, path, value):
    records = copy.deepcopy(records)
    *parents, last = path
    target = records
    for key in parents:
        target = target[key]
    target[last] = value
    return records


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
def test_an_object_of_no_image_is_left_out(tmp_path, records, value):
    dataset = RefCOCOg(write(tmp_path, *change(records, (1, "annotations", -1, "image_id"), value)), "val")
    assert sum(map(len, dataset.regions.values())) == 4


def test_a_fault_in_another_split_does_not_matter(tmp_path, records):
    assert len(RefCOCOg(write(tmp_path, *change(records, (0, 1, "ann_id"), 12345)), "train")) == 1


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


def test_image_of_another_size_is_refused(root):
    Image.new("RGB", (80, 60)).save(root / "images" / "photo_5.jpg")
    with pytest.raises(InputError, match=r"photo_5\.jpg has 80x60 .* 40x30"):
        RefCOCOg(root, "val")[2]


@pytest.mark.parametrize("size", [SIZE, SIZE[::-1]], ids=["boxes of stored pixels", "boxes of upright pixels"])
def test_image_is_turned_the_way_its_boxes_are(tmp_path, records, size):
    refs, instances = records
    instances["images"][0].update(width=size[0], height=size[1])
    instances["annotations"][1]["bbox"] = [1, 1, 5, 5]
    root = write(tmp_path, refs, instances)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SIZE).save(root / "images" / "photo_5.jpg", exif=exif)
    assert RefCOCOg(root, "val")[2].image.shape == (size[1], size[0], 3)


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
