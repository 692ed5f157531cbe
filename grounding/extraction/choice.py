"""Boxes from a heatmap, by whichever method is configured."""

from __future__ import annotations

import numpy as np

from grounding.errors import SettingsError
from grounding.extraction.components import boxes_from_heatmap
from grounding.extraction.multi_threshold import distinct_boxes
from grounding.extraction.quality import BoxQualityHead, boxes_by_quality
from grounding.extraction.rectangle import rectangles_from_heatmap
from grounding.extraction.settings import ExtractionConfig


def extract(
    heatmap: np.ndarray, config: ExtractionConfig, quality_head: BoxQualityHead | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes from a heatmap.

    Args:
        heatmap: (H, W) float32 in [0, 1].
        config: the method and its parameters.
        quality_head: for the method "quality".

    Returns:
        boxes_xyxy (N, 4) float32 in heatmap pixels, x2/y2 exclusive, and scores (N,) float32 in [0, 1], best first;
        N >= 1.

    Raises:
        SettingsError: the method is "quality" and there is no head.
        ValueError: heatmap is not 2-D or empty, or holds NaN.
    """
    if config.method == "multi_threshold":
        return distinct_boxes(heatmap, levels=config.levels)
    if config.method == "rectangle":
        return rectangles_from_heatmap(heatmap, offset=config.offset)
    if config.method == "quality":
        return boxes_by_quality(heatmap, required_head(config, quality_head))
    return boxes_from_heatmap(heatmap, relative_threshold=config.relative, absolute_threshold=config.absolute)


def required_head(config: ExtractionConfig, quality_head: BoxQualityHead | None) -> BoxQualityHead:
    """The head that the method "quality" needs.

    Raises:
        SettingsError: there is none.
    """
    if quality_head is None:
        raise SettingsError(
            f"extraction.method is {config.method!r}, which ranks boxes by a network fitted for a trained run: "
            "give another method, or run train.py extraction on the run"
        )
    return quality_head
