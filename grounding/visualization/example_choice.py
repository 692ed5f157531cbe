"""Which answers are shown: the best, the confidently wrong, those that two methods dispute, or any, by lot.

Which ones are chosen depends on the answers and the seed, not on their order, and except by lot no two are of the same
image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from grounding.evaluation.breakdowns import kinds_of
from grounding.evaluation.summary import Summary

AnswerRow = Mapping[str, Any]  # an answer with what was asked, as `rows_of` makes it

CORRECT_IOU = 0.5
SUBSET = "subset"  # the axis of the data set's own tags, beside those of `breakdowns.AXES`
RIVAL = "yolo-clip"  # whom examples are disputed with, where it takes part


def rows_of(summary: Summary) -> list[AnswerRow]:
    """One dict per answer whose expression is known.

    Its keys: "sent_id", "image_id", "phrase", "annotated_xyxy", "boxes_xyxy" (best-scored first), "scores", "iou" (of
    the best box), "image_path", and "groups": axis of `breakdowns.AXES`, or `SUBSET`, -> the kinds it is of; without
    axes where the image's size is not known, and without `SUBSET` where it has no tag.
    """
    rows: list[AnswerRow] = []
    for prediction, expression, iou in zip(
        summary.predictions, summary.expressions, summary.values["miou"], strict=True
    ):
        if expression is None:
            continue
        groups: dict[str, tuple[str, ...]] = {}
        if prediction.image_area is not None:
            regions = summary.regions.get(expression.image_id, ())
            groups = {axis: (kind,) for axis, kind in kinds_of(expression, regions, prediction.image_area).items()}
        if expression.tags:
            groups[SUBSET] = expression.tags
        rows.append(
            {
                "sent_id": prediction.sent_id,
                "image_id": prediction.image_id,
                "phrase": prediction.phrase,
                "annotated_xyxy": prediction.annotated_xyxy,
                "boxes_xyxy": prediction.boxes_xyxy,
                "scores": prediction.scores,
                "iou": float(iou),
                "image_path": expression.image_path,
                "groups": groups,
            }
        )
    return rows


def rival_of(method: str, methods: Sequence[str]) -> str | None:
    """Whom a method is held against in disputed examples: `RIVAL`, else the first other one; None where it is alone."""
    others = [name for name in methods if name != method]
    return RIVAL if RIVAL in others else next(iter(others), None)


def choose_best(rows: Iterable[AnswerRow], count: int) -> list[AnswerRow]:
    """The highest IoUs, equal ones by score and then by sent_id."""
    ordered = sorted(rows, key=lambda row: (-row["iou"], -row["scores"][0], row["sent_id"]))
    return _one_per_image(ordered, count)


def choose_worst(rows: Iterable[AnswerRow], count: int) -> list[AnswerRow]:
    """The lowest IoUs below 0.5, among equal ones the highest scores, then by sent_id."""
    wrong = [row for row in rows if row["iou"] < CORRECT_IOU]
    ordered = sorted(wrong, key=lambda row: (row["iou"], -row["scores"][0], row["sent_id"]))
    return _one_per_image(ordered, count)


def choose_disputed(
    rows: Iterable[AnswerRow], rival_rows: Iterable[AnswerRow], count: int
) -> list[tuple[AnswerRow, AnswerRow]]:
    """Pairs of answers to one phrase of which exactly one has IoU >= 0.5.

    By turns one where the first method is right and one where the rival is, as long as there are both; on each side the
    largest gap in IoU comes first, equal ones by sent_id. Phrases that only one method answered are passed over.
    """
    by_id = {row["sent_id"]: row for row in rival_rows}
    pairs = [(row, by_id[row["sent_id"]]) for row in rows if row["sent_id"] in by_id]
    pairs.sort(key=lambda pair: (-abs(pair[0]["iou"] - pair[1]["iou"]), pair[0]["sent_id"]))
    sides = [
        [pair for pair in pairs if pair[0]["iou"] >= CORRECT_IOU > pair[1]["iou"]],
        [pair for pair in pairs if pair[1]["iou"] >= CORRECT_IOU > pair[0]["iou"]],
    ]
    chosen: list[tuple[AnswerRow, AnswerRow]] = []
    while len(chosen) < count and any(sides):
        turn = len(chosen) % 2
        pair = (sides[turn] or sides[1 - turn])[0]
        chosen.append(pair)
        sides = [[other for other in side if other[0]["image_id"] != pair[0]["image_id"]] for side in sides]
    return chosen


def choose_random(rows: Iterable[AnswerRow], count: int, *, seed: int) -> list[AnswerRow]:
    """Answers by lot, each as likely: a sample for the method, since several may be of one image, as they are in all.

    A smaller count gives the first of a larger one.
    """
    ordered = sorted(rows, key=lambda row: row["sent_id"])
    return [ordered[index] for index in np.random.default_rng(seed).permutation(len(ordered))[:count]]


def _one_per_image(ordered: Iterable[AnswerRow], count: int) -> list[AnswerRow]:
    first: dict[Any, AnswerRow] = {}
    for row in ordered:
        first.setdefault(row["image_id"], row)
    return list(first.values())[:count]
