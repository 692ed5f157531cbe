"""YOLO + CLIP, without any training: a detector proposes boxes, CLIP chooses among them by their crops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grounding.baselines.proposal_clip import ProposalScorer, grounding_of_boxes
from grounding.encoder import ImageLike, as_image
from grounding.proposals.types import Proposer
from grounding.types import Grounding


class YOLOCLIPGrounder:
    """Answers with the proposal whose crop CLIP finds closest to the phrase.

    Where the detector proposes nothing, the answer is the whole image, marked as `no_proposal`.

    Args:
        proposer: finds boxes without knowing the phrase.
        scorer: chooses among them.
    """

    name = "yolo-clip"

    def __init__(self, proposer: Proposer, scorer: ProposalScorer) -> None:
        self.proposer = proposer
        self.scorer = scorer
        self.weights = f"{scorer.clip.weights}; {proposer.weights}"

    def ground(self, image: ImageLike, phrases: Sequence[str]) -> list[Grounding]:
        """The proposals in the order of their probabilities, per phrase; image and phrases are encoded once."""
        pixels = as_image(image)
        boxes, found = boxes_to_choose_from(self.proposer, pixels)
        if not phrases:
            return []
        probabilities = self._probabilities(pixels, boxes, phrases)
        return [
            grounding_of_boxes(phrase, boxes, scores, pixels, no_proposal=not found)
            for phrase, scores in zip(phrases, probabilities, strict=True)
        ]

    def ground_batch(self, images: Sequence[np.ndarray], phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        """`ground` for each image; the crops of one image are a batch already."""
        return [self.ground(image, asked) for image, asked in zip(images, phrases, strict=True)]

    def _probabilities(self, image: np.ndarray, boxes_xyxy: np.ndarray, phrases: Sequence[str]) -> np.ndarray:
        return self.scorer(image, boxes_xyxy, phrases)


def boxes_to_choose_from(proposer: Proposer, image: np.ndarray) -> tuple[np.ndarray, bool]:
    """(N, 4) proposals, and True; or the whole image as the only box, and False, where there are none."""
    boxes = proposer.propose(image).boxes_xyxy
    if len(boxes):
        return boxes, True
    height, width = image.shape[:2]
    return np.array([[0, 0, width, height]], dtype=np.float32), False
