"""What a detector proposes, and the selection that all detectors share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torchvision.ops import nms

from grounding.geometry import box_area


@dataclass(frozen=True)
class Proposals:
    """Boxes of one image that may hold something.

    Attributes:
        boxes_xyxy: (N, 4) float32, pixels of the original image, clipped to it, each with an area; N >= 0.
        scores: (N,) float32 in [0, 1], the highest first.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Selection:
    """Which of a detector's boxes are proposed.

    Attributes:
        confidence: boxes that score lower are dropped.
        iou_threshold: of two boxes that overlap more, of whatever class, only the better one is kept.
        max_proposals: how many to keep at most.
    """

    confidence: float
    iou_threshold: float
    max_proposals: int


class Proposer(Protocol):
    """Any detector.

    Attributes:
        name: of the detector, in reports.
        weights: which weights it works with, a sentence for reports.
        sha256: of the weights file, in hexadecimal.
    """

    name: str
    weights: str
    sha256: str

    def propose(self, image: np.ndarray) -> Proposals:
        """What may be an object in one image (H, W, 3) uint8 RGB."""
        ...


def best_proposals(
    boxes_xyxy: np.ndarray, scores: np.ndarray, image_size: tuple[int, int], selection: Selection
) -> Proposals:
    """The best of a detector's boxes, clipped to the image, after greedy non-maximum suppression.

    Args:
        boxes_xyxy: (M, 4) in pixels of the original image; they may reach past its border.
        scores: (M,) in [0, 1].
        image_size: (width, height) in pixels.
        selection: which of them.
    """
    clipped = np.clip(boxes_xyxy, 0, np.tile(image_size, 2)).astype(np.float32)
    usable = (scores >= selection.confidence) & (box_area(clipped) > 0)
    boxes, usable_scores = clipped[usable], scores[usable].astype(np.float32)
    order = nms(torch.from_numpy(boxes), torch.from_numpy(usable_scores), selection.iou_threshold)
    kept = order[: selection.max_proposals].numpy()
    return Proposals(boxes[kept], usable_scores[kept])
