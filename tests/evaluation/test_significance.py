"""Intervals and paired tests against a loop that draws images by hand."""

from __future__ import annotations

import numpy as np
import pytest

from grounding.evaluation.significance import Difference, intervals_by_image, paired_differences

IMAGES, PER_IMAGE = 120, 5


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray]:
    """(values, image_ids) of expressions that stand or fall together within an image, in mixed order."""
    rng = np.random.default_rng(0)
    image_ids = rng.permutation(np.repeat(np.arange(IMAGES) * 7, PER_IMAGE))
    level = dict(zip(np.unique(image_ids), rng.random(IMAGES), strict=True))
    return np.array([rng.random() < level[i] for i in image_ids], dtype=float), image_ids


def interval_by_image(values: np.ndarray, image_ids: np.ndarray) -> tuple[float, float]:
    [(low, high)] = intervals_by_image(values[None], image_ids).tolist()
    return low, high


def paired_difference(values: np.ndarray, others: np.ndarray, image_ids: np.ndarray) -> Difference:
    [difference] = paired_differences(values[None], others[None], image_ids)
    return difference


def drawn_by_hand(values: np.ndarray, image_ids: np.ndarray, draws: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(1)
    groups = [values[image_ids == i] for i in np.unique(image_ids)]
    return np.array(
        [np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))]).mean() for _ in range(draws)]
    )


def test_interval_equals_drawing_images_by_hand(sample):
    expected = np.percentile(drawn_by_hand(*sample), [2.5, 97.5])
    np.testing.assert_allclose(interval_by_image(*sample), expected, atol=0.01)


def test_measures_together_share_their_draws_which_are_always_the_same(sample):
    values, image_ids = sample
    both = intervals_by_image(np.stack([values, 1 - values]), image_ids)
    assert tuple(both[0]) == interval_by_image(values, image_ids)
    np.testing.assert_allclose(both[1], 1 - both[0][::-1])


def test_images_with_more_expressions_weigh_more():
    values = np.array([1.0] * 9 + [0.0])
    low, high = interval_by_image(values, np.array([1] * 9 + [2]))
    assert (low, high) == (0.0, 1.0)  # either image alone is among the draws
    difference = paired_difference(values, np.zeros(10), np.array([1] * 9 + [2]))
    assert difference.difference == pytest.approx(0.9)


def test_paired_difference(sample):
    values, image_ids = sample
    worse = values.copy()
    worse[np.flatnonzero(values)[:40]] = 0
    found = paired_difference(values, worse, image_ids)
    assert found.difference == pytest.approx(40 / len(values))
    np.testing.assert_allclose(found.interval, np.percentile(drawn_by_hand(values - worse, image_ids), [2.5, 97.5]),
                               atol=0.005)  # fmt: skip
    assert found.p_value < 0.001
    same = paired_difference(values, values, image_ids)
    assert (same.difference, same.interval, same.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_p_value_equals_all_sign_flips():
    advantage = np.array([0.5, 0.25, -0.125, 0.75, 0.5, 0.125])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1)
    sums = (signs * advantage[:, None]).sum(axis=0)
    expected = np.mean(np.abs(sums) >= abs(advantage.sum()))
    assert paired_difference(advantage, np.zeros(6), np.arange(6)).p_value == pytest.approx(expected)
