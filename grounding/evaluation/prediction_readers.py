"""Boxes of any system as predictions: from CSV, from JSON lines, or from COCO results."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from grounding.errors import InputError
from grounding.evaluation.predictions import Prediction, read_predictions
from grounding.geometry import refuse_no_corners
from grounding.runtime.files import numbered_lines, read_text
from grounding.types import Expression

PREDICTED, ANNOTATED = (tuple(f"{kind}_{edge}" for edge in ("x1", "y1", "x2", "y2")) for kind in ("pred", "gt"))
UNKNOWN_IMAGE = -1  # of rows that do not say which: as if all were of one image, of which there is no interval
# The answer of a system that gave none: it overlaps nothing.
NO_BOX = (((0.0, 0.0, 0.0, 0.0), 0.0),)

# What values of any kind raise where numbers and lists are expected.
DAMAGE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, csv.Error)
Item = TypeVar("Item")
Parsed = TypeVar("Parsed")
# A system's boxes for one expression, xyxy in pixels of the original image, each with its score; in any order.
ScoredBoxes = list[tuple[tuple[float, ...], float]]


def read_csv(path: Path) -> list[Prediction]:
    """One expression a row: columns pred_x1 ... pred_y2 and gt_x1 ... gt_y2 in pixels of the original image.

    Columns `image_id`, `ref_id`, `ann_id`, `sent_id`, `sent` (the phrase) and `score` are read where they are. Without
    sent_id, rows are numbered; without image_id, there will be no intervals over images.

    Raises:
        InputError: a column is missing, a value is no number, or two rows are about the same sent_id.
    """
    return _own(path, _parsed(path, "row", _rows, _from_row))


def read_jsonl(path: Path, expressions: Mapping[int, Expression]) -> list[Prediction]:
    """One expression a line, as predictions/METHOD.jsonl has them; at least sent_id, boxes_xyxy and scores.

    Args:
        path: the file.
        expressions: sent_id -> expression of the split, whose boxes are then the annotated ones; where it is empty,
            each line has to say all that a `Prediction` needs.

    Raises:
        InputError: a line is no prediction, an expression is answered twice, or it is not one of the split.
    """
    if not expressions:
        return [_best_first(each) for each in _own(path, read_predictions(path))]
    return _with_annotations(path, _parsed(path, "line", numbered_lines, _from_line), expressions)


def read_coco(path: Path, expressions: Mapping[int, Expression]) -> list[Prediction]:
    """COCO results in which each expression is an image: image_id is its sent_id, bbox is xywh.

    Raises:
        InputError: the file is no list of results, or one is about an expression that the split does not have.
    """
    answers: dict[int, ScoredBoxes] = defaultdict(list)
    try:
        for record in json.loads(read_text(path)):
            x, y, width, height = (float(value) for value in record["bbox"])
            box = _corners((x, y, x + width, y + height))
            answers[_id(record["image_id"])].append((box, _score(record["score"])))
    except DAMAGE as error:
        raise InputError(f"{path} is no list of image_id, bbox and score ({error}): write COCO results") from error
    return _with_annotations(path, answers.items(), expressions)


def read_answers(path: Path, expressions: Mapping[int, Expression]) -> list[Prediction]:
    """`read_jsonl` of a file that ends in .jsonl, else `read_coco`.

    Raises:
        InputError: as these, or there is no such file.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}: correct the path")
    return (read_jsonl if path.suffix == ".jsonl" else read_coco)(path, expressions)


def _parsed(
    path: Path, place: str, split: Callable[[str], Iterable[tuple[int, Item]]], parse: Callable[[int, Item], Parsed]
) -> list[Parsed]:
    """Every item of a text parsed, with its number; what cannot be is refused by that."""
    number, found = 1, []
    try:
        for number, item in split(read_text(path)):
            found.append(parse(number, item))
    except DAMAGE as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}, {place} {number} cannot be used ({reason}): correct it") from error
    return found


