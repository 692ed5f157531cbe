"""Data of one's own: a table of images and phrases, with or without boxes, as CSV or JSON Lines beside the images."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from grounding.data.annotations import Around
from grounding.data.dataset import NOWHERE, GroundingDataset, Grouping
from grounding.data.records import Box
from grounding.data.refcocog import is_annotated
from grounding.runtime.errors import InputError, SettingsError
from grounding.runtime.files import numbered_lines, read_text
from grounding.types import Example, Expression, Region

TABLES = (".csv", ".jsonl")
SIDES = ("x1", "y1", "x2", "y2")
LINE = '{"image": "street.jpg", "phrase": "the woman in the red coat"}'
HEADER = "image,phrase,x1,y1,x2,y2"
ROUNDED = 1  # pixels by which a box may reach out of its image: what rounding does


@dataclass(frozen=True)
class Row:
    """A phrase about an image, with its box, where the table says, and its split, "" where it has none."""

    image: str
    phrase: str
    box_xyxy: Box | None
    split: str


class ImagePhrasePairs(GroundingDataset):
    """The phrases of a table, each about an image, with their boxes where the table has some.

    A row is `image`, `phrase` and, where known, `x1`, `y1`, `x2`, `y2`: corners of the box in pixels of the image, x2
    and y2 exclusive. Rows with the same `image` are about the same image, and those with the same box about the same
    object; other columns are ignored. Where there is no `phrase`, RefCOCOg's name for it, `raw`, is read. Images lie
    beside the table or in `images/` beside it.

    With a column `split` the rows belong to the splits that it names. Without one the table is the split that is asked:
    what is trained on and what is measured on are then tables of their own.

    Attributes:
        boxed_splits: those of the column `split` of which a row has a box.
    """

    images_remedy = "put them beside the table or into images/ beside it"

    def __init__(
        self,
        path: str | os.PathLike[str],
        split: str | None = None,
        *,
        boxed: bool = False,
        group_by: Grouping = "image",
        subset: int | float | None = None,
        seed: int = 0,
    ) -> None:
        """Reads the table; images are read one by one, in `__getitem__`.

        Args:
            path: a file that ends in .csv, with column names in its first row; any other is JSON Lines.
            split: whose rows are read; None for all rows.
            boxed: only rows with a box are expressions; else all are, with NaN for a box that is not known.
        """
        path = Path(path)
        rows = [row for _, row in read_rows(path)]
        splits = {row.split for row in rows} - {""}
        if splits and split not in (None, *splits):
            raise InputError(f"{path} has no split {split!r}: use one of {', '.join(sorted(splits))}")
        self.boxed_splits = frozenset(row.split for row in rows if row.box_xyxy) & splits
        images: dict[str, int] = {}
        objects: dict[tuple[int, Box | int], int] = {}
        expressions, left_out = [], 0
        for sent_id, row in enumerate(rows):  # numbered over all splits: an id means the same in each
            if splits and not row.split:
                raise InputError(f"{path} has no 'split' for {row.phrase!r} of {row.image}: give each row one, or none")
            image_id = images.setdefault(row.image, len(images))
            ann_id = objects.setdefault((image_id, row.box_xyxy or sent_id), len(objects))
            if splits and split not in (None, row.split):
                continue
            if boxed and not row.box_xyxy:
                left_out += 1
                continue
            expressions.append(Expression(row.phrase, row.box_xyxy or NOWHERE, image_id, ann_id, ann_id, sent_id,
                                          _image_file(path, row.image)))  # fmt: skip
        if not expressions:
            raise SettingsError(
                f"{path} has no box in split {split!r}: give its rows {', '.join(SIDES)}, or train without boxes with "
                "--model.decoder.kind adapters"
            )
        regions = {each.ann_id: Region(each.ann_id, each.image_id, each.box_xyxy, "")
                   for each in expressions if each.box_xyxy is not NOWHERE}  # fmt: skip
        super().__init__(
            path, split or "all", expressions, regions.values(), dict.fromkeys(images.values()), images_dir=path.parent,
            files=[path], left_out={"without a box": left_out} if left_out else {}, group_by=group_by, subset=subset,
            seed=seed,
        )  # fmt: skip

    def __getitem__(self, index: int) -> Example:
        """As its parent's, with the boxes clipped to the image, out of which they may reach by `ROUNDED`."""
        example = super().__getitem__(index)
        expressions = tuple(replace(e, box_xyxy=self._clipped(e.box_xyxy, example)) for e in example.expressions)
        regions = tuple(replace(region, box_xyxy=self._clipped(region.box_xyxy, example)) for region in example.regions)
        return replace(example, expressions=expressions, regions=regions)

    def _clipped(self, box_xyxy: Box, example: Example) -> Box:
        (height, width), box = example.image.shape[:2], np.array(box_xyxy)
        x1, y1, x2, y2 = np.clip(box, 0, [width, height, width, height]).tolist()
        # A box of NaN is none of it.
        if (box < -ROUNDED).any() or (box[2:] > [width + ROUNDED, height + ROUNDED]).any() or x1 >= x2 or y1 >= y2:
            raise InputError(
                f"{self.root} has box {box.tolist()} of {example.expressions[0].image_path.name}, which has "
                f"{width}x{height} pixels: correct it, or scale it if it is of a larger copy of the image"
            )
        return x1, y1, x2, y2


