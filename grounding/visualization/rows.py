"""A method's measured answers one by one, as what pictures of single examples are made from."""

from __future__ import annotations

from typing import Any

from grounding.evaluation.breakdowns import kinds_of
from grounding.evaluation.summary import Summary

SUBSET = "subset"  # the axis of the data set's own tags, beside those of `breakdowns.AXES`


def rows_of(summary: Summary) -> list[dict[str, Any]]:
    """One dict per answer whose expression is known.

    Its keys: "sent_id", "image_id", "phrase", "annotated_xyxy", "boxes_xyxy" (best-scored first), "scores", "iou" (of
    the best box), "image_path", and "groups": axis of `breakdowns.AXES`, or `SUBSET`, -> the kinds it is of; without
    axes where the image's size is not known, and without `SUBSET` where it has no tag.
    """
    rows = []
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
