"""Predictions on disk: one expression a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

from grounding.errors import InputError
from grounding.runtime.config_io import from_plain

BOXES_KEPT = 10  # per phrase: as many as any measure looks at


@dataclass(frozen=True)
class Prediction:
    """What a method answered to one expression, and what can be said of it only while the image is at hand.

    Attributes:
        image_id, ref_id, ann_id, sent_id, phrase: of the expression.
        annotated_xyxy: its annotated box.
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

    def __post_init__(self) -> None:
        boxes = (self.annotated_xyxy, *self.boxes_xyxy)
        if not self.boxes_xyxy or len(self.boxes_xyxy) != len(self.scores):
            raise ValueError(f"{len(self.boxes_xyxy)} boxes and {len(self.scores)} scores")
        if not all(len(box) == 4 and all(map(isfinite, box)) for box in boxes) or not all(map(isfinite, self.scores)):
            raise ValueError("a box is four finite numbers and a score is one")

    def to_json(self) -> str:
        """One line of predictions/METHOD.jsonl."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Prediction:
        """The prediction of a line.

        Raises:
            ValueError: the line is not JSON, lacks a field, or has a value of another kind; other fields are ignored.
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
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                number += 1
                yield Prediction.from_json(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number} is no prediction ({error}): make the file again") from error
