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
        return self.ground_batch([as_image(image)], [phrases])[0] if phrases else []

    def ground_batch(self, images: Sequence[np.ndarray], phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        """`ground` for several images, each with at least one phrase; all their crops go through CLIP together."""
        boxes, found = zip(*(boxes_to_choose_from(self.proposer, image) for image in images), strict=True)
        probabilities = self._probabilities(images, boxes, phrases)
        return [
            [
                grounding_of_boxes(phrase, of_image, scores, image, no_proposal=not some)
                for phrase, scores in zip(asked, distributions, strict=True)
            ]
            for image, of_image, some, asked, distributions in zip(
                images, boxes, found, phrases, probabilities, strict=True
            )
        ]

    def _probabilities(
        self, images: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray], phrases: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        return self.scorer(images, boxes_xyxy, phrases)


def boxes_to_choose_from(proposer: Proposer, image: np.ndarray) -> tuple[np.ndarray, bool]:
    """(N, 4) proposals, and True; or the whole image as the only box, and False, where there are none."""
    boxes = proposer.propose(image).boxes_xyxy
    if len(boxes):
        return boxes, True
    height, width = image.shape[:2]
    return np.array([[0, 0, width, height]], dtype=np.float32), False
