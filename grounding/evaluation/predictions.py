"""Predictions: one expression a line on disk, and in COCO's results form for other tools.

In COCO's terms every expression is an image of its own with one object of one category: `image_id` is the
expression's sent_id, as in the referring-expression sets that are published in this form.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from grounding.errors import InputError
from grounding.evaluation.metrics import ious_with
from grounding.geometry import box_xyxy_to_xywh, refuse_no_corners
from grounding.runtime.config_io import from_plain
from grounding.runtime.files import numbered_lines, read_text, write_text_atomic

BOXES_KEPT = 10  # per phrase: as many as any measure looks at
CORRECT_IOU = 0.5
CATEGORY = {"id": 1, "name": "referred object"}


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
    def answers_xyxy(self) -> np.ndarray:
        """(K, 4) the boxes that may be the answer, each as likely: the best one, or of an answer at random all."""
        return np.array(self.boxes_xyxy if self.at_random else self.boxes_xyxy[:1])

    @property
    def iou(self) -> float:
        """Of the best box with the annotated one; of an answer at random, the expectation over its boxes."""
        return float(ious_with(self.answers_xyxy, np.array(self.annotated_xyxy)).mean())

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
    """Write METHOD.json, best-scored box first within an expression, and annotations.json, the same for all methods.

    The latter's "caption" is the phrase, and "original_id" the photograph's image id.
    """
    results = [
        {"image_id": each.sent_id, "category_id": CATEGORY["id"], "bbox": _bbox(box), "score": score}
        for each in predictions
        for box, score in zip(each.boxes_xyxy, each.scores, strict=True)
    ]
    annotations = []
    for each in predictions:
        bbox = _bbox(each.annotated_xyxy)
        annotations.append({"id": each.sent_id + 1, "image_id": each.sent_id, "category_id": CATEGORY["id"],
                            "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0})  # fmt: skip
    images = [{"id": each.sent_id, "original_id": each.image_id, "caption": each.phrase} for each in predictions]
    asked = {"images": images, "annotations": annotations, "categories": [CATEGORY]}
    write_text_atomic(folder / f"{method}.json", json.dumps(results))
    write_text_atomic(folder / "annotations.json", json.dumps(asked))


def _bbox(box_xyxy: Sequence[float]) -> list[float]:
    return [round(float(value), 3) for value in box_xyxy_to_xywh(np.array(box_xyxy))]
