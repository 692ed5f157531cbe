"""Proposals scored by CLIP: the part that every method choosing among boxes shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grounding.clip.backbone import LoadedCLIP
from grounding.clip.crops import VIEWS, encode_crops
from grounding.clip.text import TextEncoder
from grounding.errors import InputError
from grounding.geometry import heatmap_of_boxes
from grounding.types import Grounding


@dataclass(frozen=True)
class ScoringConfig:
    """How CLIP looks at a proposal.

    Attributes:
        views: one or several of "tight", "context" and "blur" (`crops.encode_crops`); of several, the mean
            similarity counts.
    """

    views: tuple[str, ...] = ("context",)

    def __post_init__(self) -> None:
        if not self.views or not set(self.views) <= set(VIEWS):
            raise InputError(f"scoring.views is {list(self.views)}: give one or several of {', '.join(VIEWS)}")


class ProposalScorer:
    """CLIP's opinion on which box of an image a phrase means.

    Args:
        clip: the frozen CLIP.
        config: how it looks at a box.
    """

    def __init__(self, clip: LoadedCLIP, config: ScoringConfig) -> None:
        self.clip = clip
        self.config = config
        self.encode_phrases = TextEncoder(clip)

    def __call__(
        self, images: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray], phrases: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """Per image (P, N) float32: of each phrase a distribution over the boxes, by softmax at CLIP's temperature.

        Args:
            images: B, each (H, W, 3) uint8 RGB; the crops of all of them go through CLIP together.
            boxes_xyxy: per image (N, 4), N >= 1, in its pixels; each with an area.
            phrases: per image P of them, or none.
        """
        return self.score(self.encode(images, boxes_xyxy), phrases)

    def encode(self, images: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray]) -> list[Tensor]:
        """Per image (V, N, E): its boxes as CLIP sees them in V views, to be scored as often as one likes.

        Args:
            images: as for a call.
            boxes_xyxy: as for a call.
        """
        return encode_crops(zip(images, boxes_xyxy, strict=True), self.clip.image_tower, views=self.config.views)

    def score(self, crops: Sequence[Tensor], phrases: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """What a call returns, of boxes that `encode` has seen.

        Args:
            crops: per image (V, N, E).
            phrases: as for a call.
        """
        scale = self.clip.model.logit_scale.exp()
        distributions = []
        for of_image, asked in zip(crops, phrases, strict=True):
            if not asked:
                distributions.append(np.zeros((0, of_image.shape[1]), dtype=np.float32))
                continue
            similarity = torch.einsum("pe,vne->pn", self.encode_phrases(asked).embeddings, of_image) / len(of_image)
            distributions.append((scale * similarity).softmax(dim=1).cpu().numpy())
        return distributions


def grounding_of_boxes(
    phrase: str, boxes_xyxy: np.ndarray, scores: np.ndarray, image: np.ndarray, *, no_proposal: bool = False
) -> Grounding:
    """The answer of a method that scores boxes; the best one comes first, of equals the earlier.

    Args:
        boxes_xyxy: (N, 4), N >= 1.
        scores: (N,) in [0, 1].
    """
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes_xyxy[order].astype(np.float32), scores[order].astype(np.float32)
    heatmap = heatmap_of_boxes(boxes, scores, image.shape[:2])
    return Grounding(phrase, boxes, scores, heatmap, image, no_proposal)
