"""What is read of Flickr30k Entities: which phrases have which boxes, which have none, and odd files."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from xml.dom import minidom

import numpy as np
import pytest

from grounding.data.flickr30k import Flickr30kEntities, read_captions
from grounding.data.open_dataset import open_dataset
from grounding.data.supervision import without_boxes
from grounding.runtime.errors import InputError
from tests.data.flickr30k.files import FIELD, IMAGES, STREET, write_flickr30k, xml

pytestmark = pytest.mark.filterwarnings("ignore:.*that are published")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_flickr30k(tmp_path / "flickr")


def test_a_phrase_has_all_boxes_of_its_chain(root: Path) -> None:
    """From 11..30, counted from 1 with the last one inside, to 10..30 with the last one outside."""
    left, right = (10, 10, 30, 50), (60, 10, 80, 50)
    dataset = Flickr30kEntities(root, "test", group_by="image")
    assert [(each.phrase, each.box_xyxy, each.parts_xyxy, each.tags) for each in dataset.expressions] == [
        ("Two men", (10, 10, 80, 50), (left, right), ("people",)),
        ("a bench", (40, 20, 60, 40), ((40, 20, 60, 40),), ("other",)),
        ("A man in a hat", left, (left,), ("people", "clothing")),
        ("The men", (10, 10, 80, 50), (left, right), ("people",)),
        ("A dog", (0, 0, 70, 80), ((0, 0, 70, 80),), ("animals",)),
        ("Cars", (0, 20, 60, 80), ((20, 20, 60, 60), (0, 70, 4, 80)), ("vehicles",)),
    ]
    two_men, _, hat, the_men, dog, _ = dataset.expressions
    assert two_men.ann_id == two_men.ref_id == the_men.ann_id != hat.ann_id
    assert len({each.sent_id for each in dataset.expressions}) == 6
    assert (two_men.image_id, dog.image_id, two_men.category) == (STREET, FIELD, "")
    assert two_men.image_path == root / "flickr30k-images" / f"{STREET}.jpg"
    assert [region.box_xyxy for region in dataset.regions[FIELD]] == [dog.box_xyxy, *dataset.expressions[5].parts_xyxy]
    example = dataset[0]
    assert example.image.shape == (60, 100, 3) and len(example.expressions) == 4 and len(dataset) == 2
    assert np.array_equal(example.boxes_xyxy[1], [40, 20, 60, 40])


def test_what_has_no_box_is_counted(root: Path) -> None:
    assert Flickr30kEntities(root, "test").left_out == {
        "not visual": 1, "the whole scene": 1, "without a box": 1, "of a caption about something else": 1,
    }  # fmt: skip


def test_without_boxes_the_chains_that_have_none_count_too_and_ids_stay(root: Path) -> None:
    boxed, unboxed = (Flickr30kEntities(root, "test", boxed=boxed, group_by="image") for boxed in (True, False))
    more = [each for each in unboxed.expressions if each.sent_id not in {own.sent_id for own in boxed.expressions}]
    assert [each.phrase for each in more] == ["the street", "something"]
    assert all(np.isnan(each.box_xyxy).all() and not each.parts_xyxy for each in more)
    assert set(boxed.expressions) <= set(unboxed.expressions)
    assert unboxed.left_out == {"not visual": 1, "of a caption about something else": 1}
    hidden = without_boxes(boxed[0])
    assert not hidden.regions and not any(each.parts_xyxy for each in hidden.expressions)
    assert hidden.boxes_xyxy.tolist() == [[0, 0, 100, 60]] * 4


def by_the_authors_rules(root: Path, image_id: int) -> list[tuple[str, list[str], list[list[int]]]]:
    """Another reading of the same files, word by word and by another XML parser: phrase, types, boxes of its chain.

    Boxes are (xmin - 1, ymin - 1, xmax - 1, ymax - 1), the last pixel inside, of a phrase's chain by any of its names.
    """
    boxes: dict[str, list[list[int]]] = {}
    for thing in minidom.parse(str(root / "Annotations" / f"{image_id}.xml")).getElementsByTagName("object"):
        drawn = [
            [int(box.getElementsByTagName(side)[0].firstChild.data) - 1 for side in ("xmin", "ymin", "xmax", "ymax")]
            for box in thing.getElementsByTagName("bndbox")
        ]
        for name in thing.getElementsByTagName("name"):
            boxes.setdefault(name.firstChild.data, []).extend(drawn)
    found, words, chain, types = [], [], "", []
    for token in (root / "Sentences" / f"{image_id}.txt").read_text().split():
        if token.startswith("["):
            _, number, *types = token.split("/")
            chain, words = number.removeprefix("EN#"), []
        elif chain:
            words.append(token.removesuffix("]"))
            if token.endswith("]"):
                found.append((" ".join(words), types, boxes.get(chain, [])))
                chain = ""
    return found


@pytest.mark.parametrize("image_id", IMAGES)
def test_the_authors_rules_find_the_same(root: Path, image_id: int) -> None:
    (root / "UNRELATED_CAPTIONS").unlink()
    (root / "test.txt").write_text(str(image_id))
    dataset = Flickr30kEntities(root, "test")
    ours = [
        (each.phrase, list(each.tags), [[x1, y1, x2 - 1, y2 - 1] for x1, y1, x2, y2 in each.parts_xyxy])
        for each in dataset.expressions
    ]
    assert ours == [found for found in by_the_authors_rules(root, image_id) if found[2]] and ours


def test_a_box_that_reaches_out_is_clipped_and_one_outside_is_none(root: Path) -> None:
    objects = [((20,), (61, 61, 200, 90)), ((21,), (90, 90, 95, 95))]
    (root / ANNOTATION).write_text(xml(FIELD, IMAGES[FIELD][0], objects))
    dataset = Flickr30kEntities(root, "test")
    assert [each.box_xyxy for each in dataset.expressions if each.image_id == FIELD] == [(60, 60, 80, 80)]
    assert dataset.left_out["without a box"] == 2


def test_captions(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_bytes('A " caf\u00e9 " [/EN#7/other/food caf\u00e9 au lait ] .\n\nlast\n'.encode())
    [phrase], last = read_captions(tmp_path / "1.txt")
    assert (phrase.chain, phrase.types, phrase.text) == (7, ("other", "food"), "caf\u00e9 au lait") and last == []


BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
SIZE, NAME = "<size><width>80</width><height>80</height></size>", "<name>20</name>"
ANNOTATION, CAPTIONS = f"Annotations/{FIELD}.xml", f"Sentences/{FIELD}.txt"


def described(*objects: str) -> str:
    return f"<annotation>{SIZE}<object>{''.join(objects)}</object></annotation>"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (ANNOTATION, "<annotation><object>", "is not readable XML"),
        (ANNOTATION, "<annotation></annotation>", "has no whole number 'size/width'"),
        (ANNOTATION, described(BOX), "object 1 has no 'name'"),
        (ANNOTATION, described(NAME, BOX.replace("<ymin>1</ymin>", "")), "object 1 has no whole number 'ymin'"),
        (ANNOTATION, described(NAME, BOX.replace(">9<", ">0<")), "[1, 1, 0, 0] whose minimum is above its maximum"),
        (CAPTIONS, "fine\n[/EN#1/people A man", "caption 2 has a phrase that is not [/EN#NUMBER"),
        (CAPTIONS, "[/EN#1/people a [/EN#2/other b] c]", "caption 1 has a phrase that is not"),
        ("test.txt", "1007\n1007\n", "does not list the numbers of images, each once"),
        ("test.txt", "../1007\n", "does not list the numbers of images, each once"),
        ("UNRELATED_CAPTIONS", "1007 x\n", "has a line that is no number of an image and of a caption"),
    ],
)
def test_a_broken_file_is_named(root: Path, name: str, text: str, said: str) -> None:
    (root / name).write_text(text)
    with pytest.raises(InputError, match=rf"{re.escape(str(root / name))}.*{re.escape(said)}.*: get the file again"):
        Flickr30kEntities(root, "test")


def test_a_part_of_the_data_set_is_told_what_it_lacks(root: Path) -> None:
    with pytest.raises(
        InputError, match=r"train\.txt is missing.* are there: test: .*grounding\.data\.download flickr30k"
    ):
        open_dataset(root, "train")
    (root / "flickr30k-images" / f"{FIELD}.jpg").unlink()
    with pytest.raises(InputError, match=rf"1 of the 2 images of split 'test' .* first {FIELD}\.jpg: .* form at https"):
        open_dataset(root, "test").check_images()
    (root / "Sentences").rename(root / "elsewhere")
    with pytest.raises(InputError, match=rf"{STREET}\.txt cannot be read"):
        open_dataset(root, "test")


@pytest.mark.filterwarnings("default:.*that are published")
def test_a_list_of_another_length_than_the_published_one_is_told(root: Path) -> None:
    with pytest.warns(UserWarning, match=r"test\.txt names 2 images, of 1,000 that are published"):
        Flickr30kEntities(root, "test")
    (root / "some.txt").write_text(f"{FIELD}\n")  # a list of one's own
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Flickr30kEntities(root, "some", group_by="image")) == 1
