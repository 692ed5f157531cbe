"""A detector proposes boxes, and CLIP chooses among them by their crops, or another method by its heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from grounding.clip.backbone import LoadedCLIP
from grounding.clip.crops import encode_crops
from grounding.clip.encoder import EncodedImages
from grounding.clip.text import TextEncoder
from grounding.extraction.components import box_sums
from grounding.geometry import box_area, heatmap_of_boxes
from grounding.methods.dense import DenseGrounder
from grounding.methods.grounder import EncodingGrounder, Grounder
from grounding.methods.proposals import Proposer
from grounding.runtime.errors import InputError
from grounding.types import Grounding


class ProposalScorer:
    """CLIP's opinion on which box of an image a phrase means."""

    def __init__(self, clip: LoadedCLIP) -> None:
        self.clip = clip
        self.encode_phrases = TextEncoder(clip)

    def encode(self, images: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray]) -> list[Tensor]:
        """Per image (N, E): its boxes (N, 4) as CLIP sees them, to be scored as often as one likes; the crops of all
        images go through CLIP together."""
        return encode_crops(zip(images, boxes_xyxy, strict=True), self.clip.image_tower)

    def score(self, crops: Sequence[Tensor], phrases: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Per image (P, N) float32: of each phrase a distribution over the boxes that `encode` has encoded, by softmax
        at CLIP's temperature."""
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
) -> Grounding:
    """The answer of a method that scores boxes; the best one comes first, of equals the earlier.

    Its heatmap is `geometry.heatmap_of_boxes`.

    Args:
        phrase: what was asked.
        boxes_xyxy: (N, 4) in pixels of the image, N >= 1; in any order.
        scores: (N,) in [0, 1].
        image: (H, W, 3) uint8 RGB.
        no_proposal, presence: as in `Grounding`.

    Example:
        >>> boxes, scores = np.array([[0, 0, 4, 4], [2, 2, 8, 6]]), np.array([0.1, 0.9])
        >>> grounding.grounding_of_boxes("the cup", boxes, scores, np.zeros((10, 12, 3), np.uint8)).boxes_xyxy[0]
        array([2., 2., 8., 6.], dtype=float32)
    """
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes_xyxy[order].astype(np.float32), scores[order].astype(np.float32)
    heatmap = heatmap_of_boxes(boxes, scores, image.shape[:2])
    return Grounding(phrase, boxes, scores, heatmap, image, no_proposal, presence)


@dataclass(frozen=True, eq=False, repr=False)
class EncodedProposals(EncodedImages):
    """Images whose proposals are found, and encoded as crops or, for heatmaps, as a whole."""

    boxes_xyxy: tuple[np.ndarray, ...]  # per image (N, 4), N >= 1
    found: tuple[bool, ...]  # whether these are proposals; else the only one is the whole image
    crops: tuple[Tensor, ...] = ()  # per image (N, E), the boxes as CLIP sees them

    @property
    def nbytes(self) -> int:
        """Bytes that all of it takes."""
        return super().nbytes + sum(each.nbytes for each in self.boxes_xyxy) + sum(each.nbytes for each in self.crops)


