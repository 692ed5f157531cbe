"""Tables of one's own: what rows with boxes and splits mean, in CSV and JSON Lines, and what is refused of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding import InputError, ModelConfig, open_dataset
from grounding.data.pairs import ImagePhrasePairs
from grounding.errors import SettingsError
from grounding.evaluation.compare import compare
from grounding.evaluation.config import EvaluateConfig
from tests.tiny_clip import save_tiny_clip

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
    for name in ("a.png", "images/b.png", "c.png"):
        Image.new("RGB", (40, 30)).save(tmp_path / name)
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
    dataset.check_images()
    val = open_dataset(dataset.root, "val")
    assert val.expressions[0].image_path == folder / "images" / "b.png"
    assert val[0].boxes_xyxy.tolist() == [[0, 0, 40, 30]]  # what rounding leaves beyond the image is cut off


def test_without_boxes_all_rows_of_the_split_count(folder: Path) -> None:
    dataset = open_dataset(write(folder, ".csv", ROWS), "train", boxed=False)
    assert [each.phrase for each in dataset.expressions] == ["the cup, left of the dog", "a cup", "something"]
    assert np.isnan(dataset[0].boxes_xyxy).tolist() == [[False] * 4, [False] * 4, [True] * 4]
    assert not dataset.left_out


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


def box(*sides: object) -> dict[str, object]:
    return {"image": "a.png", "phrase": "a cup", **dict(zip(("x1", "y1", "x2", "y2"), sides, strict=False))}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (box(0.1, 0.2, 0.5, 1), "look like shares of the image: multiply them by its width and height"),
        (box(11, 2, 1, 9), "give the upper left corner first, then the lower right one, not width and height"),
        (box(11, 22, 10, 8), "not width and height"),
        (box(1, 9, 11, 9), "give the upper left corner first"),
        (box(1, 2, 11), "give four numbers of pixels, or none of them"),
        (box(1, 2, "eleven", 9), "give four numbers of pixels, or none of them"),
        (box(1, 2, "nan", 9), "give four numbers of pixels, or none of them"),
        (box(1, 2, "inf", 9), "give four numbers of pixels, or none of them"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_box_that_can_be_none_is_refused_with_its_likely_cause(
    folder: Path, row: dict[str, object], said: str, suffix: str
) -> None:
    with pytest.raises(InputError) as error:
        ImagePhrasePairs(write(folder, suffix, [ROWS[0] | {"split": ""}, row]))
    line = 3 if suffix == ".csv" else 2
    assert str(error.value).startswith(f"{folder / f'data{suffix}'}, line {line} has x1, y1, x2, y2 [")
    assert said in str(error.value)


@pytest.mark.parametrize(
    "sides", [(1, 2, 42, 9), (1, -3, 11, 9), (100, 100, 120, 120), (1, 2, 11, 60), (40.2, 3, 40.8, 9)]
)
def test_a_box_beyond_its_image_is_refused_when_the_image_is_read(folder: Path, sides: tuple[int, ...]) -> None:
    dataset = open_dataset(write(folder, ".csv", [box(*sides)]), "train")
    with pytest.raises(InputError, match=r"data\.csv has box \[.*\] of a\.png, which has 40x30 pixels: .* larger copy"):
        dataset[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image;phrase\na.png;a cup\n", "begins with 'image;phrase': name each column once, with commas: image,"),
        ("a.png,a cup\n", "begins with 'a.png,a cup': name each column once"),
        ("image,phrase,phrase\na.png,a cup,b\n", "name each column once"),
        ("image,phrase\na.png,the cup, left\n", "line 2 has 3 values for 2 columns: give a phrase with a comma quotes"),
        ("image,phrase\na.png,a cup\na.png\n", "line 3 has 1 values for 2 columns"),
        ("image,phrase\na.png,\"a cup\n", "is no CSV"),
        ("image,phrase\na.png,\n", "line 2 has no text as 'phrase'"),
        ("image,phrase\n", "holds no pair: give lines such as"),
        ("image,phrase,split\na.png,a cup,train\na.png,a dog,\n", "has no 'split' for 'a dog' of a.png: give"),
    ],
)  # fmt: skip
def test_a_csv_that_is_none_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / "data.csv").write_text(text)
    with pytest.raises(InputError) as error:
        ImagePhrasePairs(folder / "data.csv")
    assert str(error.value).startswith(str(folder / "data.csv")) and said in str(error.value)


def test_a_csv_as_spreadsheets_and_people_write_it(folder: Path) -> None:
    text = (
        '\ufeffimage, phrase, x1, y1, x2, y2\r\na.png, "the cup, left", 1, 2, 11, 9\r\n\r\nimages/b.png,a dog,,,,\r\n'
    )
    (folder / "data.csv").write_bytes(text.encode())
    cup, dog = ImagePhrasePairs(folder / "data.csv").expressions
    assert (cup.phrase, cup.box_xyxy, dog.phrase) == ("the cup, left", (1, 2, 11, 9), "a dog")
    assert dog.image_path.is_file() and np.isnan(dog.box_xyxy).all()


def test_a_folder_of_images_with_its_table_is_that_table(folder: Path) -> None:
    table = write(folder, ".csv", ROWS)
    assert open_dataset(folder, "val").expressions == open_dataset(table, "val").expressions
    write(folder, ".jsonl", ROWS)
    with pytest.raises(InputError, match=r"has several tables, data\.csv and data\.jsonl among them: give one"):
        open_dataset(folder, "val")
    (folder / "annotations").mkdir()
    with pytest.raises(InputError, match=r"has no refs\(umd\)\.p"):
        open_dataset(folder, "val")


def test_pictures_are_of_all_rows_whatever_their_split(folder: Path) -> None:
    assert len(ImagePhrasePairs(write(folder, ".csv", ROWS)).expressions) == len(ROWS)


def test_a_mistyped_split_to_choose_boxes_on_is_told(folder: Path) -> None:
    rows = [*ROWS[:3], ROWS[4] | {"x1": 1, "y1": 1, "x2": 9, "y2": 9}]
    clip = ModelConfig(clip=str(save_tiny_clip(folder / "clip.pt")), model_size=64)
    config = EvaluateConfig(["zero-shot"], write(folder, ".jsonl", rows), folder / "out", bounds=[], model=clip,
                            device="cpu", extraction_split="vall")  # fmt: skip
    with pytest.raises(InputError, match=r"extraction_split: .* has no split 'vall'"):
        compare(config)
