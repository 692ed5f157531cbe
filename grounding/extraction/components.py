"""Boxes around what lies above a threshold: connected components, of one threshold or of several.

No single threshold suits every heatmap: of regions above several, the most distinct come first, those that are hotter
inside than just outside, by a summed-area table of the heatmap (Viola and Jones 2001, section 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torchvision.ops import nms

from grounding.geometry import box_area

DUPLICATE_IOU = 0.8  # of two boxes that overlap more, only the better one is kept
CELLS = 128  # a side of the table at most: heatmaps are enlarged from about as many, 112 at 448 pixels and stride 4
MARGIN = 0.25  # of a box's side: how far its surroundings reach


def checked(heatmap: np.ndarray) -> np.ndarray:
    """The heatmap as float32; ValueError where it is not 2-D or empty, or holds NaN."""
    if heatmap.ndim != 2 or heatmap.size == 0:
        raise ValueError(f"a heatmap has shape (H, W) with at least one pixel, got {heatmap.shape}")
    if np.isnan(heatmap).any():
        raise ValueError("the heatmap holds NaN")
    return np.asarray(heatmap, dtype=np.float32)


def boxes_from_heatmap(
    heatmap: np.ndarray, *, relative_threshold: float = 0.5, absolute_threshold: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes around the connected regions where the heatmap is high.

    A pixel is kept where it reaches both `relative_threshold` times the heatmap's maximum and `absolute_threshold`.
    Each 8-connected region of kept pixels gives one box, scored by its highest value; of equals the larger region
    comes first.

    Returns:
        boxes_xyxy (N, 4) float32 in heatmap pixels, x2/y2 exclusive, and scores (N,) float32, best first. N >= 1:
        where nothing passes, the single pixel of the maximum.

    Raises:
        ValueError: heatmap is not 2-D or empty, or holds NaN.
    """
    heatmap = checked(heatmap)
    kept = kept_pixels(heatmap, relative_threshold=relative_threshold, absolute_threshold=absolute_threshold)
    left, top, width, height = cv2.boundingRect(kept.view(np.uint8))
    around = slice(top, top + height), slice(left, left + width)  # of all regions: the rest would only cost time
    count, labels, stats, _ = cv2.connectedComponentsWithStats(kept[around].view(np.uint8), connectivity=8)
    scores = np.full(count, -np.inf, dtype=np.float32)
    # By PyTorch, in place: NumPy's `maximum.at` takes three times as long.
    values, regions = np.require(heatmap[around], requirements=["C", "W"]), torch.from_numpy(labels.ravel()).long()
    torch.from_numpy(scores).scatter_reduce_(0, regions, torch.from_numpy(values.ravel()), "amax")
    scores, stats = scores[1:], stats[1:]  # label 0 is the background
    order = np.lexsort((-stats[:, cv2.CC_STAT_AREA], -scores))
    left_top = stats[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]] + (left, top)
    size = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    boxes = np.concatenate([left_top, left_top + size], axis=1).astype(np.float32)
    return boxes[order], scores[order]


def kept_pixels(heatmap: np.ndarray, *, relative_threshold: float, absolute_threshold: float) -> np.ndarray:
    """(H, W) bool: where the heatmap reaches both thresholds; where it does so nowhere, the pixel of the maximum."""
    highest = heatmap.max()
    kept = heatmap >= max(np.float32(relative_threshold) * highest, np.float32(absolute_threshold))
    if not kept.any():
        kept[np.unravel_index(heatmap.argmax(), heatmap.shape)] = True
    return kept


def distinct_boxes(heatmap: np.ndarray, *, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of the connected regions at every level, less near duplicates, and scores, as `extract` has them."""
    of_levels = [boxes_from_heatmap(heatmap, relative_threshold=level)[0] for level in levels]
    boxes = np.unique(np.concatenate(of_levels), axis=0)
    return without_duplicates(boxes, distinctness(checked(heatmap), boxes))


def distinctness(heatmap: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """(N,) float32 in [0, 1]: the mean heat inside each box less the mean of its surroundings, never below 0."""
    sums = box_sums(heatmap)
    inside = sums.sums(boxes_xyxy) / box_area(boxes_xyxy)
    return np.clip(inside - mean_around(sums, boxes_xyxy), 0, 1).astype(np.float32)


def without_duplicates(boxes_xyxy: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) and scores (N,) float32, best first, less those that overlap a better one by `DUPLICATE_IOU`."""
    kept = nms(torch.from_numpy(boxes_xyxy), torch.from_numpy(scores), DUPLICATE_IOU).numpy()
    return boxes_xyxy[kept], scores[kept]


def reduced(heatmap: np.ndarray, cells: int) -> np.ndarray:
    """The heatmap (H, W) averaged over squares of whole pixels, or of less than one less, at most `cells` a side."""
    height, width = heatmap.shape
    pixels = -(-max(height, width) // cells)
    if pixels == 1:
        return heatmap
    return cv2.resize(heatmap, (-(-width // pixels), -(-height // pixels)), interpolation=cv2.INTER_AREA)


def box_sums(heatmap: np.ndarray) -> BoxSums:
    """Sums over boxes of a heatmap (H, W), of which a large one is reduced first."""
    return BoxSums(reduced(heatmap, CELLS), (heatmap.shape[1], heatmap.shape[0]))


class BoxSums:
    """Sums over boxes of a map that is constant in each cell of a grid.

    The grid of `cells` (h, w) covers `size`, (width, height) in pixels, in which boxes are given. Sums, also `total`,
    that of the whole map, are in units of one pixel's value.
    """

    def __init__(self, cells: np.ndarray, size: tuple[int, int]) -> None:
        height, width = cells.shape
        self._table = np.zeros((height + 1, width + 1))
        np.cumsum(np.cumsum(cells, axis=0, dtype=np.float64), axis=1, out=self._table[1:, 1:])
        self.size = size
        self._scale = np.array([width / size[0], height / size[1]])
        self._pixels_per_cell = 1 / float(self._scale.prod())
        self.total = float(self._table[-1, -1]) * self._pixels_per_cell

    def sums(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """(N,) float64 sums over boxes (N, 4) inside the map, in units of one pixel's value."""
        x1, y1, x2, y2 = (np.asarray(boxes_xyxy, dtype=np.float64) * np.tile(self._scale, 2)).T
        return (self._at(x2, y2) - self._at(x1, y2) - self._at(x2, y1) + self._at(x1, y1)) * self._pixels_per_cell

    def _at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The table between its entries: bilinear, which is exact where cells are constant."""
        column = np.minimum(x.astype(int), self._table.shape[1] - 2)
        row = np.minimum(y.astype(int), self._table.shape[0] - 2)
        right, down = x - column, y - row
        upper = self._table[row, column] * (1 - right) + self._table[row, column + 1] * right
        lower = self._table[row + 1, column] * (1 - right) + self._table[row + 1, column + 1] * right
        return upper * (1 - down) + lower * down


def mean_around(sums: BoxSums, boxes_xyxy: np.ndarray) -> np.ndarray:
    """(N,) mean of the ring around each box, `MARGIN` of a side wide and at least a pixel; 0 where there is none."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    margin = np.maximum(MARGIN * (boxes[:, 2:] - boxes[:, :2]), 1)
    outer = np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
    outer = np.clip(outer, 0, np.tile(sums.size, 2))
    area = box_area(outer) - box_area(boxes)
    return np.divide(sums.sums(outer) - sums.sums(boxes), area, out=np.zeros(len(boxes)), where=area > 1e-9)
