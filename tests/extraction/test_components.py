"""Regions above thresholds against scipy's labelling and torchvision's IoU; sums over boxes against those of slices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torchvision.ops import box_iou

from grounding.extraction import ExtractionConfig, boxes_from_heatmap, extract
from grounding.extraction.components import DUPLICATE_IOU, BoxSums, box_sums, distinct_boxes, distinctness, reduced

LEVELS = (0.25, 0.4, 0.5, 0.55, 0.75)


def regions_of(heatmap: np.ndarray, threshold: float) -> list[tuple[float, int, tuple[int, ...]]]:
    """(score, area, box_xyxy) of every 8-connected region at or above the threshold, by scipy."""
    labels, _ = ndimage.label(heatmap >= threshold, structure=np.ones((3, 3)))
    regions = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        own = heatmap[rows, columns][labels[rows, columns] == number]
        regions.append((float(own.max()), len(own), (columns.start, rows.start, columns.stop, rows.stop)))
    return regions


@pytest.mark.parametrize("levels", [8, 2**20])
@pytest.mark.parametrize(("relative", "absolute"), [(0.5, 0.0), (0.25, 0.625), (1.0, 0.0), (0.0, 0.875)])
def test_equals_scipys_regions_best_first(levels: int, relative: float, absolute: float) -> None:
    rng = np.random.default_rng(levels)
    for _ in range(12):
        # Few levels make equal scores; a power of two makes every product below exact.
        heatmap = (rng.integers(0, levels, rng.integers(1, 14, 2)) / levels).astype(np.float32)
        heatmap[rng.random(heatmap.shape) < 0.5] = 0
        if heatmap.max() < absolute or heatmap.max() == 0:
            continue
        boxes_xyxy, scores = boxes_from_heatmap(heatmap, relative_threshold=relative, absolute_threshold=absolute)
        assert boxes_xyxy.dtype == scores.dtype == np.float32
        expected = regions_of(heatmap, max(relative * float(heatmap.max()), absolute))
        found = [(float(s), tuple(int(v) for v in box)) for s, box in zip(scores, boxes_xyxy, strict=True)]
        assert sorted(found) == sorted((score, box) for score, _, box in expected)
        area_of = {box: area for _, area, box in expected}
        if len(area_of) == len(expected):  # no two regions share a box, so the areas can be told by it
            keys = [(score, area_of[box]) for score, box in found]
            assert keys == sorted(keys, reverse=True), "by score, then by size of region"


def test_where_nothing_passes_the_hottest_pixel_is_the_box_and_where_nothing_is_hot_the_image():
    heatmap = np.full((6, 9), 0.25, dtype=np.float32)
    heatmap[4, 7] = 0.375
    boxes_xyxy, scores = boxes_from_heatmap(heatmap, absolute_threshold=0.5)
    assert (boxes_xyxy.tolist(), scores.tolist()) == ([[7, 4, 8, 5]], [0.375])
    boxes_xyxy, scores = boxes_from_heatmap(np.zeros((6, 9), dtype=np.float32))
    assert (boxes_xyxy.tolist(), scores.tolist()) == ([[0, 0, 9, 6]], [0])


@pytest.mark.parametrize("method", ["components", "rectangle"])
def test_what_is_no_heatmap_is_refused(method):
    for wrong, said in ((np.zeros((0, 4)), "shape"), (np.zeros((1, 4, 4)), "shape"), (np.full((4, 4), np.nan), "NaN")):
        with pytest.raises(ValueError, match=said):
            extract(wrong.astype(np.float32), ExtractionConfig(method))


def contrast_of(heatmap: np.ndarray, box: tuple[int, ...]) -> float:
    """By masks; only for a box whose quarter sides are whole pixels."""
    x1, y1, x2, y2 = box
    across, down = max((x2 - x1) // 4, 1), max((y2 - y1) // 4, 1)
    ring = np.zeros(heatmap.shape, dtype=bool)
    ring[max(y1 - down, 0) : y2 + down, max(x1 - across, 0) : x2 + across] = True
    ring[y1:y2, x1:x2] = False
    around = heatmap[ring].mean() if ring.any() else 0
    return max(0.0, float(heatmap[y1:y2, x1:x2].mean() - around))


@pytest.mark.parametrize("seed", range(4))
def test_boxes_are_regions_at_the_levels_without_duplicates(seed: int) -> None:
    noise = np.random.default_rng(seed).random((40, 52))
    heatmap = ndimage.gaussian_filter(noise, 3).astype(np.float32)
    heatmap = (heatmap - heatmap.min()) / (heatmap.max() - heatmap.min())
    boxes, scores = distinct_boxes(heatmap, levels=LEVELS)
    candidates = {box for level in LEVELS for _, _, box in regions_of(heatmap, level * heatmap.max())}
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


def test_edges_inside_cells_take_their_share() -> None:
    sums = BoxSums(np.array([[1.0, 10.0], [100.0, 1000.0]]), (8, 4))  # cells of 4 x 2 pixels
    boxes = np.array([[0, 0, 8, 4], [2, 0, 6, 1], [1, 1, 2, 4], [5.5, 2.5, 5.5, 4]])
    expected = [8 * 1111, 2 * 1 + 2 * 10, 1 * 1 + 2 * 100, 0]
    np.testing.assert_allclose(sums.sums(boxes), expected)


def test_a_large_map_is_reduced_to_means() -> None:
    heatmap = np.random.default_rng(0).random((600, 300)).astype(np.float32)
    cells = reduced(heatmap, 100)
    assert cells.shape == (100, 50)
    np.testing.assert_allclose(cells, heatmap.reshape(100, 6, 50, 6).mean(axis=(1, 3)), atol=1e-6)
    assert reduced(heatmap, 600) is heatmap
    sums = box_sums(heatmap)  # to 120 x 60, cells of 5 pixels
    assert sums.sums(np.array([[10, 20, 55, 130]]))[0] == pytest.approx(heatmap[20:130, 10:55].sum(), rel=1e-5)
    assert reduced(heatmap[:131, :7], 64).shape == (44, 3)
