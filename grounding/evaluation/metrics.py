"""The measures, as pure functions on arrays: boxes against boxes, what becomes of a score per phrase, and its worth.

Localisation: Acc@t and mIoU of the best box (Mao et al. 2016, section 6); GIoU (Rezatofighi et al. 2019, section 3).
Pointing accuracy: Zhang et al. 2016, "Top-down Neural Attention by Excitation Backprop", section 4.2, without a
tolerance margin. Recall at k: Plummer et al. 2015, "Flickr30k Entities", section 5. Expected calibration error: Guo et
al. 2017, "On Calibration of Modern Neural Networks", section 2.
"""

from __future__ import annotations

from math import comb

import numpy as np

from grounding.geometry import box_area, box_iou

ACCURACY_THRESHOLDS = (0.25, 0.3, 0.5, 0.7, 0.75, 0.9)
AVERAGED_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # as COCO averages them
RECALL_AT = (1, 5, 10)
BINS = 10


def ious_with(boxes_xyxy: np.ndarray, annotated_xyxy: np.ndarray) -> np.ndarray:
    """(N,) IoU of N predicted boxes with one annotated box (4,)."""
    return box_iou(boxes_xyxy, annotated_xyxy)[:, 0]


def gious_with(boxes_xyxy: np.ndarray, annotated_xyxy: np.ndarray) -> np.ndarray:
    """(N,) generalised IoU in [-1, 1]: the IoU less the empty share of the smallest box around both."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float64).reshape(-1, 4)
    annotated = np.asarray(annotated_xyxy, dtype=np.float64)
    hull = np.concatenate(
        [np.minimum(boxes[:, :2], annotated[:2]), np.maximum(boxes[:, 2:], annotated[2:])], axis=1
    )  # fmt: skip
    ious = ious_with(boxes, annotated)
    union = (box_area(boxes) + box_area(annotated)) / (1 + ious)
    around = box_area(hull)
    return ious - np.divide(around - union, around, out=np.zeros_like(around), where=around > 0)


def hits(ious: np.ndarray, threshold: float | np.ndarray) -> np.ndarray:
    """1.0 where IoU >= threshold, else 0.0: the mean over the best boxes of all phrases is Acc@threshold.

    Example:
        >>> hits(np.array([0.9, 0.5, 0.2, 0.0]), 0.5).mean()
        np.float64(0.5)
    """
    return (ious >= threshold).astype(np.float64)


def recall_at(ious: np.ndarray, k: int, threshold: float = 0.5) -> float:
    """1 where one of the k best boxes of a phrase has IoU >= threshold, else 0; `ious` is (N,), best-scored first.

    Example:
        >>> ious = np.array([0.1, 0.7])
        >>> recall_at(ious, 1), recall_at(ious, 5)
        (0.0, 1.0)
    """
    return float((ious[:k] >= threshold).any())


def expected_recall_at(ious: np.ndarray, k: int, threshold: float = 0.5) -> float:
    """Probability that k of the N boxes, drawn without replacement, hold one with IoU >= threshold."""
    misses = int((ious < threshold).sum())
    return 1 - comb(misses, min(k, len(ious))) / comb(len(ious), min(k, len(ious)))


def point_inside(point_xy: tuple[float, float], box_xyxy: np.ndarray) -> bool:
    """Whether a point lies in the box (4,).

    Example:
        >>> point_inside((4.5, 9.5), np.array([0, 0, 10, 10]))
        True
    """
    (x, y), (x1, y1, x2, y2) = point_xy, box_xyxy
    return bool(x1 <= x < x2 and y1 <= y < y2)


def mass_inside(heatmap: np.ndarray, box_xyxy: np.ndarray) -> float:
    """Share of the heatmap's sum on pixels whose centre lies in the box (4,), in heatmap pixels; 0 for a zero map."""
    # The first centre at or after x1, the first at or after x2: column c has its centre at c + 0.5.
    x1, y1, x2, y2 = (max(0, int(np.ceil(edge - 0.5))) for edge in box_xyxy)
    total = float(heatmap.sum(dtype=np.float64))
    return float(heatmap[y1:y2, x1:x2].sum(dtype=np.float64)) / total if total > 0 else 0.0


def most_overlapped(box_xyxy: np.ndarray, regions_xyxy: np.ndarray) -> int | None:
    """Index of the region (R, 4) with the highest IoU with the box (4,); None where the box overlaps none."""
    if not len(regions_xyxy):
        return None
    ious = ious_with(regions_xyxy, box_xyxy)
    return int(ious.argmax()) if ious.max() > 0 else None


def reliability(scores: np.ndarray, right: np.ndarray) -> list[dict[str, float]]:
    """Mean score beside accuracy, in ten bins of equal width over [0, 1]; empty bins are left out.

    `scores` (P,) are in [0, 1], one on the edge of two bins belongs to the lower one; `right` (P,) is 0 or 1.
    """
    edges = np.linspace(0, 1, BINS + 1)
    bin_of = np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, BINS - 1)
    return [
        {
            "low": float(edges[index]),
            "high": float(edges[index + 1]),
            "n": int((bin_of == index).sum()),
            "score": float(scores[bin_of == index].mean()),
            "accuracy": float(right[bin_of == index].mean()),
        }
        for index in np.unique(bin_of).tolist()
    ]


def expected_calibration_error(scores: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of score and accuracy over the bins of `reliability`, weighted by their counts.

    Example:
        >>> scores, right = np.array([0.95, 0.95, 0.25, 0.25]), np.array([1, 1, 1, 0])
        >>> round(expected_calibration_error(scores, right), 2)
        0.15
    """
    bins = reliability(scores, right)
    return sum(each["n"] * abs(each["score"] - each["accuracy"]) for each in bins) / len(scores)
