"""YOLO + CLIP with spatial rules, in the manner of ReCLIP.

Subramanian et al. 2022, "ReCLIP: A Strong Zero-Shot Baseline for Referring Expression Comprehension", section 3: every
noun phrase is scored on the isolated proposals, and rules about the boxes combine the scores as the phrase says
(`spatial_phrases`). Simplified against the authors' program: no "inside" and no "between", superlatives compare with
what CLIP says of the head whether or not relations have narrowed it, and the result is not multiplied with CLIP's
distribution for the whole phrase.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from grounding.geometry import box_area
from grounding.methods.spatial_phrases import SpatialPhrase, noun_phrases, parse_spatial_phrase
from grounding.methods.yolo_clip import EncodedProposals, YOLOCLIPGrounder


class ReCLIPGrounder(YOLOCLIPGrounder):
    """Answers with the proposal that fits both the noun phrases, by CLIP, and the relations between them, by rules."""

    name = "reclip"

    def _probabilities(self, encoded: EncodedProposals, phrases: Sequence[Sequence[str]]) -> list[list[np.ndarray]]:
        parsed = [[parse_spatial_phrase(phrase) for phrase in asked] for asked in phrases]
        nouns = [
            list(dict.fromkeys(noun for phrase in of_image for noun in noun_phrases(phrase))) for of_image in parsed
        ]
        scores = self.scorer.score(encoded.crops, nouns)
        return [
            [combine(phrase, dict(zip(names, distributions, strict=True)), boxes) for phrase in of_image]
            for of_image, names, distributions, boxes in zip(parsed, nouns, scores, encoded.boxes_xyxy, strict=True)
        ]


def relation_matrix(relation: str, boxes_xyxy: np.ndarray) -> np.ndarray:
    """(N, N) bool, [i, j] True where box i stands in the relation to box j: by centres for "left", "right", "above" and
    "below", by areas for "bigger" and "smaller"; equals stand in none."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    x, y = (boxes[:, :2] + boxes[:, 2:]).T / 2
    area = box_area(boxes)
    rank = {"left": x, "right": -x, "above": y, "below": -y, "bigger": -area, "smaller": area}
    return rank[relation][:, None] < rank[relation][None, :]


def combine(phrase: SpatialPhrase, distributions: Mapping[str, np.ndarray], boxes_xyxy: np.ndarray) -> np.ndarray:
    """How likely each box is the one that the phrase means.

    p(i) is proportional to p_head(i), times sum_j p_anchor(j) R[i, j] for every relation R to an anchor, whose own
    p_anchor is made in the same way, times sum_j p_head(j) R[i, j] for every superlative. A rule that would leave no
    box at all (the only box, contradictions) is passed over. `distributions` has for every one of
    `noun_phrases(phrase)` (N,) probabilities of the N >= 1 boxes.
    """
    head = np.asarray(distributions[phrase.head], dtype=np.float64)
    support = [
        relation_matrix(relation, boxes_xyxy) @ combine(anchor, distributions, boxes_xyxy)
        for relation, anchor in phrase.relations
    ]
    support += [relation_matrix(superlative, boxes_xyxy) @ head for superlative in phrase.superlatives]
    combined = head / head.sum()
    for factor in support:
        total = (combined * factor).sum()
        if total > 0:
            combined = combined * factor / total
    return combined
