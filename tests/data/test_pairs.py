"""Tables of one's own: what rows with boxes and splits mean, in CSV and JSON Lines, and what is refused of them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding import InputError, open_dataset
from grounding.data.pairs import LINE, ImagePhrasePairs
from grounding.runtime.errors import SettingsError

ROWS: list[dict[str, object]] = [
    {"image": "a.png", "phrase": "the cup, left of the dog", "x1": 1, "y1": 2, "x2": 11.5, "y2": 9, "split": "train"},
    {"image": "b.png", "phrase": "a dog", "x1": 0, "y1": 0, "x2": 40, "y2": 30.6, "split": "val"},
    {"image": "a.png", "phrase": "a cup", "x1": 1, "y1": 2, "x2": 11.5, "y2": 9, "split": "train"},
    {"image": "a.png", "phrase": "something", "split": "train"},
    {"image": "c.png", "phrase": "a tree", "split": "test"},
]


def write(folder: Path, suffix: str, rows: list[dict[str, object]]) -> Path:
    path = folder / f"data{suffix}"
    if suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
        return path
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name, value in (("a.png", 10), ("images/b.png", 20), ("images/a.png", 99), ("c.png", 30)):
        Image.new("RGB", (40, 30), (value, 0, 0)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".jsonl"])
def test_rows_of_a_split_with_their_boxes(folder: Path, suffix: str) -> None:
    dataset = open_dataset(write(folder, suffix, ROWS), "train")
    cup, again = dataset.expressions
    assert (cup.phrase, cup.box_xyxy) == ("the cup, left of the dog", (1, 2, 11.5, 9))
    assert again.ann_id == cup.ann_id and (cup.sent_id, again.sent_id) == (0, 2)  # the same object, as its box says
    assert [region.box_xyxy for region in dataset.regions[cup.image_id]] == [cup.box_xyxy]
    assert dataset.left_out == {"without a box": 1} and dataset.split_by == ""
    assert isinstance(dataset, ImagePhrasePairs) and dataset.boxed_splits == {"train", "val"}
    assert len(dataset) == 1 and dataset[0].boxes_xyxy.tolist() == [[1, 2, 11.5, 9]] * 2
    assert dataset[0].image.max() == 10, "an image beside the table goes before one in images/"
    dataset.check_images()
    val = open_dataset(dataset.root, "val")
    assert val.expressions[0].image_path == folder / "images" / "b.png"
    assert val[0].boxes_xyxy.tolist() == [[0, 0, 40, 30]]  # what rounding leaves beyond the image is cut off
    assert val[0].regions[0].box_xyxy == (0, 0, 40, 30)


def test_without_boxes_all_rows_of_the_split_count(folder: Path) -> None:
    path = write(folder, ".csv", ROWS)
    dataset = open_dataset(path, "train", boxed=False)
    assert dataset[0].phrases == ["the cup, left of the dog", "a cup", "something"]
    assert np.isnan(dataset[0].boxes_xyxy).tolist() == [[False] * 4, [False] * 4, [True] * 4]
    assert not dataset.left_out
    whole = ImagePhrasePairs(path)  # all rows, whatever their split
    assert [each.image_id for each in whole.expressions] == [0, 1, 0, 0, 2] and whole.regions[2] == ()
    assert [len(whole.expressions_of(index)) for index in range(len(whole))] == [3, 1, 1]


def test_without_a_column_split_the_table_is_the_split_that_is_asked(folder: Path) -> None:
    rows = [{name: value for name, value in row.items() if name != "split"} for row in ROWS]
    path = write(folder, ".jsonl", rows)
    assert [len(open_dataset(path, split).expressions) for split in ("train", "test")] == [3, 3]
    assert ImagePhrasePairs(path).boxed_splits == frozenset()


def test_only_boxes_are_missing(folder: Path) -> None:
    path = write(folder, ".csv", ROWS)
    with pytest.raises(SettingsError, match=r"data\.csv has no box in split 'test': give its rows x1, y1, x2, y2, or"):
        open_dataset(path, "test")
    with pytest.raises(InputError, match=r"data\.csv has no split 'testA': use one of test, train, val"):
        open_dataset(path, "testA")
    with pytest.raises(InputError, match=r"there is no file .*none\.csv"):
        open_dataset(folder / "none.csv", "train")


CUP = '{"image": "a.png", "phrase": "the cup"}'


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ('{"image": "a.png", "raw": "the cup"}\n{"image": "a.png", "raw": "no", "phrase": "a cup"}', "the cup|a cup"),
        ('\ufeffimage, phrase, x1, y1, x2, y2, no\r\na.png, "the cup, left",,,,,3\r\n\r\nb.png,a dog,,,,,\r\n',
         "the cup, left|a dog"),  # as spreadsheets and people write it
    ],
)  # fmt: skip
def test_what_phrases_a_file_holds(folder: Path, text: str, phrases: str) -> None:
    path = folder / ("own.csv" if "image," in text else "own.jsonl")
    path.write_bytes(text.encode())
    assert [each.phrase for each in ImagePhrasePairs(path).expressions] == phrases.split("|")


def box(*sides: object) -> dict[str, object]:
    return {"image": "a.png", "phrase": "a cup", **dict(zip(("x1", "y1", "x2", "y2"), sides, strict=False))}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (box(0.1, 0.2, 0.5, 1), "look like shares of the image: multiply them by its width and height"),
        (box(11, 2, 1, 9), "give the upper left corner first, then the lower right one, not width and height"),
        (box(1, 2, 11), "give four numbers of pixels, or none of them"),
        (box(1, 2, "nan", 9), "give four numbers of pixels, or none of them"),
    ],
)
def test_a_box_that_can_be_none_is_refused_with_its_likely_cause(
    folder: Path, row: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=rf"data\.csv, line 3 has x1, y1, x2, y2 \[.*\].*{said}"):
        ImagePhrasePairs(write(folder, ".csv", [ROWS[0] | {"split": ""}, row]))


@pytest.mark.parametrize("sides", [(1, 2, 42, 9), (1, -3, 11, 9), (100, 100, 120, 120), (1, 2, 11, 60)])
def test_a_box_beyond_its_image_is_refused_when_the_image_is_read(folder: Path, sides: tuple[int, ...]) -> None:
    dataset = open_dataset(write(folder, ".csv", [box(*sides)]), "train")
    with pytest.raises(InputError, match=r"data\.csv has box \[.*\] of a\.png, which has 40x30 pixels: .* larger copy"):
        dataset[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image;phrase\na.png;a cup\n", "begins with 'image;phrase': name each column once, with commas: image,"),
        ("image,phrase,phrase\na.png,a cup,b\n", "name each column once"),
        ("image,phrase\na.png,the cup, left\n", "line 2 has not 2 values, a column each: give a phrase with a comma"),
        ("image,phrase\na.png,\"a cup\n", "is no CSV"),
        ("image,phrase\n", "holds no pair: give lines such as"),
        ("image,phrase,split\na.png,a cup,train\na.png,a dog,\n", "has no 'split' for 'a dog' of a.png: give"),
        (f"{CUP}\n{CUP[:-1]}", "line 2 is no JSON: give one object a line"),
        (f"{CUP}\n[]", f"line 2 has no text as 'image': give rows such as {LINE}"),
        (f'{CUP}\n{{"image": "a", "raw": 7}}', "line 2 has no text as 'phrase'"),
        ('{"image": "a.png", "phrase": "caf\xe9"}', "cannot be read as UTF-8 text: give a CSV or JSON-lines file"),
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_refused(folder: Path, text: str, said: str) -> None:
    path = folder / ("data.csv" if text.startswith("image") else "data.jsonl")
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}.*{re.escape(said)}"):
        ImagePhrasePairs(path)


@pytest.mark.parametrize("missing", ["d.png", "x" * 300 + ".png", "a\0b.png"], ids=["plain", "long", "impossible"])
def test_missing_images_are_counted(folder: Path, missing: str) -> None:
    pairs = ImagePhrasePairs(write(folder, ".jsonl", [ROWS[0], ROWS[1] | {"image": missing}]))
    with pytest.raises(InputError, match=r"^1 of the 2 .* are missing from .*: put them beside"):
        pairs.check_images()


def test_a_folder_of_images_with_its_table_is_that_table(folder: Path) -> None:
    table = write(folder, ".csv", ROWS)
    assert open_dataset(folder, "val").expressions == open_dataset(table, "val").expressions
    write(folder, ".jsonl", ROWS)
    with pytest.raises(InputError, match=r"has several tables, data\.csv and data\.jsonl among them: give one"):
        open_dataset(folder, "val")
    (folder / "annotations").mkdir()
    with pytest.raises(InputError, match=r"has no refs\(umd\)\.p"):
        open_dataset(folder, "val")
