"""Answers as `supervision.Detections`, for the annotators, trackers and exporters of that library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grounding.errors import InputError
from grounding.types import Grounding

if TYPE_CHECKING:
    from supervision import Detections


def to_detections(grounding: Grounding) -> Detections:
    """Boxes and scores as `xyxy` and `confidence`; in `data` the phrase of each box, and whether it is in the answer
    ("found"); all else in `metadata`.

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
        data={"phrase": np.array([grounding.phrase] * count), "found": np.isin(np.arange(count), grounding.found)},
        metadata={name: getattr(grounding, name) for name in ("heatmap", "presence", "calibrated", "warning",
                                                              "no_proposal")},
    )  # fmt: skip
