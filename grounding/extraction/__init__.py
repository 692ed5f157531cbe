"""Heatmap to boxes: heatmap (H, W) float32 in [0, 1] -> boxes_xyxy (N, 4) and scores (N,) float32, best first."""

from grounding.extraction.components import boxes_from_heatmap
from grounding.extraction.settings import ExtractionConfig, extract

__all__ = ["ExtractionConfig", "boxes_from_heatmap", "extract"]
