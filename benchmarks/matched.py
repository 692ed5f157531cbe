"""One group of expressions beside another of the same make-up: post-stratification.

Novel combinations of colour and shape come in other scenes than known ones, so their plain mean would also say what
kinds of phrases and objects are common there. Here each stratum of the other group counts as often as it occurs in the
first one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

RESAMPLES = 2000


def matched_difference(
    values: np.ndarray, in_group: np.ndarray, strata: Sequence[Hashable], image_ids: np.ndarray, *, seed: int = 0
) -> tuple[float, tuple[float, float], int]:
    """How far the mean of a group is above that of the others, matched by stratum.

    Strata that only one of the two has are left out.

    Args:
        values: (P,) of P expressions.
        in_group: (P,) bool.
        strata: P keys.
        image_ids: (P,) whose images are drawn anew for the interval.
        seed: of the draws.

    Returns:
        The difference, its 95 % bootstrap interval over images, and how many expressions of the group it is of.
    """
    keys = {key: number for number, key in enumerate(dict.fromkeys(strata))}
    stratum = np.array([keys[key] for key in strata])
    images, row = np.unique(image_ids, return_inverse=True)
    shape = (2, len(images), len(keys))  # others or group
    cell = np.ravel_multi_index((in_group.astype(int), row, stratum), shape)
    sums = np.stack(  # (2, 2, I, K): values, and counts
        [np.bincount(cell, weights, minlength=np.prod(shape)).reshape(shape) for weights in (values, None)], axis=1
    )
    drawn = np.random.default_rng(seed).multinomial(len(images), np.full(len(images), 1 / len(images)), RESAMPLES)
    resampled = [_difference(*of_groups) for of_groups in np.einsum("ri,gvik->rgvk", drawn, sums)]
    low, high = np.quantile(resampled, (0.025, 0.975))
    totals = sums.sum(axis=2)
    return _difference(*totals), (float(low), float(high)), int(totals[1, 1][totals[0, 1] > 0].sum())


def _difference(others: np.ndarray, group: np.ndarray) -> float:
    """Of (2, K) sums of values and counts of K strata."""
    both = (others[1] > 0) & (group[1] > 0)
    expected = group[1, both] * others[0, both] / others[1, both]
    return float((group[0, both].sum() - expected.sum()) / group[1, both].sum())
