"""Predictions: one expression a line on disk, in COCO's results form for other tools, and pooled by referred object.

In COCO's terms every expression is an image of its own with one object of one category: `image_id` is the
expression's sent_id, as in the referring-expression sets that are published in this form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from grounding.errors import InputError
from grounding.evaluation.metrics import ious_with
from grounding.geometry import box_iou, box_xyxy_to_xywh, refuse_no_corners
from grounding.runtime.config_io import from_plain
from grounding.runtime.files import numbered_lines, read_text, write_text_atomic

BOXES_KEPT = 10  # per phrase: as many as any measure looks at
CORRECT_IOU = 0.5
CATEGORY = {"id": 1, "name": "referred object"}
ANNOTATIONS_FILE = "annotations.json"


@dataclass(frozen=True)
class Prediction:
    """What a method answered to one expression, and what can be said of it only while the image is at hand.

    Attributes:
        image_id, ref_id, ann_id, sent_id, phrase: of the expression.
        annotated_xyxy: its annotated box.
        parts_xyxy: of the expression.
        boxes_xyxy: the answer, best-scored box first; pixels of the original image, x2/y2 exclusive.
        scores: of the boxes, in [0, 1].
        image_area: of the image in square pixels; None where it is not known.
        point_xy: the hottest point of the heatmap; None where there is no heatmap.
        mass_inside: share of the heatmap that lies in the annotated box; None where there is no heatmap.
        seconds: the expression's share of the time that its batch of images took.
        pooled: how many expressions' answers it stands for; see `aggregate_by_ref`.
        no_proposal: whether the method had nothing to choose from and took the whole image.
        at_random: whether the answer is any one of the boxes, each as likely: measures are then expectations.
        semantics: measures of `CLIPSimilarity` on the best box, by name; None where it was not asked.
        file_name: of the image, without folders; "" where it is not known.
        category: of the referred object; "" where the data set gives none.
    """

    image_id: int
    ref_id: int
    ann_id: int
    sent_id: int
    phrase: str
    annotated_xyxy: tuple[float, ...]
    boxes_xyxy: tuple[tuple[float, ...], ...]
    scores: tuple[float, ...]
    image_area: float | None = None
    point_xy: tuple[float, float] | None = None
    mass_inside: float | None = None
    seconds: float = 0.0
    pooled: int = 1
    no_proposal: bool = False
    at_random: bool = False
    semantics: dict[str, float] | None = None
    file_name: str = ""
    category: str = ""
    parts_xyxy: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.boxes_xyxy or len(self.boxes_xyxy) != len(self.scores):
            raise InputError(f"sent_id {self.sent_id} has {len(self.boxes_xyxy)} boxes and {len(self.scores)} scores")
        if not all(map(isfinite, self.scores)):
            raise InputError(f"sent_id {self.sent_id} has a score that is no finite number")
        refuse_no_corners(self.annotated_xyxy, with_area=True)
        refuse_no_corners(self.boxes_xyxy)
        if self.parts_xyxy:
            refuse_no_corners(self.parts_xyxy)

    @property
    def iou(self) -> float:
        """Of the best box with the annotated one; of an answer at random, the expectation over its boxes."""
        answers = self.boxes_xyxy if self.at_random else self.boxes_xyxy[:1]
        return float(ious_with(np.array(answers), np.array(self.annotated_xyxy)).mean())

    @property
    def correct(self) -> bool | None:
        """Whether the IoU reaches `CORRECT_IOU`: what Acc@0.5 counts; None of an answer at random."""
        return None if self.at_random else self.iou >= CORRECT_IOU

    def to_json(self) -> str:
        """One line of predictions/METHOD.jsonl: the attributes, and `iou` and `correct`, which follow from them."""
        return json.dumps({**asdict(self), "iou": round(self.iou, 5), "correct": self.correct})

    @classmethod
    def from_json(cls, line: str) -> Prediction:
        """The prediction of a line.

        Raises:
            ValueError: the line is not JSON, lacks a field, or has a value of another kind; other fields are ignored,
                `iou` and `correct` among them.
        """
        return from_plain(json.loads(line), cls, extra="ignore")


def scores_are_probabilities(predictions: Sequence[Prediction]) -> bool:
    """Whether the best scores all lie in [0, 1]: another system's may be any finite numbers."""
    return all(0 <= each.scores[0] <= 1 for each in predictions)


def read_predictions(path: Path) -> Iterator[Prediction]:
    """The predictions of a file, in its order.

    Raises:
        InputError: a line is no prediction.
    """
    number = 1
    try:
        for number, line in numbered_lines(read_text(path)):  # noqa: B007 (it is named below)
            yield Prediction.from_json(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number} is no prediction ({error}): make the file again") from error


def write_coco_results(folder: Path, method: str, predictions: Sequence[Prediction]) -> None:
    """Write METHOD.json and the annotations.json that all methods of a split share."""
    write_text_atomic(folder / f"{method}.json", json.dumps(coco_results(predictions)))
    write_text_atomic(folder / ANNOTATIONS_FILE, json.dumps(coco_annotations(predictions)))


def coco_results(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """One {"image_id", "category_id", "bbox", "score"} per box, best-scored first within an expression."""
    return [
        {"image_id": each.sent_id, "category_id": CATEGORY["id"], "bbox": _bbox(box), "score": score}
        for each in predictions
        for box, score in zip(each.boxes_xyxy, each.scores, strict=True)
    ]


def coco_annotations(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """{"images", "annotations", "categories"} of what was asked; "original_id" is the photograph's image id."""
    annotations = []
    for each in predictions:
        bbox = _bbox(each.annotated_xyxy)
        annotations.append({"id": each.sent_id + 1, "image_id": each.sent_id, "category_id": CATEGORY["id"],
                            "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0})  # fmt: skip
    images = [{"id": each.sent_id, "original_id": each.image_id, "caption": each.phrase} for each in predictions]
    return {"images": images, "annotations": annotations, "categories": [CATEGORY]}


def _bbox(box_xyxy: Sequence[float]) -> list[float]:
    return [round(float(value), 3) for value in box_xyxy_to_xywh(np.array(box_xyxy))]


def aggregate_by_ref(predictions: Sequence[Prediction]) -> list[Prediction]:
    """One prediction per ref, in the order of each ref's first expression.

    The answer whose best box the ref's answers support most stands for the ref: support is the sum of their scores,
    each times its best box's IoU with the box in question. Where a method's scores do not all lie in [0, 1], every
    answer counts the same: agreement with one that scores below 0 would speak against a box. An answer that had nothing
    to choose from has no vote beside others. What is chosen takes part with all that was said of it (boxes, hottest
    point, and the semantics beside the phrase that it was given to), under the ref's first phrase; of equally supported
    answers the first.
    """
    refs: dict[int, list[Prediction]] = {}
    for prediction in predictions:
        refs.setdefault(prediction.ref_id, []).append(prediction)
    weighed = scores_are_probabilities(predictions)
    return [_pooled(of_ref, weighed=weighed) for of_ref in refs.values()]


def _pooled(of_ref: list[Prediction], *, weighed: bool) -> Prediction:
    voting = [each for each in of_ref if not each.no_proposal] or of_ref
    best_boxes = np.array([each.boxes_xyxy[0] for each in voting])
    weights = np.array([each.scores[0] if weighed else 1.0 for each in voting])
    chosen = voting[int((box_iou(best_boxes, best_boxes) @ weights).argmax())]
    seconds = sum(each.seconds for each in of_ref)
    return replace(chosen, sent_id=of_ref[0].sent_id, phrase=of_ref[0].phrase, seconds=seconds, pooled=len(of_ref))
