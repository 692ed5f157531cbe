"""Proposals scored by CLIP: the part that every method choosing among boxes shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from grounding.clip_backbone import LoadedCLIP
from grounding.crops import VIEWS, encode_crops_of
from grounding.errors import InputError
from grounding.text import TextEncoder
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
        self._encode_phrases = TextEncoder(clip.model)

    def __call__(
        self, images: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray], phrases: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """Per image (P, N) float32: of each phrase a distribution over the boxes, by softmax at CLIP's temperature.

        Args:
            images: B, each (H, W, 3) uint8 RGB; the crops of all of them go through CLIP together.
            boxes_xyxy: per image (N, 4), N >= 1, in its pixels; each with an area.
            phrases: per image P >= 1 of them.
        """
        crops = encode_crops_of(zip(images, boxes_xyxy, strict=True), self.clip.image_tower, views=self.config.views)
        scale = self.clip.model.logit_scale.exp()
        distributions = []
        for of_image, asked in zip(crops, phrases, strict=True):
            similarity = torch.einsum("pe,vne->pn", self._encode_phrases(asked).embeddings, of_image) / len(of_image)
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


def heatmap_of_boxes(boxes_xyxy: np.ndarray, scores: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A heatmap for a method that has none: each box a dome as high as its score is beside the best one's.

    At its border a dome has half its height. The hottest point is the centre of the best box, and the mass is shared
    out among the boxes by score and area.

    Args:
        boxes_xyxy: (N, 4), best-scored first.
        scores: (N,) in [0, 1].
        shape: (height, width) of the image.

    Returns:
        (H, W) float32 in [0, 1]; the maximum is 1 unless all scores are 0.
    """
    heatmap = np.zeros(shape, dtype=np.float32)
    heights = scores / max(float(scores[0]), np.finfo(np.float32).tiny)
    for (x1, y1, x2, y2), high in zip(boxes_xyxy, heights, strict=True):
        columns, rows = _pixels(x1, x2, shape[1]), _pixels(y1, y2, shape[0])
        across, down = (
            # Less half a pixel, so that the pixel that holds the centre has the full height.
            np.maximum(np.abs(2 * (pixels + 0.5 - start) / (end - start) - 1) - 1 / (end - start), 0)
            for pixels, start, end in ((columns, x1, x2), (rows, y1, y2))
        )
        dome = high * (1 - np.clip(np.maximum(across[None, :], down[:, None]), 0, 1) / 2)
        window = np.ix_(rows, columns)
        heatmap[window] = np.maximum(heatmap[window], dome)
    return heatmap


def _pixels(start: float, end: float, length: int) -> np.ndarray:
    """Indices of the pixels whose centres lie in [start, end): never none, so that a thin box is seen too."""
    first, last = (int(np.ceil(edge - 0.5)) for edge in (start, end))
    if last <= first:
        first = int((start + end) / 2)
        last = first + 1
    return np.arange(max(0, min(first, length - 1)), min(last, length))
