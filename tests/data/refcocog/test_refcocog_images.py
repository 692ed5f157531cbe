"""A data set's images: missing ones are named, and each has the size and the way up of its boxes."""

import pytest
from PIL import Image

from grounding.data.refcocog import RefCOCOg
from grounding.errors import InputError
from tests.data.refcocog.records import SIZE, write


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
