"""A method's `Calibration`, fitted to its answers on a split of which the boxes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from grounding.errors import InputError
from grounding.evaluation.set_metrics import SetAnswer, is_right, matches
from grounding.methods.calibration import Calibration, apart_from_better, found_by, probabilities, raw_logit

RIDGE = 1e-3  # of the coefficients, per example: without it, what separates perfectly has none that are finite
LEAST_SLOPE = 1e-2
PRESENCES_TRIED = 200  # quantiles of the split
SCORES_TRIED = np.linspace(0.02, 1.0, 50)


def fit_calibration(sets: Sequence[SetAnswer], single: Sequence[SetAnswer] = ()) -> Calibration:
    """What the scores of a method mean, and the thresholds of the best set accuracy.

    Args:
        sets: uncalibrated answers to phrases for several objects, one, or none.
        single: more of them, to phrases for one object each: they have a say in the scores of boxes only.

    Raises:
        InputError: all phrases of `sets` fit something, or none does.
    """
    present = np.array([len(each.annotated_xyxy) > 0 for each in sets])
    if present.all() or not present.any():
        raise InputError(
            "phrases for something and for nothing are both needed to calibrate: give a split that has "
            "both (threshold_split, or split of train.py extraction)"
        )
    slope, intercept = logistic_regression(raw_logit([each.presence for each in sets])[:, None], present)
    best = [(each.scores[0], matches(each.boxes_xyxy[:1], each.annotated_xyxy)[0])
            for each in (*sets, *single) if len(each.annotated_xyxy)]  # fmt: skip
    scores, right = (np.array(column) for column in zip(*best, strict=True))
    of_score, shift = logistic_regression(raw_logit(scores)[:, None], right)
    calibration = Calibration((slope, intercept), (of_score, shift), least_presence=0.0, least_score=1.0)
    return _with_best_thresholds(calibration, sets)


def calibrated_answer(answer: SetAnswer, calibration: Calibration) -> SetAnswer:
    """The same with probabilities for its scores and its presence, and the boxes that are found by them."""
    scores, presence = probabilities(answer.scores, answer.presence, calibration)
    found = found_by(answer.boxes_xyxy, scores, presence, calibration)
    return replace(answer, scores=scores, presence=presence, found=found)


def _with_best_thresholds(calibration: Calibration, sets: Sequence[SetAnswer]) -> Calibration:
    """The calibration with the thresholds of the best set accuracy; of equals the lowest presence, then score."""
    probable = [calibrated_answer(each, calibration) for each in sets]
    apart = [apart_from_better(each.boxes_xyxy, each.scores) for each in probable]
    absent = np.array([len(each.annotated_xyxy) == 0 for each in probable])
    presence = np.array([each.presence for each in probable])
    # By score threshold: whether each answer is right if it is not withheld.
    right = np.array([
        [is_right(replace(each, found=tuple(i for i in own if i == own[0] or each.scores[i] >= least)))
         for each, own in zip(probable, apart, strict=True)]
        for least in SCORES_TRIED
    ])  # fmt: skip
    tried = np.unique(np.quantile(presence, np.linspace(0, 1, PRESENCES_TRIED), method="nearest"))
    accuracy = np.array([np.where(presence < least, absent, right).mean(axis=1) for least in tried])
    row, column = np.unravel_index(accuracy.argmax(), accuracy.shape)
    return replace(calibration, least_presence=float(tried[row]), least_score=float(SCORES_TRIED[column]))


def logistic_regression(features: np.ndarray, labels: np.ndarray) -> tuple[float, ...]:
    """Coefficients of the features, the first of them above 0, and the intercept, by maximum likelihood.

    Args:
        features: (N, D) float64.
        labels: (N,) bool.
    """
    x = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    signs = np.where(labels, 1.0, -1.0)

    def loss(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        margins = signs * (x @ coefficients)
        value = np.logaddexp(0, -margins).mean() + RIDGE * coefficients[:-1] @ coefficients[:-1]
        gradient = -(x * (signs * expit(-margins))[:, None]).mean(axis=0)
        gradient[:-1] += 2 * RIDGE * coefficients[:-1]
        return float(value), gradient

    bounds = [(LEAST_SLOPE, None), *[(None, None)] * (x.shape[1] - 1)]
    found = minimize(loss, np.eye(1, x.shape[1])[0], jac=True, bounds=bounds, method="L-BFGS-B")
    return tuple(found.x.tolist())
