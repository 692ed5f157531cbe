"""Calibration error against torchmetrics, and risk-coverage against sorting by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from grounding.evaluation.calibration import expected_calibration_error, reliability, risk_coverage


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray]:
    """(scores, right) of 500 answers whose scores are too high."""
    rng = np.random.default_rng(0)
    scores = rng.random(500) * 0.9 + 0.05
    return scores, (rng.random(500) < scores**2).astype(float)


def test_calibration_error_equals_torchmetrics(sample) -> None:
    scores, right = sample
    # torchmetrics takes the confidence of the predicted class; all are predicted to be right.
    expected = binary_calibration_error(torch.from_numpy(scores), torch.from_numpy(right).int(), n_bins=10, norm="l1")
    assert expected_calibration_error(scores, right) == pytest.approx(float(expected), abs=1e-6)


def test_bins_hold_every_answer_once(sample) -> None:
    scores, right = sample
    bins = reliability(scores, right)
    assert sum(each["n"] for each in bins) == 500
    assert sum(each["n"] * each["accuracy"] for each in bins) == pytest.approx(right.sum())
    for each in bins:
        inside = (scores > each["low"]) & (scores <= each["high"])
        assert each["n"] == inside.sum() and each["score"] == pytest.approx(scores[inside].mean())


def test_scores_of_zero_and_one_have_a_bin() -> None:
    bins = reliability(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert [(each["low"], each["n"]) for each in bins] == [(0.0, 1), (pytest.approx(0.9), 1)]
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0
    assert expected_calibration_error(np.array([1.0, 1.0]), np.array([0.0, 1.0])) == 0.5


def test_accuracy_rises_where_the_unsure_are_refused(sample) -> None:
    scores, right = sample
    curve = risk_coverage(scores, right)
    surest_first = sorted(zip(scores, right, strict=True), reverse=True)
    for coverage, accuracy in zip(curve["coverage"], curve["accuracy"], strict=True):
        kept = [answer for _, answer in surest_first[: round(coverage * 500)]]
        assert accuracy == pytest.approx(np.mean(kept))
    assert curve["coverage"][-1] == 1 and curve["accuracy"][-1] == pytest.approx(right.mean())
    assert curve["accuracy"][0] > curve["accuracy"][-1] + 0.3
    # The order of equal scores does not matter.
    assert risk_coverage(np.full(40, 0.7), np.repeat([1.0, 0.0], 20))["accuracy"] == pytest.approx([0.5] * 20)