class YOLOCLIPGrounder(EncodingGrounder):
    """Answers with the proposal whose crop CLIP finds closest to the phrase.

    Where the detector proposes nothing, the answer is the whole image, marked as `no_proposal`.
    """

    name = "yolo-clip"
    encoded = EncodedProposals

    def __init__(self, proposer: Proposer, scorer: ProposalScorer) -> None:
        self.proposer: Proposer = proposer
        self.scorer, self.clip, self.text = scorer, scorer.clip, scorer.encode_phrases
        self.weights = f"{scorer.clip.weights}; {proposer.weights}"
        self.identity = (self.clip.sha256, str(self.clip.precision), proposer.sha256, str(proposer.config))

    def _encode(self, images: Sequence[np.ndarray]) -> EncodedProposals:
        boxes, found = zip(*(boxes_to_choose_from(self.proposer, image) for image in images), strict=True)
        crops = tuple(self.scorer.encode(images, boxes))
        return EncodedProposals(tuple(images), (), self.identity, boxes, found, crops)

    def _ground_encoded(self, encoded: EncodedProposals, phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        scores = self._probabilities(encoded, phrases)
        # From -1 to 1, brought to 0 to 1: the phrase's cosine with the crop that fits it best.
        cosines = self.scorer.similarities(encoded.crops, phrases)
        presence = [((1 + each.amax(dim=1)) / 2).tolist() for each in cosines]
        return [
            [
                grounding_of_boxes(phrase, encoded.boxes_xyxy[index], scores[index][row], image,
                                   no_proposal=not encoded.found[index], presence=presence[index][row])
                for row, phrase in enumerate(phrases[index])
            ]
            for index, image in enumerate(encoded.images)
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


class OnProposals(EncodingGrounder):
    """Answers with the proposals where another method's heatmap is highest; heatmap and presence stay that method's.

    What learned without boxes where a phrase is has not learned where an object ends, which a detector has: weakly
    supervised grounders answer so (Liu et al. 2019, "Adaptive Reconstruction Network for Weakly Supervised Referring
    Expression Grounding"; Jin et al. 2023, "RefCLIP"). InputError: `maps` makes no heatmap of an image.
    """

    encoded = EncodedProposals

    def __init__(self, maps: Grounder, proposer: Proposer) -> None:
        if not isinstance(maps, DenseGrounder):
            raise InputError(f"{maps.name} makes no heatmap that could choose among a detector's boxes: give +yolo "
                             "after a run, a CLIP or zero-shot")  # fmt: skip
        self.maps, self.clip, self.text = maps, maps.encoder.clip, maps.text
        self.proposer: Proposer = proposer
        self.name = f"{maps.name}+yolo"
        self.weights = f"{maps.weights}; {proposer.weights}"
        self.identity = (*maps.identity, proposer.sha256, str(proposer.config))

    def _encode(self, images: Sequence[np.ndarray]) -> EncodedProposals:
        boxes, found = zip(*(boxes_to_choose_from(self.proposer, image) for image in images), strict=True)
        return EncodedProposals(tuple(images), self.maps._encode(images).views, self.identity, boxes, found)

    def _ground_encoded(self, encoded: EncodedProposals, phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        return [
            [_on_boxes(answer, boxes, no_proposal=not found) for answer in answers]
            for answers, boxes, found in zip(self.maps._ground_encoded(encoded, phrases), encoded.boxes_xyxy,
                                             encoded.found, strict=True)
        ]  # fmt: skip


def _on_boxes(answer: Grounding, boxes_xyxy: np.ndarray, *, no_proposal: bool) -> Grounding:
    """The answer with other boxes (N, 4), the hottest first."""
    heat = heat_of_boxes(answer.heatmap, boxes_xyxy)
    order = np.argsort(-heat, kind="stable")
    return replace(answer, boxes_xyxy=boxes_xyxy[order], scores=heat[order], no_proposal=no_proposal,
                   found=(0,) if answer.found else (), calibrated=False)  # fmt: skip


def heat_of_boxes(heatmap: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """How hot each box (N, 4) of a heatmap (H, W) is, (N,) in [0, 1]: the mean of its highest and of its mean heat.

    The highest alone cannot tell apart boxes that share a peak, and the mean alone likes parts of objects.
    """
    means = box_sums(heatmap).sums(boxes_xyxy) / box_area(boxes_xyxy)
    first, last = np.floor(boxes_xyxy[:, :2]).astype(int), np.ceil(boxes_xyxy[:, 2:]).astype(int)
    peaks = [heatmap[y1:y2, x1:x2].max() for (x1, y1), (x2, y2) in zip(first, last, strict=True)]
    return np.clip((means + peaks) / 2, 0, 1).astype(np.float32)
