"""YOLO + CLIP, without any training: a detector proposes boxes, CLIP chooses among them by their crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from grounding.clip.backbone import LoadedCLIP
from grounding.clip.crops import encode_crops
from grounding.clip.text import TextEncoder
from grounding.geometry import heatmap_of_boxes
from grounding.methods.drawings import photograph_warnings
from grounding.methods.grounder import EncodingGrounder
from grounding.methods.proposals import Proposer
from grounding.types import Grounding


class ProposalScorer:
    """CLIP's opinion on which box of an image a phrase means.

    Args:
        clip: the frozen CLIP.
    """

    def __init__(self, clip: LoadedCLIP) -> None:
        self.clip = clip
        self.encode_phrases = TextEncoder(clip)

    def encode(self, images: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray]) -> list[Tensor]:
        """Per image (N, E): its boxes as CLIP sees them, to be scored as often as one likes.

        Args:
            images: B, each (H, W, 3) uint8 RGB; the crops of all of them go through CLIP together.
            boxes_xyxy: per image (N, 4), N >= 1, in its pixels; each with an area.
        """
        return encode_crops(zip(images, boxes_xyxy, strict=True), self.clip.image_tower)

    def score(self, crops: Sequence[Tensor], phrases: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Per image (P, N) float32: of each phrase a distribution over the boxes, by softmax at CLIP's temperature.

        Args:
            crops: per image (N, E), as `encode` gives them.
            phrases: per image P of them, or none.
        """
        scale = self.clip.model.logit_scale.exp()
        return [(scale * each).softmax(dim=1).cpu().numpy() for each in self.similarities(crops, phrases)]

    def similarities(self, crops: Sequence[Tensor], phrases: Sequence[Sequence[str]]) -> list[Tensor]:
        """Per image (P, N) in [-1, 1] the cosine of each phrase with each box."""
        return [
            self.encode_phrases(asked).embeddings @ of_image.T if asked else of_image.new_zeros(0, len(of_image))
            for of_image, asked in zip(crops, phrases, strict=True)
        ]


def grounding_of_boxes(
    phrase: str,
    boxes_xyxy: np.ndarray,
    scores: np.ndarray,
    image: np.ndarray,
    *,
    no_proposal: bool = False,
    presence: float = 1.0,
    warning: str = "",
) -> Grounding:
    """The answer of a method that scores boxes; the best one comes first, of equals the earlier.

    Its heatmap is `geometry.heatmap_of_boxes`.

    Args:
        phrase: what was asked.
        boxes_xyxy: (N, 4) in pixels of the image, N >= 1; in any order.
        scores: (N,) in [0, 1].
        image: (H, W, 3) uint8 RGB.
        no_proposal, presence, warning: as in `Grounding`.

    Example:
        >>> boxes, scores = np.array([[0, 0, 4, 4], [2, 2, 8, 6]]), np.array([0.1, 0.9])
        >>> grounding.grounding_of_boxes("the cup", boxes, scores, np.zeros((10, 12, 3), np.uint8)).boxes_xyxy[0]
        array([2., 2., 8., 6.], dtype=float32)
    """
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes_xyxy[order].astype(np.float32), scores[order].astype(np.float32)
    heatmap = heatmap_of_boxes(boxes, scores, image.shape[:2])
    return Grounding(phrase, boxes, scores, heatmap, image, no_proposal, presence, warning=warning)


@dataclass(frozen=True, eq=False, repr=False)
class EncodedProposals:
    """Images whose proposals are found and encoded, to be asked as often as one likes.

    Attributes:
        images: B originals, each (H, W, 3) uint8 RGB.
        boxes_xyxy: per image (N, 4), N >= 1, in its pixels.
        found: per image, whether these are proposals; else the only one is the whole image.
        crops: per image (N, E), the boxes as CLIP sees them.
        encoded_by: `YOLOCLIPGrounder.identity`.
    """

    images: tuple[np.ndarray, ...]
    boxes_xyxy: tuple[np.ndarray, ...]
    found: tuple[bool, ...]
    crops: tuple[Tensor, ...]
    encoded_by: str

    @property
    def nbytes(self) -> int:
        """Bytes that all of it takes."""
        arrays = sum(each.nbytes for each in (*self.images, *self.boxes_xyxy))
        return arrays + sum(crops.nbytes for crops in self.crops)


class YOLOCLIPGrounder(EncodingGrounder):
    """Answers with the proposal whose crop CLIP finds closest to the phrase.

    Where the detector proposes nothing, the answer is the whole image, marked as `no_proposal`.

    Args:
        proposer: finds boxes without knowing the phrase.
        scorer: chooses among them.
    """

    name = "yolo-clip"
    encoded = EncodedProposals

    def __init__(self, proposer: Proposer, scorer: ProposalScorer) -> None:
        self.proposer = proposer
        self.scorer = scorer
        self.weights = f"{scorer.clip.weights}; {proposer.weights}"

    @property
    def text(self) -> TextEncoder:
        """What reads the phrases, and remembers them."""
        return self.scorer.encode_phrases

    @property
    def identity(self) -> str:
        """What an encoded image depends on besides the image."""
        clip, proposer = self.scorer.clip, self.proposer
        return f"{clip.sha256} {clip.precision} {proposer.sha256} {proposer.config}"

    def _encode(self, images: Sequence[np.ndarray]) -> EncodedProposals:
        boxes, found = zip(*(boxes_to_choose_from(self.proposer, image) for image in images), strict=True)
        return EncodedProposals(tuple(images), boxes, found, tuple(self.scorer.encode(images, boxes)), self.identity)

    def _ground_encoded(self, encoded: EncodedProposals, phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        scores = self._probabilities(encoded, phrases)
        # From -1 to 1, brought to 0 to 1: the phrase's cosine with the crop that fits it best.
        cosines = self.scorer.similarities(encoded.crops, phrases)
        presence = [((1 + each.amax(dim=1)) / 2).tolist() for each in cosines]
        warnings = photograph_warnings(encoded.images, self.scorer.clip, self.proposer)
        return [
            [
                grounding_of_boxes(phrase, encoded.boxes_xyxy[index], scores[index][row], image, warning=warning,
                                   no_proposal=not encoded.found[index], presence=presence[index][row])
                for row, phrase in enumerate(phrases[index])
            ]
            for index, (image, warning) in enumerate(zip(encoded.images, warnings, strict=True))
        ]  # fmt: skip

    def _probabilities(self, encoded: EncodedProposals, phrases: Sequence[Sequence[str]]) -> list[list[np.ndarray]]:
        """Of each image and phrase (N,) in [0, 1]."""
        return [list(each) for each in self.scorer.score(encoded.crops, phrases)]


def boxes_to_choose_from(proposer: Proposer, image: np.ndarray) -> tuple[np.ndarray, bool]:
    """(N, 4) proposals, and True; or the whole image as the only box, and False, where there are none."""
    boxes = proposer.propose(image)
    if len(boxes):
        return boxes, True
    height, width = image.shape[:2]
    return np.array([[0, 0, width, height]], dtype=np.float32), False
