"""`evaluate.py score`: boxes of any system, from JSON lines or COCO results, under the same measures."""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from grounding.data.open_dataset import open_dataset
from grounding.evaluation.predictions import DAMAGE, Prediction, read_predictions
from grounding.evaluation.result_folder import claim, settings_of, write_results
from grounding.evaluation.summary import IOU, summarise
from grounding.geometry import box_iou, box_xywh_to_xyxy, box_xyxy_to_xywh
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.errors import InputError
from grounding.runtime.files import read_text
from grounding.types import Expression

CORNERS, COCO = "x1, y1, x2, y2", "x, y, width, height"
FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # (N, 4) as written -> (N, 4) corners
    CORNERS: lambda boxes: boxes,
    COCO: box_xywh_to_xyxy,
    "centre x, centre y, width, height": lambda boxes: np.concatenate(  # YOLO, DETR
        [boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1
    ),
    "y1, x1, y2, x2": lambda boxes: boxes[:, [1, 0, 3, 2]],  # TensorFlow, Gemini
}
LEAST_GAIN = 0.2  # of the mean IoU: another form that fits by chance gains less
LARGEST_SHARE = 1.5  # of an image's side: what a detector says of an object that reaches beyond it


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
    """What results.json holds, which is also written where `output` is given."""
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

    Lines have at least sent_id, boxes_xyxy and scores; boxes may be in any order. In COCO results each expression is an
    image: image_id is its sent_id, and bbox is xywh. One of the split's `expressions`, sent_id -> expression, that has
    no answer is answered wrongly; where there are none, each line has to say all that a `Prediction` needs.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}: correct the path")
    in_lines = path.suffix == ".jsonl"
    if not expressions and not in_lines:
        raise InputError(f"{path} does not say what was asked: add --data ROOT and --split")
    found: dict[int, Prediction] = {}
    of_line = partial(_of_line, expressions=expressions) if expressions else None
    for each in read_predictions(path, of_line) if in_lines else _read_coco(path, expressions):
        if each.sent_id in found:
            raise InputError(f"{path} answers sent_id {each.sent_id} twice: keep one answer of each")
        order = np.argsort(-np.array(each.scores), kind="stable").tolist()
        boxes, scores = tuple(each.boxes_xyxy[i] for i in order), tuple(each.scores[i] for i in order)
        found[each.sent_id] = replace(each, boxes_xyxy=boxes, scores=scores)
    answered = [each for each in found.values() if not (expressions and each.no_proposal)]
    if not answered:
        raise InputError(f"{path} holds no box: give a file with an answer to each expression")
    furthest = max(max(each.boxes_xyxy[0]) for each in answered)
    annotated = max(max(each.annotated_xyxy) for each in answered)
    if furthest <= LARGEST_SHARE and annotated > 10 * LARGEST_SHARE:
        raise InputError(f"{path} has boxes within 0 and 1, where annotated ones reach to {annotated:g}: multiply them "
                         "by the width and height of their image")  # fmt: skip
    _warn_of_another_form(path, answered, CORNERS if in_lines else COCO)
    if not expressions:
        return answered
    return [found.get(sent_id) or _beside(sent_id, expressions, [], []) for sent_id in expressions]


def _warn_of_another_form(path: Path, answered: Sequence[Prediction], written: str) -> None:
    """Says so where the boxes would fit the annotated ones much better in another form than they were read as."""
    boxes = np.array([each.boxes_xyxy[0] for each in answered])
    annotated = np.array([each.annotated_xyxy for each in answered])
    raw = box_xyxy_to_xywh(boxes) if written == COCO else boxes
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


def _of_line(record: Any, expressions: Mapping[int, Expression]) -> Prediction:
    if record.get("at_random"):
        raise ValueError("it answers at random: leave out --data, the file has the annotations itself")
    return _beside(record["sent_id"], expressions, record["boxes_xyxy"], record["scores"])


def _read_coco(path: Path, expressions: Mapping[int, Expression]) -> Iterator[Prediction]:
    answers: dict[int, list[tuple[list[float], float]]] = defaultdict(list)
    try:
        for record in json.loads(read_text(path)):
            x, y, width, height = (float(value) for value in record["bbox"])
            answers[record["image_id"]].append(([x, y, x + width, y + height], record["score"]))
        for sent_id, boxes in answers.items():
            yield _beside(sent_id, expressions, *zip(*boxes, strict=True))
    except DAMAGE as error:
        raise InputError(f"{path} is no list of image_id, bbox and score about this split ({error}): write COCO "
                         "results, or give the --data and --split they are about") from error  # fmt: skip


def _beside(sent_id: Any, expressions: Mapping[int, Expression], boxes: Any, scores: Any) -> Prediction:
    """A system's boxes beside what was asked; where it gave none, one that overlaps nothing."""
    if sent_id not in expressions:
        raise ValueError(f"sent_id {sent_id!r} is not in the split")
    if not boxes and not scores:
        return Prediction.about(expressions[sent_id], np.zeros((1, 4)), [0], no_proposal=True)
    return Prediction.about(expressions[sent_id], boxes, scores)
