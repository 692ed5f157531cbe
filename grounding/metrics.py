"""The measures, as pure functions on arrays.

Localisation: Acc@t and mIoU of the best box (Mao et al. 2016, section 6). Pointing accuracy: Zhang et al. 2016,
"Top-down Neural Attention by Excitation Backprop", section 4.2, without a tolerance margin. Recall at k: Plummer et
al. 2015, "Flickr30k Entities", section 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grounding.geometry import box_iou

ACCURACY_THRESHOLDS = (0.25, 0.3, 0.5, 0.7, 0.75, 0.9)
AVERAGED_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # as COCO averages them
RECALL_AT = (1, 5, 10)


def ious_with(boxes_xyxy: np.ndarray, annotated_xyxy: np.ndarray) -> np.ndarray:
    """(N,) IoU of N predicted boxes with one annotated box (4,)."""
    return box_iou(boxes_xyxy, annotated_xyxy)[:, 0]


def accuracy_at(best_ious: np.ndarray, threshold: float) -> float:
    """Acc@threshold: share of phrases whose best box has IoU >= threshold; `best_ious` is (P,)."""
    return float((best_ious >= threshold).mean())


def recall_at(ious: Sequence[np.ndarray], k: int, threshold: float = 0.5) -> float:
    """R@k: share of phrases with one of their k best boxes at IoU >= threshold; `ious` has (N_p,) per phrase."""
    return float(np.mean([(values[:k] >= threshold).any() for values in ious]))


def points_inside(heatmap: np.ndarray, box_xyxy: np.ndarray) -> bool:
    """Whether the centre of the heatmap's first hottest pixel lies in the box (4,), in heatmap pixels."""
    row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    x1, y1, x2, y2 = box_xyxy
    return bool(x1 <= column + 0.5 < x2 and y1 <= row + 0.5 < y2)


def summarise(ious: Sequence[np.ndarray], pointing: Sequence[bool]) -> dict[str, float]:
    """All measures over P phrases, by their names in results.json.

    Args:
        ious: per phrase the (N_p,) IoUs of its boxes, best-scored box first, N_p >= 1.
        pointing: per phrase, whether the heatmap's maximum lies in the annotated box.

    Raises:
        ValueError: there is no phrase.
    """
    if not len(ious):
        raise ValueError("no phrase to measure on")
    best = np.array([values[0] for values in ious])
    metrics = {f"acc@{threshold:g}": accuracy_at(best, threshold) for threshold in ACCURACY_THRESHOLDS}
    metrics["acc@0.5:0.95"] = float(np.mean([accuracy_at(best, threshold) for threshold in AVERAGED_THRESHOLDS]))
    metrics["miou"] = float(best.mean())
    metrics["pointing"] = float(np.mean(pointing))
    metrics.update({f"recall@{k}": recall_at(ious, k) for k in RECALL_AT})
    return metrics
