"""Sums over boxes against sums of slices, and of a large map against its whole pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grounding.extraction.components import BoxSums, box_sums, mean_around, reduced


def random_map(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width)).astype(np.float32)


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99), st.data())
def test_sums_equal_sums_of_slices(height: int, width: int, seed: int, data: st.DataObject) -> None:
    heatmap = random_map(height, width, seed)
    x1, y1 = data.draw(st.integers(0, width)), data.draw(st.integers(0, height))
    x2, y2 = data.draw(st.integers(x1, width)), data.draw(st.integers(y1, height))
    sums = box_sums(heatmap)
    assert sums.sums(np.array([[x1, y1, x2, y2]]))[0] == pytest.approx(heatmap[y1:y2, x1:x2].sum(), abs=1e-5)
    assert sums.total == pytest.approx(heatmap.sum(), rel=1e-5)


def test_edges_inside_cells_take_their_share() -> None:
    sums = BoxSums(np.array([[1.0, 10.0], [100.0, 1000.0]]), (8, 4))  # cells of 4 x 2 pixels
    boxes = np.array([[0, 0, 8, 4], [2, 0, 6, 1], [1, 1, 2, 4], [5.5, 2.5, 5.5, 4]])
    expected = [8 * 1111, 2 * 1 + 2 * 10, 1 * 1 + 2 * 100, 0]
    np.testing.assert_allclose(sums.sums(boxes), expected)


def test_a_large_map_is_reduced_to_means() -> None:
    heatmap = random_map(600, 300)
    cells = reduced(heatmap, 100)
    assert cells.shape == (100, 50)
    np.testing.assert_allclose(cells, heatmap.reshape(100, 6, 50, 6).mean(axis=(1, 3)), atol=1e-6)
    assert reduced(heatmap, 600) is heatmap
    sums = box_sums(heatmap)  # to 120 x 60, cells of 5 pixels
    assert sums.sums(np.array([[10, 20, 55, 130]]))[0] == pytest.approx(heatmap[20:130, 10:55].sum(), rel=1e-5)
    assert reduced(random_map(131, 7), 64).shape == (44, 3)


def test_mean_around_is_of_the_ring_within_the_map() -> None:
    heatmap = random_map(20, 30)
    boxes = np.array([[8, 4, 16, 12], [0, 0, 4, 4], [0, 0, 30, 20]])
    ring = np.zeros((2, 20, 30), dtype=bool)
    ring[0, 2:14, 6:18] = True
    ring[0, 4:12, 8:16] = False
    ring[1, :5, :5] = True
    ring[1, :4, :4] = False
    found = mean_around(box_sums(heatmap), boxes)
    np.testing.assert_allclose(found, [heatmap[ring[0]].mean(), heatmap[ring[1]].mean(), 0], atol=1e-5)
