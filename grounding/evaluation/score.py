"""`evaluate.py score`: boxes of any system, from JSON lines or COCO results, under the same measures."""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from grounding.data.open_dataset import open_dataset
from grounding.errors import InputError
from grounding.evaluation.predictions import Prediction, read_predictions
from grounding.evaluation.result_folder import claim, settings_of
from grounding.evaluation.summary import IOU, summarise, write_results
from grounding.geometry import box_iou, box_xywh_to_xyxy, box_xyxy_to_xywh, refuse_no_corners
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.files import numbered_lines, read_text
from grounding.types import Expression

# The answer of a system that gave none: it overlaps nothing.
NO_BOX = (((0.0, 0.0, 0.0, 0.0), 0.0),)
# What values of any kind raise where numbers and lists are expected.
DAMAGE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
Answer = TypeVar("Answer")
# A system's boxes for one expression, xyxy in pixels of the original image, each with its score; in any order.
ScoredBoxes = list[tuple[tuple[float, ...], float]]

CORNERS, COCO = "x1, y1, x2, y2", "x, y, width, height"
FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # (N, 4) as written -> (N, 4) corners
    CORNERS: lambda boxes: boxes,
    COCO: box_xywh_to_xyxy,
    "centre x, centre y, width, height": lambda boxes: np.concatenate(  # YOLO, DETR
        [boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1
    ),
    "y1, x1, y2, x2": lambda boxes: boxes[:, [1, 0, 3, 2]],  # TensorFlow, Gemini
}
LARGEST_SHARE = 1.5  # of an image's side: what a detector says of an object that reaches beyond it
LEAST_GAIN = 0.2  # of the mean IoU: another form that fits by chance gains less


@dataclass(frozen=True)
class ScoreConfig:
    """Measure a file of predictions.

    Attributes:
        predictions: the file, .jsonl or COCO results in .json; what it has to hold is in docs/evaluation.md.
        data: the data set, a folder or a table (docs/data.md); not needed for lines that `compare` has written.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split that the predictions are about; an expression without a prediction counts as wrong.
        output: folder for results.json and the tables; nothing is written where it is not given.
    """

    predictions: Path
    data: Path | None = None
    split_by: str = "umd"
    split: str = "test"
    output: Path | None = None


def score(config: ScoreConfig) -> dict[str, Any]:
    """What results.json holds, which is also written where `output` is given.

    Raises:
        InputError: the predictions or the data cannot be used.
    """
    refuse_wrong_values(config)
    dataset = open_dataset(config.data, config.split, split_by=config.split_by) if config.data is not None else None
    expressions = {each.sent_id: each for each in dataset.expressions} if dataset else {}
    predictions = read_answers(config.predictions, expressions)
    summary = summarise(predictions, expressions, dataset.regions if dataset else {})
    results: dict[str, Any] = {
        "data": str(config.data) if dataset else str(config.predictions),
        "split": config.split if dataset else "all of the file",
        "split_by": dataset.split_by if dataset else "",
        "weights": f"not known here; boxes from {config.predictions.name}",
        "iou": IOU,
        "methods": {config.predictions.stem: summary.report()},
        "images": len({each.image_id for each in predictions}),
    }
    if config.output is not None:
        claim(config.output / "results.json", settings_of("score", config))
        write_results(config.output / "results.json", results)
    return results


