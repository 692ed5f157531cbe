"""A data set's images: missing ones are named, and each has the size and the way up of its boxes."""

import pytest
from PIL import Image

from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from tests.data.refcocog.records import SIZE, error, write


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


def without_sizes(records):
    refs, instances = records
    for image in instances["images"]:
        del image["width"], image["height"]
    return refs, instances


def test_boxes_are_clipped_to_the_decoded_image_where_its_size_is_not_given(tmp_path, records):
    stated = RefCOCOg(write(tmp_path / "a", *records), "val", group_by="image")
    unstated = RefCOCOg(write(tmp_path / "b", *without_sizes(records)), "val", group_by="image")
    assert stated.expressions[-1].box_xyxy == (30, 20, 40, 30) and unstated.expressions[-1].box_xyxy == (30, 20, 55, 45)
    for known, found in zip(stated, unstated, strict=True):
        assert found.boxes_xyxy.tolist() == known.boxes_xyxy.tolist()
        assert found.regions == known.regions
    assert found.expressions[0].box_xyxy == found.regions[0].box_xyxy == (30, 20, 40, 30)


def test_a_box_outside_of_an_image_of_no_given_size_is_refused_where_a_phrase_is_about_it(tmp_path, records):
    refs, instances = records
    instances["annotations"][1]["bbox"] = [50, 2, 5, 5]
    stated = error(write(tmp_path, refs, instances), "val")
    dataset = RefCOCOg(write(tmp_path, *without_sizes(records)), "val")
    with pytest.raises(InputError) as caught:
        dataset[2]
    assert str(caught.value).replace(".0", "") == stated
    assert dataset[0].phrases == ["the left cup"]


def test_an_object_outside_of_an_image_of_no_given_size_is_left_out(tmp_path, records):
    outside = {"id": 500, "image_id": 5, "category_id": 1, "bbox": [50, 2, 5, 5]}
    records[1]["annotations"].append(outside)
    dataset = RefCOCOg(write(tmp_path, *without_sizes(records)), "val")
    assert [region.ann_id for region in dataset.regions[5]] == [102, 500]
    assert [region.ann_id for region in dataset[2].regions] == [102]


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
