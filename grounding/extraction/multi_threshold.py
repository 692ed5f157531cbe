"""Regions above several thresholds, the most distinct first: no single threshold suits every heatmap.

Distinct is a box that is hotter inside than just outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.ops import nms

from grounding.extraction.components import boxes_from_heatmap
from grounding.extraction.heat import box_sums, checked, mean_around
from grounding.geometry import box_area

DUPLICATE_IOU = 0.8  # of two boxes that overlap more, only the better one is kept


def distinct_boxes(heatmap: np.ndarray, *, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of the connected regions at every level, scored and without near duplicates.

    Args:
        heatmap: (H, W) float32 in [0, 1].
        levels: thresholds as shares of the maximum, at least one, each in [0, 1].

    Returns:
        boxes_xyxy (N, 4) float32 in heatmap pixels, x2/y2 exclusive, and scores (N,) float32, best first; N >= 1.

    Raises:
        ValueError: heatmap is not 2-D or empty, or holds NaN; a level is outside [0, 1], or there is none.
    """
    boxes = candidate_regions(heatmap, levels=levels)
    return without_duplicates(boxes, distinctness(checked(heatmap), boxes))


def candidate_regions(heatmap: np.ndarray, *, levels: Sequence[float]) -> np.ndarray:
    """(N, 4) float32 boxes of the connected regions at every level, each once, in heatmap pixels; N >= 1.

    Raises:
        ValueError: heatmap is not 2-D or empty, or holds NaN; a level is outside [0, 1], or there is none.
    """
    boxes = [boxes_from_heatmap(heatmap, relative_threshold=level)[0] for level in levels]
    return np.unique(np.concatenate(boxes), axis=0)


def distinctness(heatmap: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """(N,) float32 in [0, 1]: the mean heat inside each box less the mean of its surroundings, never below 0."""
    sums = box_sums(heatmap)
    inside = sums.sums(boxes_xyxy) / box_area(boxes_xyxy)
    return np.clip(inside - mean_around(sums, boxes_xyxy), 0, 1).astype(np.float32)


def without_duplicates(boxes_xyxy: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (N, 4) and scores (N,) float32, best first, less those that overlap a better one by `DUPLICATE_IOU`."""
    kept = nms(torch.from_numpy(boxes_xyxy), torch.from_numpy(scores), DUPLICATE_IOU).numpy()
    return boxes_xyxy[kept], scores[kept]
