"""A method's `Calibration`, fitted to its answers on a split of which the boxes are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from grounding.errors import InputError
from grounding.evaluation.set_metrics import SetAnswer, is_right, matched
from grounding.methods.calibration import Calibration, found_by, probabilities, raw_logit

RIDGE = 1e-3  # of the slope, per example: without it, what separates perfectly has no slope that is finite
LEAST_SLOPE = 1e-2
PRESENCES_TRIED = 200  # quantiles of the split
SCORES_TRIED = np.linspace(0.02, 1.0, 50)
# Of the phrases for something, the share (T-acc) that must not be answered by nothing: who asks for what is there minds
# that more than a box too many. A hundredth above what is aimed at elsewhere, 0.95.
LEAST_T_ACC = 0.96


def fit_calibration(sets: Sequence[SetAnswer], single: Sequence[SetAnswer] = ()) -> Calibration:
    """What the scores of a method mean, and the thresholds of the best set accuracy at `LEAST_T_ACC`.

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
    of_presence = logistic_regression(raw_logit([each.presence for each in sets]), present)
    fitting = [each for each in (*sets, *single) if len(each.annotated_xyxy)]
    right = np.array([matched(each.boxes_xyxy[:1], each.annotated_xyxy) == 1 for each in fitting])
    of_score = logistic_regression(raw_logit([each.scores[0] for each in fitting]), right)
    return _with_best_thresholds(Calibration(of_presence, of_score, least_presence=0.0, least_score=1.0), sets)


def calibrated_answer(answer: SetAnswer, calibration: Calibration) -> SetAnswer:
    """The same with probabilities for its scores and its presence, and the boxes that are found by them."""
    scores, presence = probabilities(answer.scores, answer.presence, calibration)
    found = found_by(answer.boxes_xyxy, scores, presence, calibration)
    return replace(answer, scores=scores, presence=presence, found=found)


def _with_best_thresholds(calibration: Calibration, sets: Sequence[SetAnswer]) -> Calibration:
    """The calibration with the thresholds of the best set accuracy at `LEAST_T_ACC`; of equals the lowest ones."""
    absent = np.array([len(each.annotated_xyxy) == 0 for each in sets])
    presence = np.array([calibrated_answer(each, calibration).presence for each in sets])
    # By score threshold: whether each answer is right if it is not withheld.
    right = np.array([
        [is_right(calibrated_answer(each, replace(calibration, least_score=least))) for each in sets]
        for least in SCORES_TRIED.tolist()
    ])  # fmt: skip
    tried = np.unique(np.quantile(presence, np.linspace(0, 1, PRESENCES_TRIED), method="nearest"))
    tried = tried[[(presence[~absent] >= least).mean() >= LEAST_T_ACC for least in tried]]  # the lowest keeps all
    accuracy = np.array([np.where(presence < least, absent, right).mean(axis=1) for least in tried])
    row, column = np.unravel_index(accuracy.argmax(), accuracy.shape)
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
