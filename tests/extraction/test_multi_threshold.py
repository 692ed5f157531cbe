"""Regions above several thresholds against scipy's labelling and torchvision's IoU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torchvision.ops import box_iou

from grounding.extraction.multi_threshold import DUPLICATE_IOU, distinct_boxes, distinctness

LEVELS = (0.25, 0.4, 0.5, 0.55, 0.75)


def labelled_boxes(heatmap: np.ndarray) -> set[tuple[int, ...]]:
    boxes = set()
    for level in LEVELS:
        labels, _ = ndimage.label(heatmap >= level * heatmap.max(), structure=np.ones((3, 3)))
        boxes |= {
            (columns.start, rows.start, columns.stop, rows.stop) for rows, columns in ndimage.find_objects(labels)
        }
    return boxes


def contrast_of(heatmap: np.ndarray, box: tuple[int, ...]) -> float:
    """By masks; only for a box whose quarter sides are whole pixels."""
    x1, y1, x2, y2 = box
    across, down = max((x2 - x1) // 4, 1), max((y2 - y1) // 4, 1)
    ring = np.zeros(heatmap.shape, dtype=bool)
    ring[max(y1 - down, 0) : y2 + down, max(x1 - across, 0) : x2 + across] = True
    ring[y1:y2, x1:x2] = False
    around = heatmap[ring].mean() if ring.any() else 0
    return max(0.0, float(heatmap[y1:y2, x1:x2].mean() - around))


@pytest.mark.parametrize("seed", range(8))
def test_boxes_are_regions_at_the_levels_without_duplicates(seed: int) -> None:
    noise = np.random.default_rng(seed).random((40, 52))
    heatmap = ndimage.gaussian_filter(noise, 3).astype(np.float32)
    heatmap = (heatmap - heatmap.min()) / (heatmap.max() - heatmap.min())
    boxes, scores = distinct_boxes(heatmap, levels=LEVELS)
    candidates = labelled_boxes(heatmap)
    kept = {tuple(int(edge) for edge in box) for box in boxes}
    assert kept <= candidates and len(kept) == len(boxes) and len(candidates) >= 5
    assert (np.diff(scores) <= 0).all() and scores.min() >= 0 and scores.max() <= 1
    overlaps = box_iou(torch.from_numpy(boxes), torch.from_numpy(boxes)).fill_diagonal_(0)
    assert overlaps.max() <= DUPLICATE_IOU + 1e-6
    for left_out in candidates - kept:
        over = box_iou(torch.tensor([left_out], dtype=torch.float32), torch.from_numpy(boxes))[0] > DUPLICATE_IOU - 1e-6
        own = distinctness(heatmap, np.array([left_out], dtype=np.float32))[0]
        assert over.any() and scores[over.numpy()].max() >= own - 1e-6


def test_score_is_heat_inside_less_heat_around() -> None:
    heatmap = np.random.default_rng(0).random((30, 30)).astype(np.float32) / 4
    heatmap[8:16, 8:20] += 0.5
    boxes = [(8, 8, 20, 16), (4, 4, 24, 20), (0, 0, 4, 8), (0, 0, 30, 30), (29, 29, 30, 30)]
    expected = [contrast_of(heatmap, box) for box in boxes]
    np.testing.assert_allclose(distinctness(heatmap, np.array(boxes, dtype=np.float32)), expected, atol=1e-5)
    assert expected[0] > 0.4 and expected[2] < 0.1


def test_the_distinct_object_beats_the_faint_halo_around_it_and_its_hot_spot() -> None:
    heatmap = np.zeros((40, 40), dtype=np.float32)
    heatmap[4:36, 4:36] = 0.3
    heatmap[12:28, 12:28] = 0.8
    heatmap[18:22, 18:22] = 1.0
    boxes, _ = distinct_boxes(heatmap, levels=(0.2, 0.5, 0.9))
    assert boxes[0].tolist() == [12, 12, 28, 28]
    assert len(boxes) == 3


def test_a_map_without_heat_gives_one_box() -> None:
    boxes, scores = distinct_boxes(np.zeros((5, 7), dtype=np.float32), levels=LEVELS)
    assert boxes.tolist() == [[0, 0, 7, 5]] and scores.tolist() == [0]