def _rows(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """By number from 1, after the line of column names; spreadsheets may divide columns by semicolons or tabs."""
    divider = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.DictReader(StringIO(text), delimiter=divider, skipinitialspace=True)
    for number, row in enumerate(rows, start=1):
        # They leave empty rows behind.
        if any(each.strip() if isinstance(each, str) else each for each in row.values()):
            yield number, row


def _from_row(number: int, row: dict[str, Any]) -> Prediction:
    missing = [name for name in PREDICTED + ANNOTATED if name not in row]
    if missing:
        raise ValueError(f"there is no column {missing[0]!r}, columns are named {', '.join(PREDICTED + ANNOTATED)}")
    if None in row:  # the name of what no column is there for
        raise ValueError("it has more values than there are columns: a phrase with a comma stands in quotes")
    predicted, annotated = ([float(row[name]) for name in names] for names in (PREDICTED, ANNOTATED))
    ref_id, ann_id, sent_id = (_id(row.get(name, number)) for name in ("ref_id", "ann_id", "sent_id"))
    return Prediction(
        image_id=_id(row.get("image_id", UNKNOWN_IMAGE)),
        ref_id=ref_id,
        ann_id=ann_id,
        sent_id=sent_id,
        phrase=row.get("sent", ""),
        annotated_xyxy=tuple(annotated),
        boxes_xyxy=(tuple(predicted),),
        scores=(float(row.get("score", 1.0)),),
    )


def _from_line(_: int, line: str) -> tuple[int, ScoredBoxes]:
    record = json.loads(line)
    if record.get("at_random"):
        raise ValueError("it answers at random: leave out --data, the file has the annotations itself")
    boxes, scores = [_corners(box) for box in record["boxes_xyxy"]], [_score(score) for score in record["scores"]]
    if len(boxes) != len(scores):
        raise ValueError(f"{len(boxes)} boxes and {len(scores)} scores")
    return _id(record["sent_id"]), list(zip(boxes, scores, strict=True))


def _with_annotations(
    path: Path, answers: Iterable[tuple[int, ScoredBoxes]], expressions: Mapping[int, Expression]
) -> list[Prediction]:
    """A prediction for every expression of the split: one that has no answer is answered wrongly."""
    answered = _once_each(path, answers)
    if not any(answered.values()):
        raise InputError(f"{path} holds no box: give a file with the answers to the split")
    for sent_id in answered:
        if sent_id not in expressions:
            raise InputError(f"{path} answers sent_id {sent_id}, which is not in this split: give the --data and "
                             "--split it is about")  # fmt: skip
    predictions = []
    for sent_id, expression in expressions.items():
        boxes, scores = zip(*(answered.get(sent_id) or NO_BOX), strict=True)
        predictions.append(_best_first(Prediction(
            expression.image_id, expression.ref_id, expression.ann_id, sent_id, expression.phrase,
            expression.box_xyxy, boxes, scores, no_proposal=not answered.get(sent_id),
            parts_xyxy=expression.parts_xyxy)))  # fmt: skip
    return predictions


def _own(path: Path, predictions: Iterable[Prediction]) -> list[Prediction]:
    """The predictions of a file that has the annotations itself: at least one, none twice."""
    found = _once_each(path, ((prediction.sent_id, prediction) for prediction in predictions))
    if not found:
        raise InputError(f"{path} holds no prediction: give a file with one expression a row")
    return list(found.values())


def _once_each(path: Path, answers: Iterable[tuple[int, Item]]) -> dict[int, Item]:
    found: dict[int, Item] = {}
    for sent_id, answer in answers:
        if sent_id in found:
            raise InputError(f"{path} answers sent_id {sent_id} twice: keep one answer of each")
        found[sent_id] = answer
    return found


def _best_first(prediction: Prediction) -> Prediction:
    order = sorted(range(len(prediction.scores)), key=lambda index: -prediction.scores[index])
    return replace(
        prediction,
        boxes_xyxy=tuple(prediction.boxes_xyxy[index] for index in order),
        scores=tuple(prediction.scores[index] for index in order),
    )


def _score(value: Any) -> float:
    score = float(value)
    if not isfinite(score):
        raise ValueError(f"a score is a finite number, got {score}")
    return score


def _corners(box: Any) -> tuple[float, ...]:
    values = tuple(float(value) for value in box)
    refuse_no_corners(values)
    return values


def _id(value: Any) -> int:
    """A whole number; as 5.0 too, which is how pandas writes a column that lacks a value."""
    if not float(value).is_integer():
        raise ValueError(f"an id is a whole number, got {value!r}")
    return int(value) if isinstance(value, int) else int(float(value))
