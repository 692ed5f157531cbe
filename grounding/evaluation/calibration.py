"""What a method's score is worth: how well it tells right answers from wrong ones.

Expected calibration error: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2. Risk-coverage:
Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks", section 2, drawn as accuracy.
"""

from __future__ import annotations

import numpy as np

BINS = 10
COVERAGES = np.linspace(0.05, 1, 20)


def reliability(scores: np.ndarray, right: np.ndarray) -> list[dict[str, float]]:
    """Mean score beside accuracy, in ten bins of equal width over [0, 1]; empty bins are left out.

    Args:
        scores: (P,) in [0, 1]; a score on the edge of two bins belongs to the lower one.
        right: (P,) 0 or 1.

    Returns:
        One {"low", "high", "n", "score", "accuracy"} per bin.
    """
    edges = np.linspace(0, 1, BINS + 1)
    bin_of = np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, BINS - 1)
    return [
        {
            "low": float(edges[index]),
            "high": float(edges[index + 1]),
            "n": int((bin_of == index).sum()),
            "score": float(scores[bin_of == index].mean()),
            "accuracy": float(right[bin_of == index].mean()),
        }
        for index in range(BINS)
        if (bin_of == index).any()
    ]


def expected_calibration_error(scores: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of score and accuracy over the bins of `reliability`, weighted by their counts."""
    bins = reliability(scores, right)
    return sum(each["n"] * abs(each["score"] - each["accuracy"]) for each in bins) / len(scores)


def risk_coverage(scores: np.ndarray, right: np.ndarray) -> dict[str, list[float]]:
    """Accuracy on the surest share of the phrases, for shares from 5 % to all.

    Returns:
        {"coverage": (20,), "accuracy": (20,)}. Of equal scores, the mean stands for each, so that their order in the
        data set does not matter.
    """
    _, owner, counts = np.unique(scores, return_inverse=True, return_counts=True)
    of_equals = (np.bincount(owner, weights=right) / counts)[owner]
    surest_first = of_equals[np.argsort(-scores, kind="stable")]
    kept = np.maximum(1, np.round(COVERAGES * len(scores))).astype(int)
    accuracy = (np.cumsum(surest_first)[kept - 1] / kept).tolist()
    return {"coverage": COVERAGES.tolist(), "accuracy": accuracy}
