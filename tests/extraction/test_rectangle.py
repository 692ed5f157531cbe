"""The exact search against every rectangle tried in turn, and boxes on heatmaps whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grounding.extraction.rectangle import best_rectangle, rectangles_from_heatmap


def best_by_trying(evidence: np.ndarray) -> float:
    height, width = evidence.shape
    return max(
        float(evidence[y1:y2, x1:x2].sum())
        for y1 in range(height)
        for y2 in range(y1 + 1, height + 1)
        for x1 in range(width)
        for x2 in range(x1 + 1, width + 1)
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 10**6), st.integers(-5, 5))
def test_exact_search_equals_trying_every_rectangle(height: int, width: int, seed: int, middle: int) -> None:
    evidence = np.random.default_rng(seed).integers(-9, 10, (height, width)).astype(np.float64) + middle
    (x1, y1, x2, y2), found = best_rectangle(evidence)
    assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
    assert found == evidence[y1:y2, x1:x2].sum() == best_by_trying(evidence)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6), st.sampled_from([0.25, 0.5, 0.75]))
def test_first_rectangle_of_a_small_heatmap_is_the_best(height: int, width: int, seed: int, offset: float) -> None:
    heatmap = (np.random.default_rng(seed).integers(0, 17, (height, width)) / 16).astype(np.float32)
    boxes, scores = rectangles_from_heatmap(heatmap, offset=offset)
    assert boxes.dtype == scores.dtype == np.float32 and boxes.shape == (len(scores), 4)
    assert (np.diff(scores) <= 0).all() and scores.min() >= 0 and scores.max() <= 1
    if heatmap.max() == 0:
        assert boxes.tolist() == [[0, 0, width, height]] and scores.tolist() == [0]
        return
    evidence = heatmap - offset * heatmap.max()
    x1, y1, x2, y2 = boxes[0].astype(int)
    best = best_by_trying(evidence)
    assert evidence[y1:y2, x1:x2].sum() == pytest.approx(best, abs=1e-5)
    assert scores[0] == pytest.approx(best / np.maximum(evidence, 0).sum() * heatmap.max(), abs=1e-5)


@pytest.mark.parametrize("box", [(37, 101, 290, 333), (0, 0, 400, 341), (399, 300, 400, 341), (100, 7, 103, 330)])
def test_edges_are_exact_to_the_pixel_of_a_large_heatmap(box: tuple[int, int, int, int]) -> None:
    x1, y1, x2, y2 = box
    heatmap = np.full((341, 400), 0.1, dtype=np.float32)
    heatmap[y1:y2, x1:x2] = 0.8
    assert rectangles_from_heatmap(heatmap)[0][0].tolist() == list(box)


def test_further_rectangles_are_of_the_heat_that_is_left() -> None:
    heatmap = np.zeros((60, 80), dtype=np.float32)
    heatmap[5:25, 5:35] = 0.9
    heatmap[30:50, 50:70] = 0.8
    heatmap[55:57, 2:6] = 0.7
    boxes, scores = rectangles_from_heatmap(heatmap, count=5)
    assert boxes.tolist() == [[5, 5, 35, 25], [50, 30, 70, 50]]  # the third is a fringe: under a fiftieth of the first
    evidence = np.array([600 * 0.45, 400 * 0.35])
    np.testing.assert_allclose(scores, 0.9 * evidence / (evidence.sum() + 8 * 0.25), rtol=1e-5)
    assert len(rectangles_from_heatmap(heatmap, count=1)[0]) == 1
