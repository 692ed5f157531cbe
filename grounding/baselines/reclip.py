"""YOLO + CLIP with spatial rules, in the manner of ReCLIP.

Subramanian et al. 2022, "ReCLIP: A Strong Zero-Shot Baseline for Referring Expression Comprehension", section 3: every
noun phrase is scored on the isolated proposals, and rules about the boxes combine the scores as the phrase says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grounding.baselines.spatial_phrases import noun_phrases, parse_spatial_phrase
from grounding.baselines.spatial_rules import combine
from grounding.baselines.yolo_clip import YOLOCLIPGrounder


class ReCLIPGrounder(YOLOCLIPGrounder):
    """Answers with the proposal that fits both the noun phrases, by CLIP, and the relations between them, by rules."""

    name = "reclip"

    def _probabilities(self, image: np.ndarray, boxes_xyxy: np.ndarray, phrases: Sequence[str]) -> np.ndarray:
        parsed = [parse_spatial_phrase(phrase) for phrase in phrases]
        nouns = list(dict.fromkeys(noun for phrase in parsed for noun in noun_phrases(phrase)))
        distributions = dict(zip(nouns, self.scorer(image, boxes_xyxy, nouns), strict=True))
        return np.stack([combine(phrase, distributions, boxes_xyxy) for phrase in parsed])
