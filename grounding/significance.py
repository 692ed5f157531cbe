"""How sure a measured number is: intervals by bootstrap over images, and paired tests between methods.

Expressions of one image stand or fall together, so images are what is drawn anew, not expressions (Davison and
Hinkley 1997, "Bootstrap Methods and their Application", section 3.8). Every number here is the same for the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 2000
BATCH = 200  # resamples in memory at a time


@dataclass(frozen=True)
class Difference:
    """How much better one method is than another on the same expressions.

    Attributes:
        difference: mean of the one minus mean of the other.
        interval: 95 % of the bootstrapped differences lie in [low, high].
        p_value: two-sided, of a permutation test that swaps the methods' answers image by image.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float


def interval_by_image(values: np.ndarray, image_ids: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile interval of the mean over expressions, images drawn with replacement.

    Args:
        values: (P,) one measure per expression.
        image_ids: (P,) the image of each; at least two different ones.
        seed: of the draws.

    Raises:
        ValueError: there are fewer than two images.
    """
    sums, counts = _per_image(values, image_ids)
    drawn = stats.bootstrap(
        (sums, counts), _mean, paired=True, vectorized=True, n_resamples=RESAMPLES, batch=BATCH, method="percentile",
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def paired_difference(values: np.ndarray, others: np.ndarray, image_ids: np.ndarray, *, seed: int = 0) -> Difference:
    """How far the mean of `values` is above that of `others`, both (P,) and about the same P expressions.

    Raises:
        ValueError: there are fewer than two images.
    """
    advantage = np.asarray(values, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    sums, _ = _per_image(advantage, image_ids)
    if not sums.any():
        p_value = 1.0  # no image where the methods differ
    else:
        # Swapping two methods' answers on an image turns the sign of its sum.
        permuted = stats.permutation_test(
            (sums,), np.sum, permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, batch=BATCH,
            rng=np.random.default_rng(seed),
        )  # fmt: skip
        p_value = float(permuted.pvalue)
    return Difference(float(advantage.mean()), interval_by_image(advantage, image_ids, seed=seed), p_value)


def _per_image(values: np.ndarray, image_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the values and number of expressions, image by image."""
    images, owner = np.unique(image_ids, return_inverse=True)
    if len(images) < 2:
        raise ValueError("an interval over images needs two of them at least")
    return np.bincount(owner, weights=np.asarray(values, dtype=np.float64)), np.bincount(owner).astype(np.float64)


def _mean(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
