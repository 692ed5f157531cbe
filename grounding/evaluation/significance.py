"""How sure a measured number is: intervals by bootstrap over images, and paired tests between methods.

Expressions of one image stand or fall together, so images are what is drawn anew, not expressions (Davison and
Hinkley 1997, "Bootstrap Methods and their Application", section 3.8). Every number here is the same every time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 2000
BATCH = 200  # resamples in memory at a time
SEED = 0


@dataclass(frozen=True)
class Difference:
    """How much better one method is than another on the same expressions."""

    difference: float  # mean of the one minus mean of the other
    interval: tuple[float, float]  # 95 % of the bootstrapped differences lie in [low, high]
    p_value: float  # two-sided, of a permutation test that swaps the methods' answers image by image


def intervals_by_image(values: np.ndarray, image_ids: np.ndarray) -> np.ndarray:
    """The 95 % percentile intervals (M, 2) of means over P expressions, images drawn with replacement.

    All M measures of `values` (M, P) see the same draws. `image_ids` is (P,).
    """
    sums, counts = _per_image(values, image_ids)
    drawn = stats.bootstrap(
        (sums, np.broadcast_to(counts, sums.shape)), _mean, paired=True, vectorized=True, n_resamples=RESAMPLES,
        batch=BATCH, axis=-1, method="percentile", rng=np.random.default_rng(SEED),
    )  # fmt: skip
    return np.stack([drawn.confidence_interval.low, drawn.confidence_interval.high], axis=1)


def paired_differences(values: np.ndarray, others: np.ndarray, image_ids: np.ndarray) -> list[Difference]:
    """How far the means of `values` are above those of `others`, both (M, P): M measures of the same P expressions."""
    advantage = np.asarray(values, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    sums, _ = _per_image(advantage, image_ids)
    # Swapping two methods' answers on an image turns the sign of its sum.
    permuted = stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, batch=BATCH, axis=-1,
        rng=np.random.default_rng(SEED),
    )  # fmt: skip
    p_values = np.where(sums.any(axis=1), permuted.pvalue, 1.0)  # 1 where the methods differ on no image
    intervals = intervals_by_image(advantage, image_ids)
    return [
        Difference(float(of_measure.mean()), (float(low), float(high)), float(p_value))
        for of_measure, (low, high), p_value in zip(advantage, intervals, p_values, strict=True)
    ]


def _per_image(values: np.ndarray, image_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, I) sums of the values (M, P), and (I,) number of expressions, image by image."""
    _, owner = np.unique(image_ids, return_inverse=True)
    sums = np.stack([np.bincount(owner, weights=np.asarray(measure, dtype=np.float64)) for measure in values])
    return sums, np.bincount(owner).astype(np.float64)


def _mean(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