def _image_file(path: Path, image: str) -> Path:
    """Where an image of a table lies: beside the table, or else in `images/` beside it."""
    beside = path.parent / image
    return beside if os.path.isfile(beside) else path.parent / "images" / image


def table_at(root: Path) -> Path | None:
    """The table that this is, or the only one in this folder, where no annotations of another kind lie."""
    if not root.is_dir():
        return root if root.suffix.lower() in TABLES else None
    if is_annotated(root):
        return None
    tables = [path for path in sorted(root.iterdir()) if path.suffix.lower() in TABLES and path.name[0] != "."]
    if len(tables) > 1:
        raise InputError(
            f"{root} has several tables, {tables[0].name} and {tables[1].name} among them: give one of them"
        )
    return tables[0] if tables else None


def read_rows(path: Path, *, around: Around = nullcontext) -> list[tuple[str, Row]]:
    """The rows of a table, each with what names it, and each read with `around()`."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}: correct the path") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as UTF-8 text: give a CSV or JSON-lines file of pairs") from error
    rows, records = [], list((_from_csv if path.suffix.lower() == ".csv" else _from_lines)(path, text))
    if not records:
        raise InputError(
            f"{path} holds no pair: give lines such as {LINE}, or in a file that ends in .csv rows under {HEADER}"
        )
    for where, record in records:
        with around():
            rows.append((where, _row(record, where)))
    return rows


def _from_lines(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    for number, line in numbered_lines(text):
        try:
            yield f"{path}, line {number}", json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number} is no JSON: give one object a line, such as {LINE}") from error


def _from_csv(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        names = reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        if "image" not in names or len(set(names)) < len(names):
            raise InputError(f"{path} begins with {','.join(names)!r}: name each column once, with commas: {HEADER}")
        for record in reader:
            where = f"{path}, line {reader.line_num}"
            if None in record or None in record.values():  # more values than columns, or fewer
                raise InputError(
                    f"{where} has not {len(names)} values, a column each: give a phrase with a comma quotes"
                )
            yield where, record
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num} is no CSV ({error}): correct it") from error


def _row(record: Any, where: str) -> Row:
    record = record if isinstance(record, dict) else {}
    texts = {"image": record.get("image"), "phrase": record.get("phrase", record.get("raw")),
             "split": record.get("split") or ""}  # fmt: skip
    for field, value in texts.items():
        if not isinstance(value, str) or not (value.strip() or field == "split"):
            raise InputError(f"{where} has no text as {field!r}: give rows such as {LINE}")
    phrase = " ".join(texts["phrase"].split())
    return Row(texts["image"], phrase, _box(record, where), texts["split"].strip())


def _box(record: dict[str, Any], where: str) -> Box | None:
    given = [record.get(side) for side in SIDES]
    if all(value is None or value == "" for value in given):
        return None
    said = f"{where} has {', '.join(SIDES)} {given}"
    try:
        x1, y1, x2, y2 = (float(value) for value in given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        x1 = y1 = x2 = y2 = float("nan")
    if not all(map(isfinite, (x1, y1, x2, y2))):
        raise InputError(f"{said}: give four numbers of pixels, or none of them")
    if all(0 <= value <= 1 for value in (x1, y1, x2, y2)):
        raise InputError(
            f"{said}, which look like shares of the image: multiply them by its width and height in pixels"
        )
    if x1 >= x2 or y1 >= y2:
        raise InputError(f"{said}: give the upper left corner first, then the lower right one, not width and height")
    return x1, y1, x2, y2
