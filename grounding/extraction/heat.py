"""Sums of a heatmap over boxes, many at once, from a summed-area table (Viola and Jones 2001, section 2.1)."""

from __future__ import annotations

import cv2
import numpy as np

from grounding.geometry import box_area

CELLS = 128  # a side of the table at most: heatmaps are enlarged from about as many, 112 at 448 pixels and stride 4
MARGIN = 0.25  # of a box's side: how far its surroundings reach


def checked(heatmap: np.ndarray) -> np.ndarray:
    """The heatmap as float32.

    Raises:
        ValueError: it is not 2-D or empty, or holds NaN.
    """
    if heatmap.ndim != 2 or heatmap.size == 0:
        raise ValueError(f"a heatmap has shape (H, W) with at least one pixel, got {heatmap.shape}")
    if np.isnan(heatmap).any():
        raise ValueError("the heatmap holds NaN")
    return np.asarray(heatmap, dtype=np.float32)


def reduced(heatmap: np.ndarray, cells: int) -> np.ndarray:
    """The heatmap (H, W) averaged over squares of whole pixels, at most `cells` of them a side.

    Where the pixels do not divide evenly, the squares are shrunk by less than one pixel a side.
    """
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

    Args:
        cells: (h, w) value of each cell.
        size: (width, height) in pixels that the grid covers: boxes are given in these.

    Attributes:
        size: as given.
        total: sum of the whole map, in units of one pixel's value.
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
