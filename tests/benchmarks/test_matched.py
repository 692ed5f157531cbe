"""Matched differences, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.matched import matched_difference


def test_strata_count_as_often_as_in_the_group() -> None:
    # In the group one is "easy", and right, and three are "hard", of which one is right. Of the others all easy ones
    # are right and half of the hard ones; what is "elsewhere" has nothing to be compared with.
    values = np.array([1, 1, 0, 0, 1, 1, 1, 1, 0, 1.0] * 20)
    in_group = np.array(([True] * 4 + [False] * 6) * 20)
    strata = ["easy", "hard", "hard", "hard", "easy", "easy", "easy", "hard", "hard", "elsewhere"] * 20
    difference, (low, high), n = matched_difference(values, in_group, strata, np.arange(200))
    assert difference == pytest.approx((1 + 1) / 4 - (1 * 1 + 3 * 0.5) / 4) and n == 80
    assert low < difference < high
    # The plain difference is another one: the known ones are mostly easy.
    assert values[in_group].mean() - values[~in_group].mean() == pytest.approx(0.5 - 5 / 6)


def test_equal_groups_do_not_differ_and_images_are_drawn_whole() -> None:
    values = np.tile([1.0, 0.0], 50)
    in_group = np.repeat([True, False], 2).tolist() * 25
    images = np.repeat(np.arange(25), 4)  # each image has one right and one wrong of either group
    difference, interval, n = matched_difference(values, np.array(in_group), [0] * 100, images)
    assert (difference, n) == (0.0, 50) and interval == (0.0, 0.0)
