"""Each measure against torchvision, torchmetrics or a loop, and what it must not depend on."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
import torchvision.ops
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.classification import binary_calibration_error

from grounding.evaluation.metrics import (
    expected_calibration_error,
    expected_recall_at,
    gious_with,
    hits,
    ious_with,
    mass_inside,
    most_overlapped,
    point_inside,
    recall_at,
    reliability,
    risk_coverage,
)
from grounding.geometry import hottest_point

NUMBERS = st.floats(0, 1, width=32)
COORDINATES = st.integers(0, 60)


@st.composite
def boxes(draw: st.DrawFn, count: int = 5) -> np.ndarray:
    """(count, 4) boxes with whole-numbered corners, some without area."""
    corners = draw(arrays(np.int64, (count, 2, 2), elements=COORDINATES))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float64)


def as_tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float64))


@given(boxes())
def test_iou_and_giou_equal_torchvision(sample: np.ndarray) -> None:
    sample[:, 2:] += 1  # torchvision divides by the area of the hull
    iou = torchvision.ops.box_iou(as_tensor(sample), as_tensor(sample[:1]))[:, 0]
    giou = torchvision.ops.generalized_box_iou(as_tensor(sample), as_tensor(sample[:1]))[:, 0]
    np.testing.assert_allclose(ious_with(sample, sample[0]), iou, atol=1e-12)
    np.testing.assert_allclose(gious_with(sample, sample[0]), giou, atol=1e-12)


def test_boxes_without_area() -> None:
    flat = np.array([[3.0, 3, 3, 9], [3, 3, 3, 3]])
    assert ious_with(flat, flat[1]).tolist() == [0, 0]
    assert gious_with(flat, flat[1]).tolist() == [0, 0]


def test_hits_count_the_threshold_itself() -> None:
    best = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    assert [hits(best, threshold).mean() for threshold in (0.25, 0.5, 0.75, 0.9)] == [0.8, 0.6, 0.4, 0.2]


def test_recall_looks_at_the_first_k_boxes() -> None:
    ious = [np.array([0.5]), np.array([0.1, 0.2, 0.9]), np.array([0.4, 0.6]), np.array([0.49] * 4)]
    assert [np.mean([recall_at(each, k) for each in ious]) for k in (1, 2, 3, 100)] == [0.25, 0.5, 0.75, 0.75]
    assert np.mean([recall_at(each, 1, threshold=0.4) for each in ious]) == 0.75


@pytest.mark.parametrize("k", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("ious", [[0.6], [0.1, 0.7, 0.2], [0.5, 0.6, 0.1, 0.2, 0.3], [0.1, 0.2]])
def test_expected_recall_equals_all_draws(ious: list[float], k: int) -> None:
    draws = list(combinations(ious, min(k, len(ious))))
    expected = np.mean([max(draw) >= 0.5 for draw in draws])
    assert expected_recall_at(np.array(ious), k) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((5, 2, 6, 3), True),  # the pixel itself
        ((5.5, 2.5, 9, 9), True),  # the box begins at its centre
        ((5.6, 2, 9, 9), False),
        ((5, 2.6, 9, 9), False),
        ((0, 0, 5.5, 9), False),  # the box ends at its centre
        ((0, 0, 9, 2.5), False),
        ((0, 0, 5.6, 2.6), True),
        ((2, 5, 3, 6), False),  # rows and columns changed over
    ],
)
def test_pointing_takes_the_centre_of_the_hottest_pixel(box, inside) -> None:
    heatmap = np.zeros((8, 10), dtype=np.float32)
    heatmap[2, 5] = 0.5
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


@given(boxes(), boxes(1))
def test_most_overlapped_equals_a_loop(regions: np.ndarray, box: np.ndarray) -> None:
    best, found = 0.0, None
    for index, (x1, y1, x2, y2) in enumerate(regions):
        bx1, by1, bx2, by2 = box[0]
        across, down = min(x2, bx2) - max(x1, bx1), min(y2, by2) - max(y1, by1)
        intersection = max(across, 0) * max(down, 0)
        union = (x2 - x1) * (y2 - y1) + (bx2 - bx1) * (by2 - by1) - intersection
        if union > 0 and intersection / union > best:
            best, found = intersection / union, index
    assert most_overlapped(box[0], regions) == found
    assert most_overlapped(box[0], np.empty((0, 4))) is None


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
