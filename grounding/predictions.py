"""Predictions on disk: one expression a line, written image by image, so that a killed run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

from grounding.errors import InputError
from grounding.types import Expression

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
        pooled: how many expressions' answers it stands for; see `pooling`.
        no_proposal: whether the method had nothing to choose from and took the whole image.
        at_random: whether the answer is any one of the boxes, each as likely: measures are then expectations.
        semantics: measures of `semantics.Judge` on the best box, by name; empty where there was no judge.
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
            ValueError: the line is not JSON, or lacks a field.
        """
        record = json.loads(line)
        if not isinstance(record, dict):
            raise ValueError("not an object")
        missing = [field for field in ("image_id", "sent_id", "boxes_xyxy", "scores") if field not in record]
        if missing:
            raise ValueError(f"has no {missing[0]!r}")
        known = {field.name for field in fields(cls)}
        values = {name: _tuples(value) for name, value in record.items() if name in known}
        return cls(**values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


class PredictionsFile:
    """A method's predictions on a split, made once: `path` is there when they are complete, a .part file before.

    Args:
        path: predictions/METHOD.jsonl.
        made_from: everything the predictions depend on; kept beside them, and where it differs they are made anew.
        images: of the split, each one's expressions, in the order in which they are asked.
    """

    def __init__(self, path: Path, made_from: dict[str, Any], images: Sequence[Sequence[Expression]]) -> None:
        self.path = path
        self._part = path.with_suffix(".jsonl.part")
        self._origin = path.with_suffix(".json")
        self._images = images
        origin = json.dumps(made_from, indent=2, sort_keys=True) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self._origin.is_file() or self._origin.read_text() != origin:
            path.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
            self._origin.write_text(origin)

    @property
    def is_complete(self) -> bool:
        """True where nothing is left to do."""
        return self.path.is_file()

    def continue_writing(self) -> tuple[int, TextIO]:
        """How many images are answered already, and the file to append the others' lines to, image by image.

        What a killed run left unfinished, half a line or half an image, is cut off.
        """
        kept: list[str] = []
        done = 0
        lines = self._part.read_text().splitlines() if self._part.is_file() else []
        for expressions in self._images:
            lines_of_image = lines[len(kept) : len(kept) + len(expressions)]
            if [_sent_id(line) for line in lines_of_image] != [each.sent_id for each in expressions]:
                break
            kept += lines_of_image
            done += 1
        rewritten = self._part.with_suffix(".rewritten")
        rewritten.write_text("".join(line + "\n" for line in kept))
        rewritten.replace(self._part)
        return done, self._part.open("a")

    def finish(self) -> None:
        """The last line is written: the file gets its name."""
        self._part.replace(self.path)


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
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}, line {number} is no prediction ({error}): make the file again") from error


def _sent_id(line: str) -> int | None:
    try:
        return Prediction.from_json(line).sent_id
    except (ValueError, TypeError):
        return None
