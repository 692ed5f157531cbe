"""Predictions: one expression a line on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from grounding.evaluation.metrics import ious_with
from grounding.geometry import refuse_no_corners
from grounding.runtime.config_io import from_plain
from grounding.runtime.errors import InputError
from grounding.runtime.files import numbered_lines, read_text
from grounding.types import Expression

BOXES_KEPT = 10  # per phrase: as many as any measure looks at
CORRECT_IOU = 0.5
# What values of any kind raise where numbers and lists are expected.
DAMAGE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Prediction:
    """What a method answered to one expression, and what can be said of it only while the image is at hand.

    Attributes:
        image_id, ref_id, ann_id, sent_id, phrase, category, parts_xyxy: of the expression.
        annotated_xyxy: its annotated box.
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

    @classmethod
    def about(cls, asked: Expression, boxes_xyxy: Any, scores: Any, **known: Any) -> Prediction:
        """The answer to an expression: boxes (N, 4) and scores (N,), and what else is `known` of it."""
        return cls(
            asked.image_id, asked.ref_id, asked.ann_id, asked.sent_id, asked.phrase, asked.box_xyxy,
            tuple(tuple(map(float, box)) for box in boxes_xyxy), tuple(map(float, scores)),
            file_name=asked.image_path.name, category=asked.category, parts_xyxy=asked.parts_xyxy, **known)  # fmt: skip

    @property
    def answers_xyxy(self) -> np.ndarray:
        """(K, 4) the boxes that may be the answer, each as likely: the best one, or of an answer at random all."""
        return np.array(self.boxes_xyxy if self.at_random else self.boxes_xyxy[:1])

    @property
    def iou(self) -> float:
        """Of the best box with the annotated one; of an answer at random, the expectation over its boxes."""
        return float(ious_with(self.answers_xyxy, np.array(self.annotated_xyxy)).mean())

    def to_json(self) -> str:
        """One line of predictions/METHOD.jsonl: the attributes, `iou`, and whether it is `correct`, which is what
        Acc@0.5 counts; null of an answer at random."""
        correct = None if self.at_random else self.iou >= CORRECT_IOU
        return json.dumps({**asdict(self), "iou": round(self.iou, 5), "correct": correct})


def read_predictions(path: Path, make: Callable[[Any], Prediction] | None = None) -> Iterator[Prediction]:
    """The predictions of a file's lines, in their order: what `make` makes of each, or without it all that it says but
    what a prediction does not have, such as `correct`."""
    number = 1
    try:
        for number, line in numbered_lines(read_text(path)):  # noqa: B007 (it is named below)
            record = json.loads(line)
            yield make(record) if make else from_plain(record, Prediction, extra="ignore")
    except DAMAGE as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}, line {number} is no prediction ({reason}): correct it, make the file again, or give "
                         "the --data and --split it is about") from error  # fmt: skip