def read_answers(path: Path, expressions: Mapping[int, Expression]) -> list[Prediction]:
    """One expression a line (.jsonl), as predictions/METHOD.jsonl has them, or COCO results (any other ending).

    Lines have at least sent_id, boxes_xyxy and scores. In COCO results each expression is an image: image_id is its
    sent_id, and bbox is xywh.

    Args:
        path: the file.
        expressions: sent_id -> expression of the split, whose boxes are then the annotated ones; where it is empty,
            each line has to say all that a `Prediction` needs.

    Raises:
        InputError: the file is not of its form, an expression is answered twice or is not one of the split, or boxes
            lie within 0 and 1 where annotated ones do not.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}: correct the path")
    in_lines = path.suffix == ".jsonl"
    if expressions:
        answers = _once_each(path, _boxes_of_lines(path) if in_lines else _boxes_of_coco(path))
        predictions = _beside_annotations(path, answers, expressions)
    elif in_lines:
        found = _once_each(path, ((each.sent_id, each) for each in read_predictions(path)))
        predictions = [_best_first(each) for each in found.values()]
        if not predictions:
            raise InputError(f"{path} holds no prediction: give a file with one expression a line")
    else:
        raise InputError(f"{path} does not say what was asked: add --data ROOT and --split")
    _refuse_or_warn_of_another_form(path, predictions, CORNERS if in_lines else COCO)
    return predictions


def _boxes_of_lines(path: Path) -> list[tuple[int, ScoredBoxes]]:
    number, found = 1, []
    try:
        for number, line in numbered_lines(read_text(path)):  # noqa: B007 (it is named below)
            record = json.loads(line)
            if record.get("at_random"):
                raise ValueError("it answers at random: leave out --data, the file has the annotations itself")
            boxes, scores = (
                [_corners(box) for box in record["boxes_xyxy"]],
                [_score(score) for score in record["scores"]],
            )
            if len(boxes) != len(scores):
                raise ValueError(f"{len(boxes)} boxes and {len(scores)} scores")
            found.append((_id(record["sent_id"]), list(zip(boxes, scores, strict=True))))
    except DAMAGE as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}, line {number} cannot be used ({reason}): correct it") from error
    return found


def _boxes_of_coco(path: Path) -> list[tuple[int, ScoredBoxes]]:
    answers: dict[int, ScoredBoxes] = defaultdict(list)
    try:
        for record in json.loads(read_text(path)):
            x, y, width, height = (float(value) for value in record["bbox"])
            box = _corners((x, y, x + width, y + height))
            answers[_id(record["image_id"])].append((box, _score(record["score"])))
    except DAMAGE as error:
        raise InputError(f"{path} is no list of image_id, bbox and score ({error}): write COCO results") from error
    return list(answers.items())


def _beside_annotations(
    path: Path, answers: Mapping[int, ScoredBoxes], expressions: Mapping[int, Expression]
) -> list[Prediction]:
    """A prediction for every expression of the split: one that has no answer is answered wrongly."""
    if not any(answers.values()):
        raise InputError(f"{path} holds no box: give a file with the answers to the split")
    for sent_id in answers:
        if sent_id not in expressions:
            raise InputError(f"{path} answers sent_id {sent_id}, which is not in this split: give the --data and "
                             "--split it is about")  # fmt: skip
    predictions = []
    for sent_id, expression in expressions.items():
        boxes, scores = zip(*(answers.get(sent_id) or NO_BOX), strict=True)
        predictions.append(_best_first(Prediction(
            expression.image_id, expression.ref_id, expression.ann_id, sent_id, expression.phrase,
            expression.box_xyxy, boxes, scores, no_proposal=not answers.get(sent_id),
            parts_xyxy=expression.parts_xyxy)))  # fmt: skip
    return predictions


def _once_each(path: Path, answers: Iterable[tuple[int, Answer]]) -> dict[int, Answer]:
    found: dict[int, Answer] = {}
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
    if not float(value).is_integer():
        raise ValueError(f"an id is a whole number, got {value!r}")
    return int(value)


def _refuse_or_warn_of_another_form(path: Path, predictions: list[Prediction], written: str) -> None:
    """Does nothing where the boxes fit the annotated ones best in the form (of `FORMS`) that they were read as."""
    answered = [each for each in predictions if not each.no_proposal]
    if not answered:
        return
    boxes = np.array([each.boxes_xyxy[0] for each in answered])
    annotated = np.array([each.annotated_xyxy for each in answered])
    raw = box_xyxy_to_xywh(boxes) if written == COCO else boxes
    if np.abs(raw).max() <= LARGEST_SHARE and annotated.max() > 10 * LARGEST_SHARE:
        raise InputError(
            f"{path} has boxes within 0 and 1, where annotated ones reach to {annotated.max():g}: multiply them by the "
            "width and height of their image"
        )
    fit = {
        form: float(np.mean([box_iou(*pair)[0, 0] for pair in zip(to_corners(raw), annotated, strict=True)]))
        for form, to_corners in FORMS.items()
    }
    best = max(fit, key=lambda form: fit[form])
    if fit[best] > fit[written] + LEAST_GAIN:
        warnings.warn(
            f"{path} was read as {written} in pixels, with a mean IoU of {fit[written]:.2f}, and would fit better as "
            f"{best} ({fit[best]:.2f}): check the form of its boxes", stacklevel=2
        )  # fmt: skip
