"""YOLO + CLIP with spatial rules, in the manner of ReCLIP.

Subramanian et al. 2022, "ReCLIP: A Strong Zero-Shot Baseline for Referring Expression Comprehension", section 3: every
noun phrase is scored on the isolated proposals, and rules about the boxes combine the scores as the phrase says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grounding.baselines.spatial_phrases import noun_phrases, parse_spatial_phrase
from grounding.baselines.spatial_rules import combine
from grounding.baselines.yolo_clip import EncodedProposals, YOLOCLIPGrounder


class ReCLIPGrounder(YOLOCLIPGrounder):
    """Answers with the proposal that fits both the noun phrases, by CLIP, and the relations between them, by rules."""

    name = "reclip"

    def _probabilities(self, encoded: EncodedProposals, phrases: Sequence[Sequence[str]]) -> list[np.ndarray]:
        parsed = [[parse_spatial_phrase(phrase) for phrase in asked] for asked in phrases]
        nouns = [
            list(dict.fromkeys(noun for phrase in of_image for noun in noun_phrases(phrase))) for of_image in parsed
        ]
        scores = self.scorer.score(encoded.crops, nouns)
        return [
            np.stack([combine(phrase, dict(zip(names, distributions, strict=True)), boxes) for phrase in of_image])
            for of_image, names, distributions, boxes in zip(parsed, nouns, scores, encoded.boxes_xyxy, strict=True)
        ]
