"""From answers to numbers: every measure of every query, its means over the split and over the kinds of expressions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from grounding.data.relations import relates
from grounding.evaluation.metrics import (
    ACCURACY_THRESHOLDS,
    AVERAGED_THRESHOLDS,
    RECALL_AT,
    expected_calibration_error,
    expected_recall_at,
    gious_with,
    hits,
    ious_with,
    most_overlapped,
    point_inside,
    recall_at,
    reliability,
)
from grounding.evaluation.predictions import Prediction
from grounding.evaluation.significance import intervals_by_image, paired_differences
from grounding.geometry import box_iou
from grounding.types import Expression, Region

WITH_INTERVALS = ("acc@0.25", "acc@0.5", "acc@0.5_any", "acc@0.75", "miou", "giou", "pointing", "pointing_any",
                  "mass_inside", "recall@5", "region_accuracy", "category_accuracy", "text_cosine",
                  "crop_cosine")  # fmt: skip
MAIN = ("acc@0.5", "miou", "pointing")  # what methods are compared by, and what kinds of expressions are measured by
BACKGROUND = "background"
IOU_STEPS = np.linspace(0, 1, 21)
IOU = "of the best-scored box with the annotated box, in pixels of the original image"
# The words for a place in the picture in RefCOCOg's expressions.
LOCATION_WORDS = frozenset({
    "left", "right", "top", "bottom", "upper", "lower", "middle", "center", "centre", "leftmost", "rightmost",
    "corner", "side", "edge", "far", "foreground", "background", "front", "back",
})  # fmt: skip
# COCO calls objects under 32 x 32 pixels small and over 96 x 96 large, in pictures of about 640 x 480 pixels.
SMALL, LARGE = 32 * 32 / (640 * 480), 96 * 96 / (640 * 480)
LENGTHS = ("1-3 words", "4-6 words", "7-10 words", "11 words or more")
SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Summary:
    """A method's answers to P queries, measured."""

    predictions: tuple[Prediction, ...]
    expressions: tuple[Expression | None, ...]  # None where only the answer is known
    regions: Mapping[int, Sequence[Region]]  # image id -> every annotated object of the image; may lack images
    values: dict[str, np.ndarray]  # measure -> (P,) float64; NaN where a query has no such measure

    def means(self, chosen: np.ndarray | None = None) -> dict[str, float]:
        """Every measure over all queries, or over the chosen ones, (P,) bool; a measure that none has is left out."""
        means = {}
        for name, values in self.values.items():
            inside = values if chosen is None else values[chosen]
            if not np.isnan(inside).all():
                means[name] = float(np.nanmean(inside))
        return means

    def report(self) -> dict[str, Any]:
        """All that results.json says of a method, except how it compares with another."""
        metrics, right = self.means(), self.values["acc@0.5"]
        scores = np.array([each.scores[0] for each in self.predictions])
        # Another system's scores may be any finite numbers.
        if ((scores >= 0) & (scores <= 1)).all() and not any(each.at_random for each in self.predictions):
            metrics["ece"] = expected_calibration_error(scores, right)
        report: dict[str, Any] = {"n": len(self.predictions)}
        images, seconds = len(np.unique(self.image_ids)), float(np.sum([each.seconds for each in self.predictions]))
        if seconds:
            report["seconds"] = {"per_image": seconds / images, "per_phrase": seconds / len(self.predictions)}
        report["metrics"] = metrics
        if images > 1:
            names = [name for name in WITH_INTERVALS if name in metrics and not np.isnan(self.values[name]).any()]
            intervals = intervals_by_image(np.stack([self.values[name] for name in names]), self.image_ids)
            report["intervals"] = dict(zip(names, intervals.tolist(), strict=True))
        report["subsets"] = self._subsets()
        report["breakdowns"] = self._breakdowns()
        report["confusion"] = self._confusion()
        if "ece" in metrics:
            report["reliability"] = reliability(scores, right)
        ious = [ious_with(each.answers_xyxy, np.array(each.annotated_xyxy)) for each in self.predictions]
        right_at = np.mean([hits(of_query[:, None], IOU_STEPS).mean(axis=0) for of_query in ious], axis=0)
        report["accuracy_over_iou"] = {"threshold": IOU_STEPS.tolist(), "accuracy": right_at.tolist()}
        return {name: value for name, value in report.items() if value != {}}

    def behind(self, first: Summary) -> dict[str, Any]:
        """By how much another method is better on the same queries, measure by measure."""
        names = [name for name in MAIN if name in self.values and name in first.values]
        if len(np.unique(self.image_ids)) < 2:
            return {}
        values, others = (np.stack([summary.values[name] for name in names]) for summary in (first, self))
        return dict(zip(names, map(asdict, paired_differences(values, others, self.image_ids)), strict=True))

    @property
    def image_ids(self) -> np.ndarray:
        """(P,) the image of each query."""
        return np.array([each.image_id for each in self.predictions])

    def _part(self, chosen: np.ndarray, names: Sequence[str] | None = None) -> dict[str, Any]:
        metrics = self.means(chosen)
        return {"n": int(chosen.sum()), "metrics": {k: v for k, v in metrics.items() if names is None or k in names}}

    def _subsets(self) -> dict[str, Any]:
        """Tag that the data set gives -> its measures."""
        tags = [each.tags if each else () for each in self.expressions]
        names = sorted({name for each in tags for name in each})
        return {name: self._part(np.array([name in each for each in tags])) for name in names}

    def _breakdowns(self) -> dict[str, dict[str, Any]]:
        """Axis -> kind -> its measures."""
        kinds = pd.DataFrame([
            kinds_of(expression, self.regions.get(expression.image_id, ()), prediction.image_area)
            for prediction, expression in zip(self.predictions, self.expressions, strict=True)
            if expression is not None and prediction.image_area is not None
        ])  # fmt: skip
        if len(kinds) != len(self.predictions):
            return {}
        return {
            axis: {kind: self._part((of == kind).to_numpy(), MAIN) for kind in sorted(of.unique(), key=in_order)}
            for axis, of in kinds.items()
        }

    def _confusion(self) -> dict[str, dict[str, int]]:
        """Category that was wanted -> category of the annotated object that the best box overlaps most -> count."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for prediction, expression in zip(self.predictions, self.expressions, strict=True):
            regions = self.regions.get(prediction.image_id, ())
            if expression is None or not expression.category or not regions or prediction.at_random:
                continue
            found = most_overlapped(np.array(prediction.boxes_xyxy[0]), np.array([r.box_xyxy for r in regions]))
            counts[expression.category][BACKGROUND if found is None else regions[found].category] += 1
        return {wanted: dict(found.most_common()) for wanted, found in sorted(counts.items())}


def summarise(
    predictions: Sequence[Prediction], expressions: Mapping[int, Expression], regions: Mapping[int, Sequence[Region]]
) -> Summary:
    """Measure predictions, one per query, with what is known: sent_id -> expression, image id -> annotated objects."""
    if not predictions:
        raise ValueError("no phrase to measure on")
    measured = [measures_of(each, regions.get(each.image_id, ())) for each in predictions]
    names = list(dict.fromkeys(name for each in measured for name in each))
    values = {name: np.array([each.get(name, np.nan) for each in measured]) for name in names}
    asked = tuple(expressions.get(each.sent_id) for each in predictions)
    return Summary(tuple(predictions), asked, regions, values)


def measures_of(prediction: Prediction, regions: Sequence[Region]) -> dict[str, float]:
    """Every measure of one answer; of one at random, its expectation over the boxes."""
    annotated, answers = np.array(prediction.annotated_xyxy), prediction.answers_xyxy
    ious = ious_with(np.array(prediction.boxes_xyxy), annotated)
    answered = ious[: len(answers)]
    values = {f"acc@{threshold:g}": hits(answered, threshold).mean() for threshold in ACCURACY_THRESHOLDS}
    values["acc@0.5:0.95"] = hits(answered[:, None], AVERAGED_THRESHOLDS).mean()
    values["miou"] = answered.mean()
    values["giou"] = gious_with(answers, annotated).mean()
    points = [] if prediction.point_xy is None else [prediction.point_xy]
    if prediction.at_random:
        points = [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in prediction.boxes_xyxy]
    if points:
        values["pointing"] = np.mean([point_inside(point, annotated) for point in points])
    if prediction.parts_xyxy:  # where a phrase can have several boxes, there are two readings of what is right
        parts = np.array(prediction.parts_xyxy)
        values["acc@0.5_any"] = hits(box_iou(answers, parts).max(axis=1), 0.5).mean()
        if points:
            values["pointing_any"] = np.mean([any(point_inside(point, part) for part in parts) for point in points])
    if prediction.mass_inside is not None:
        values["mass_inside"] = prediction.mass_inside
    recall = expected_recall_at if prediction.at_random else recall_at
    values.update({f"recall@{k}": recall(ious, k) for k in RECALL_AT})
    if regions:
        regions_xyxy = np.array([region.box_xyxy for region in regions])
        own = regions_xyxy[[region.ann_id == prediction.ann_id for region in regions]]
        overlaps = [(box_iou(box, own).max(initial=0), box_iou(box, regions_xyxy).max()) for box in answers[:, None]]
        values["region_accuracy"] = np.mean([best == most > 0 for best, most in overlaps])  # of equal ones, any
    values["no_proposal"] = float(prediction.no_proposal)
    return {**{name: float(value) for name, value in values.items()}, **(prediction.semantics or {})}


def kinds_of(expression: Expression, regions: Sequence[Region], image_area: float) -> dict[str, str]:
    """The kind that an expression is of, along each axis, in an image with these annotated objects; square pixels."""
    words = re.findall(r"[\w']+", expression.phrase.lower())
    x1, y1, x2, y2 = expression.box_xyxy
    area = (x2 - x1) * (y2 - y1) / image_area
    distractors = sum(
        region.category == expression.category and region.ann_id != expression.ann_id for region in regions
    )
    return {
        "phrase length": LENGTHS[sum(len(words) > most for most in (3, 6, 10))],
        "box area": SIZES[int(area >= SMALL) + int(area >= LARGE)],
        "same-category distractors": str(distractors) if distractors < 3 else "3 or more",
        "category": expression.category or "unknown",
        "location words": "no" if LOCATION_WORDS.isdisjoint(words) else "yes",
        "relation words": "yes" if relates(expression.phrase) else "no",
    }


def in_order(kind: str) -> tuple[int, str]:
    """Sorts the kinds of an axis: lengths and sizes as they grow, all others by their names."""
    ordered = (*LENGTHS, *SIZES)
    return (ordered.index(kind) if kind in ordered else len(ordered)), kind
