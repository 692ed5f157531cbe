"""One query per referred object: the expressions of a ref vote, and one of their answers stands for them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from grounding.evaluation.predictions import Prediction, scores_are_probabilities
from grounding.geometry import box_iou


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
