"""Answers that are sets of boxes, several, one, or none where nothing fits the phrase: measures, and calibrations.

The measures of gRefCOCO (Liu et al. 2023, "GRES", and He et al. 2023, "GREC: Generalized Referring Expression
Comprehension", section 4), with IoU in the place of its authors' generalised IoU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import mannwhitneyu

from grounding.evaluation.significance import intervals_by_image
from grounding.geometry import box_iou
from grounding.methods.calibration import Calibration, calibrated, raw_logit
from grounding.runtime.errors import InputError

RIDGE = 1e-3  # of the slope, per example: without it, what separates perfectly has no slope that is finite
LEAST_SLOPE = 1e-2
PRESENCES_TRIED = 200  # quantiles of the split
SCORES_TRIED = np.linspace(0.02, 1.0, 50)


@dataclass(frozen=True, eq=False)
class SetAnswer:
    """One answer beside its annotation: `boxes_xyxy`, `scores`, `presence` and `found` are those of a `Grounding`."""

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    annotated_xyxy: np.ndarray  # (M, 4); M = 0 where nothing in the image fits the phrase
    presence: float
    image_id: int
    found: tuple[int, ...]


def matched(boxes_xyxy: np.ndarray, annotated_xyxy: np.ndarray, *, min_iou: float = 0.5) -> int:
    """How many boxes of two sets, (N, 4) and (M, 4), are each other's: greedily, the pair of largest IoU first."""
    iou = box_iou(boxes_xyxy, annotated_xyxy).copy()
    count = 0
    while iou.size and iou.max() >= min_iou:
        row, column = np.unravel_index(iou.argmax(), iou.shape)
        iou = np.delete(np.delete(iou, row, axis=0), column, axis=1)
        count += 1
    return count


def is_right(answer: SetAnswer) -> bool:
    """Whether the boxes found are just the annotated ones: an F1 of 1 at IoU 0.5."""
    chosen = answer.boxes_xyxy[list(answer.found)]
    return len(chosen) == len(answer.annotated_xyxy) == matched(chosen, answer.annotated_xyxy)


def set_metrics(answers: Sequence[SetAnswer]) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """The measures of some answers, without those that no phrase is about, and the 95 % intervals over images of the
    shares in which two images at least have a say.

    "set_accuracy" is the share of the phrases whose set of boxes is right (Pr@(F1=1, IoU>=0.5)), "n_acc" of those that
    fit nothing and get no box, "t_acc" of the others that get one or more; "presence_auroc" the probability that
    `presence` is higher where something fits than where nothing does, a tie counting half.
    """
    absent = np.array([len(each.annotated_xyxy) == 0 for each in answers])
    silent = np.array([not each.found for each in answers])
    right = np.array([is_right(each) for each in answers])
    image_ids = np.array([each.image_id for each in answers])
    measured, intervals = {}, {}
    for name, counts, about in (("set_accuracy", right, np.full(len(answers), True)), ("n_acc", silent, absent),
                                ("t_acc", ~silent, ~absent)):  # fmt: skip
        if about.any():
            measured[name] = float(counts[about].mean())
        if len(np.unique(image_ids[about])) > 1:
            intervals[name] = tuple(intervals_by_image(counts[about][None], image_ids[about])[0].tolist())
    presence = np.array([each.presence for each in answers])
    if 0 < absent.sum() < len(answers):
        pairs = absent.sum() * (~absent).sum()
        measured["presence_auroc"] = float(mannwhitneyu(presence[~absent], presence[absent]).statistic / pairs)
    return measured, intervals


def fit_calibration(sets: Sequence[SetAnswer], single: Sequence[SetAnswer] = ()) -> Calibration:
    """What the scores of a method mean, from uncalibrated answers, with the thresholds of the best set accuracy.

    Answers to phrases for one object each, `single`, have a say in the scores of boxes only.
    """
    present = np.array([len(each.annotated_xyxy) > 0 for each in sets])
    if present.all() or not present.any():
        raise InputError(
            "phrases for something and for nothing are both needed to calibrate: give a split that has "
            "both (threshold_split, or split of train.py extraction)"
        )
    of_presence = logistic_regression(raw_logit([each.presence for each in sets]), present)
    fitting = [each for each in (*sets, *single) if len(each.annotated_xyxy)]
    right = np.array([matched(each.boxes_xyxy[:1], each.annotated_xyxy) == 1 for each in fitting])
    of_score = logistic_regression(raw_logit([each.scores[0] for each in fitting]), right)
    return _with_best_thresholds(Calibration(of_presence, of_score, least_presence=0.0, least_score=1.0), sets)


def _with_best_thresholds(calibration: Calibration, sets: Sequence[SetAnswer]) -> Calibration:
    """The calibration with the thresholds of the best set accuracy, but the lowest of presence within a standard error
    (Breiman et al. 1984, "Classification and Regression Trees", section 3.4.3): to withhold is the worse mistake."""
    absent = np.array([len(each.annotated_xyxy) == 0 for each in sets])
    presence = np.array([calibrated(each, calibration).presence for each in sets])
    # By score threshold: whether each answer is right if it is not withheld.
    right = np.array([
        [is_right(calibrated(each, replace(calibration, least_score=least))) for each in sets]
        for least in SCORES_TRIED.tolist()
    ])  # fmt: skip
    tried = np.unique(np.quantile(presence, np.linspace(0, 1, PRESENCES_TRIED), method="nearest"))
    accuracy = np.array([np.where(presence < least, absent, right).mean(axis=1) for least in tried])
    best, column = accuracy.max(), accuracy.max(axis=0).argmax()
    row = (accuracy[:, column] >= best - np.sqrt(best * (1 - best) / len(sets))).argmax()
    return replace(calibration, least_presence=float(tried[row]), least_score=float(SCORES_TRIED[column]))


def logistic_regression(logits: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Slope, above 0, and intercept of the logits (N,) for labels (N,) bool, by maximum likelihood."""
    signs = np.where(labels, 1.0, -1.0)

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        slope, intercept = coefficients
        margins = signs * (slope * logits + intercept)
        pull = -signs * expit(-margins)
        value = np.logaddexp(0, -margins).mean() + RIDGE * slope**2
        return float(value), np.array([(pull * logits).mean() + 2 * RIDGE * slope, pull.mean()])

    found = minimize(loss, (1.0, 0.0), jac=True, bounds=[(LEAST_SLOPE, None), (None, None)], method="L-BFGS-B")
    return float(found.x[0]), float(found.x[1])
