"""Answers as `supervision.Detections` and back, for the annotators, trackers and exporters of that library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grounding.errors import InputError
from grounding.geometry import heatmap_of_boxes, refuse_no_corners
from grounding.types import Grounding

if TYPE_CHECKING:
    from supervision import Detections

PHRASE = "phrase"  # of `data`, one per box
FOUND = "found"  # of `data`, whether the box is in the answer
HEATMAP = "heatmap"  # of `metadata`, as are these
KEPT = ("presence", "calibrated", "warning", "no_proposal")


def to_detections(grounding: Grounding) -> Detections:
    """Boxes and scores as `xyxy` and `confidence`, the phrase beside each box in `data`, all else in `metadata`.

    Raises:
        InputError: the package supervision is not installed.

    Example:
        >>> [answer] = grounding.load("refshapes").ground("scene.jpg", ["the circle"])
        >>> detections = grounding.to_detections(answer)
        >>> str(detections["phrase"][0]), bool((detections.xyxy == answer.boxes_xyxy).all())
        ('the circle', True)
    """
    try:
        from supervision import Detections
    except ImportError as error:
        raise InputError("the package supervision is missing: pip install supervision") from error
    count = len(grounding.boxes_xyxy)
    return Detections(
        xyxy=grounding.boxes_xyxy.copy(),
        confidence=grounding.scores.copy(),
        class_id=np.zeros(count, dtype=int),
        data={PHRASE: np.array([grounding.phrase] * count), FOUND: np.isin(np.arange(count), grounding.found)},
        metadata={HEATMAP: grounding.heatmap} | {name: getattr(grounding, name) for name in KEPT},
    )


def from_detections(detections: Detections, image: np.ndarray, phrase: str | None = None) -> Grounding:
    """An answer from boxes of any origin, the highest confidence first.

    Args:
        detections: at least one box, in pixels of the image; boxes without confidence have score 1. The heatmap is
            taken from `metadata` where it fits the image, and else made from the boxes (`heatmap_of_boxes`).
        image: (H, W, 3) uint8 RGB.
        phrase: what was asked; else `data["phrase"]` of the best box.

    Raises:
        InputError: there is no box, no phrase, a confidence outside [0, 1], or boxes are no corners in pixels.

    Example:
        >>> import supervision
        >>> detections = supervision.Detections(xyxy=np.array([[2, 2, 8, 6]]), confidence=np.array([0.9]))
        >>> answer = grounding.from_detections(detections, np.zeros((10, 12, 3), np.uint8), "the cup")
        >>> answer.phrase, answer.boxes_xyxy, answer.heatmap.shape
        ('the cup', array([[2., 2., 8., 6.]], dtype=float32), (10, 12))
    """
    if not len(detections):
        raise InputError("the detections hold no box: an answer has at least one")
    confidence = detections.confidence
    scores = np.ones(len(detections)) if confidence is None else np.asarray(confidence)
    if not ((scores >= 0) & (scores <= 1)).all():
        raise InputError("a confidence of the detections is outside [0, 1]: scale them first")
    refuse_no_corners(detections.xyxy)
    if np.abs(detections.xyxy).max() <= 1 < min(image.shape[:2]):
        raise InputError(
            "the boxes of the detections lie within 0 and 1: multiply them by the image's width and height"
        )
    order = np.argsort(-scores, kind="stable")
    boxes_xyxy, scores = (np.asarray(values)[order].astype(np.float32) for values in (detections.xyxy, scores))
    if phrase is None and PHRASE not in detections.data:
        raise InputError('the detections name no phrase: give one, or data["phrase"]')
    asked = str(detections.data[PHRASE][order[0]]) if phrase is None else phrase
    heatmap = detections.metadata.get(HEATMAP)
    if heatmap is None or np.shape(heatmap) != image.shape[:2]:
        heatmap = heatmap_of_boxes(boxes_xyxy, scores, image.shape[:2])
    found = np.flatnonzero(np.asarray(detections.data[FOUND])[order]).tolist() if FOUND in detections.data else [0]
    return Grounding(asked, boxes_xyxy, scores, np.asarray(heatmap), image,
                     found=tuple(found), **{name: detections.metadata[name] for name in KEPT
                                            if name in detections.metadata})  # fmt: skip
