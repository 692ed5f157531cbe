"""Boxes around what lies above a threshold: connected components, of one threshold or of several.

No single threshold suits every heatmap: of regions above several, the most distinct come first, those that are hotter
inside than just outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torchvision.ops import nms

from grounding.extraction.heat import box_sums, checked, mean_around
from grounding.geometry import box_area

DUPLICATE_IOU = 0.8  # of two boxes that overlap more, only the better one is kept


def boxes_from_heatmap(
    heatmap: np.ndarray, *, relative_threshold: float = 0.5, absolute_threshold: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes around the connected regions where the heatmap is high.

    A pixel is kept where it reaches both `relative_threshold` times the heatmap's maximum and `absolute_threshold`.
    Each 8-connected region of kept pixels gives one box, scored by its highest value; of equals the larger region
    comes first.

    Args:
        heatmap: (H, W) float32 in [0, 1].
        relative_threshold: share of the maximum, in [0, 1].
        absolute_threshold: in [0, 1].

    Returns:
        boxes_xyxy (N, 4) float32 in heatmap pixels, x2/y2 exclusive, and scores (N,) float32, best first. N >= 1:
        where nothing passes, the single pixel of the maximum.

    Raises:
        ValueError: heatmap is not 2-D or empty, or holds NaN.
    """
    heatmap = checked(heatmap)
    kept = kept_pixels(heatmap, relative_threshold=relative_threshold, absolute_threshold=absolute_threshold)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(kept.astype(np.uint8), connectivity=8)
    scores = np.full(count, -np.inf, dtype=np.float32)
    # By PyTorch, in place: NumPy's `maximum.at` takes three times as long.
    values, regions = np.require(heatmap, requirements=["C", "W"]), torch.from_numpy(labels.ravel()).long()
    torch.from_numpy(scores).scatter_reduce_(0, regions, torch.from_numpy(values.ravel()), "amax")
    scores, stats = scores[1:], stats[1:]  # label 0 is the background
    order = np.lexsort((-stats[:, cv2.CC_STAT_AREA], -scores))
    left_top = stats[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]]
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
    """Boxes of the connected regions at every level, scored and without near duplicates.

    Args:
        heatmap: (H, W) float32 in [0, 1].
        levels: thresholds as shares of the maximum, at least one, each in [0, 1].

    Returns:
        boxes_xyxy (N, 4) float32 in heatmap pixels, x2/y2 exclusive, and scores (N,) float32, best first; N >= 1.

    Raises:
        ValueError: heatmap is not 2-D or empty, or holds NaN.
    """
    boxes = candidate_regions(heatmap, levels=levels)
    return without_duplicates(boxes, distinctness(checked(heatmap), boxes))


def candidate_regions(heatmap: np.ndarray, *, levels: Sequence[float]) -> np.ndarray:
    """(N, 4) float32 boxes of the connected regions at every level, each once, in heatmap pixels; N >= 1.

    Raises:
        ValueError: heatmap is not 2-D or empty, or holds NaN.
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
