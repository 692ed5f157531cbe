"""A method's `Calibration`, fitted to its answers on a split of which the boxes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from grounding.errors import InputError
from grounding.evaluation.set_metrics import SetAnswer, choose_threshold, matches
from grounding.methods.calibration import Calibration, probabilities, raw_logit

RIDGE = 1e-3  # of the coefficients, per example: without it, what separates perfectly has none that are finite
LEAST_SLOPE = 1e-2


def fit_calibration(sets: Sequence[SetAnswer], single: Sequence[SetAnswer] = ()) -> Calibration:
    """What the scores of a method mean, and the threshold of the best set accuracy.

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
    rows, right = [], []
    for each in (*sets, *single):
        logits = raw_logit(each.scores)
        rows.append(np.stack([logits, np.full(len(logits), raw_logit(each.presence))], axis=1))
        right.append(matches(each.boxes_xyxy, each.annotated_xyxy))
    score = logistic_regression(np.concatenate(rows), np.concatenate(right))
    calibration = Calibration((slope, intercept), (score[0], score[1], score[2]), threshold=0.5)
    return replace(calibration, threshold=choose_threshold([calibrated_answer(each, calibration) for each in sets]))


def calibrated_answer(answer: SetAnswer, calibration: Calibration) -> SetAnswer:
    """The same with probabilities for its scores and its presence."""
    scores, presence = probabilities(answer.scores, answer.presence, calibration)
    return replace(answer, scores=scores, presence=presence)


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
