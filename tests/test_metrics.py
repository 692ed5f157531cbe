import csv

import numpy as np
import pytest
import torch
import torchvision.ops

from grounding.metrics import accuracy_at, ious_with, points_inside, recall_at, summarise
from tests.shared_data import SHARED_DATA, needs_shared_data


def test_ious_with_one_annotated_box_equal_torchvision():
    corners = np.random.default_rng(0).integers(0, 20, (30, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1) + 1], axis=1).astype(np.float32)
    expected = torchvision.ops.box_iou(torch.from_numpy(boxes), torch.from_numpy(boxes[:1]))[:, 0]
    np.testing.assert_allclose(ious_with(boxes, boxes[0]), expected, atol=1e-6)


def test_accuracy_counts_the_threshold_itself():
    best = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    assert [accuracy_at(best, threshold) for threshold in (0.25, 0.5, 0.75, 0.9)] == [0.8, 0.6, 0.4, 0.2]


def test_recall_looks_at_the_first_k_boxes():
    ious = [np.array([0.5]), np.array([0.1, 0.2, 0.9]), np.array([0.4, 0.6]), np.array([0.49, 0.49, 0.49, 0.49])]
    assert [recall_at(ious, k) for k in (1, 2, 3, 100)] == [0.25, 0.5, 0.75, 0.75]
    assert recall_at(ious, 1, threshold=0.4) == 0.75


def test_recall_equals_brute_force():
    rng = np.random.default_rng(1)
    ious = [rng.random(rng.integers(1, 12)) for _ in range(50)]
    for k in (1, 3, 5, 10):
        hits = sum(1 for values in ious if max(values.tolist()[:k]) >= 0.5)
        assert recall_at(ious, k) == pytest.approx(hits / 50)


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
def test_pointing_takes_the_centre_of_the_hottest_pixel(box, inside):
    heatmap = np.zeros((8, 10), dtype=np.float32)
    heatmap[2, 5] = 0.5
    assert points_inside(heatmap, np.array(box)) is inside


def test_of_equally_hot_pixels_the_first_points():
    heatmap = np.zeros((4, 4), dtype=np.float32)
    heatmap[1, 2] = heatmap[2, 1] = 1
    assert points_inside(heatmap, np.array([2, 1, 3, 2])) and not points_inside(heatmap, np.array([1, 2, 2, 3]))


def test_summary_by_hand():
    ious = [np.array([0.8, 0.1]), np.array([0.3, 0.2, 0.6]), np.array([0.1] * 6 + [0.7]), np.array([0.5])]
    assert summarise(ious, [True, False, False, True]) == pytest.approx(
        {
            "acc@0.25": 0.75,
            "acc@0.3": 0.75,
            "acc@0.5": 0.5,
            "acc@0.7": 0.25,
            "acc@0.75": 0.25,
            "acc@0.9": 0.0,
            "acc@0.5:0.95": 0.2,
            "miou": (0.8 + 0.3 + 0.1 + 0.5) / 4,
            "pointing": 0.5,
            "recall@1": 0.5,
            "recall@5": 0.75,
            "recall@10": 1.0,
        }
    )


def test_summary_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no phrase"):
        summarise([], [])


def test_mean_accuracy_over_thresholds_is_cocos():
    ious = [np.array([value]) for value in (0.2, 0.5, 0.62, 0.97)]
    hits = [sum(value >= percent / 100 for value in (0.2, 0.5, 0.62, 0.97)) / 4 for percent in range(50, 100, 5)]
    assert summarise(ious, [True] * 4)["acc@0.5:0.95"] == pytest.approx(sum(hits) / 10)


@needs_shared_data("refcocog-peer")
def test_a_published_systems_figures_are_reproduced():
    with (SHARED_DATA / "refcocog-peer" / "yolov5_clip_rn50_umd_test.csv").open() as file:
        rows = np.array([[float(value) for value in row[-8:]] for row in list(csv.reader(file))[1:]])
    assert len(rows) == 9602
    ious = [ious_with(row[None, 4:], row[:4]) for row in rows]
    metrics = summarise(ious, [False] * len(rows))
    published = {"acc@0.3": 0.604666, "acc@0.5": 0.543637, "acc@0.7": 0.496146, "miou": 0.5273}
    for name, value in published.items():
        assert metrics[name] == pytest.approx(value, abs=5e-5), name
