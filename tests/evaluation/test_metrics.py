"""Each measure against torchvision, torchmetrics or a loop, and what it must not depend on."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.classification import binary_calibration_error

from grounding.evaluation.metrics import (
    expected_calibration_error,
    expected_recall_at,
    gious_with,
    mass_inside,
    most_overlapped,
    point_inside,
    reliability,
)
from grounding.geometry import hottest_point

NUMBERS = st.floats(0, 1, width=32)


def test_boxes_without_area() -> None:
    flat = np.array([[3.0, 3, 3, 9], [3, 3, 3, 3]])
    assert gious_with(flat, flat[1]).tolist() == [0, 0]


@pytest.mark.parametrize("k", [1, 2, 5, 9])
@pytest.mark.parametrize("ious", [[0.1, 0.7, 0.2], [0.5, 0.6, 0.1, 0.2, 0.3], [0.1, 0.2]])
def test_expected_recall_equals_all_draws(ious: list[float], k: int) -> None:
    draws = list(combinations(ious, min(k, len(ious))))
    expected = np.mean([max(draw) >= 0.5 for draw in draws])
    assert expected_recall_at(np.array(ious), k) == pytest.approx(expected)


def test_pointing_takes_the_centre_of_the_hottest_pixel() -> None:
    heatmap = np.zeros((8, 10), dtype=np.float32)
    heatmap[2, 5] = 0.5
    for box, inside in (
        ((5.5, 2.5, 9, 9), True),  # begins at its centre
        ((0, 0, 5.5, 9), False),  # ends there
        ((2, 5, 3, 6), False),  # rows and columns changed over
    ):
        assert point_inside(hottest_point(heatmap), np.array(box)) is inside


@given(
    arrays(np.float32, (6, 9), elements=NUMBERS), arrays(np.float64, (2, 2), elements=st.floats(-3, 12)), st.booleans()
)
def test_mass_equals_a_loop_over_pixels(heatmap, corners, at_centres) -> None:
    if at_centres:  # edges that run through pixel centres decide who counts
        corners = np.floor(corners) + 0.5
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    inside = 0.0
    for row in range(6):
        for column in range(9):
            if box[0] <= column + 0.5 < box[2] and box[1] <= row + 0.5 < box[3]:
                inside += float(heatmap[row, column])
    total = float(heatmap.sum(dtype=np.float64))
    assert mass_inside(heatmap, box) == pytest.approx(inside / total if total else 0.0, abs=1e-9)


def test_most_overlapped() -> None:
    regions = np.array([[0.0, 0, 10, 10], [8, 0, 18, 10], [30, 30, 40, 40]])
    assert most_overlapped(np.array([6.0, 0, 16, 10]), regions) == 1
    assert most_overlapped(np.array([20.0, 20, 30, 30]), regions) is None
    assert most_overlapped(regions[0], np.empty((0, 4))) is None


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


def test_scores_of_zero_and_one_have_a_bin() -> None:
    bins = reliability(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert [(each["low"], each["n"]) for each in bins] == [(0.0, 1), (pytest.approx(0.9), 1)]
    edge = reliability(np.array([0.1, 0.15]), np.array([1.0, 0.0]))
    assert [(each["n"], each["score"], each["accuracy"]) for each in edge] == [(1, 0.1, 1), (1, 0.15, 0)]
