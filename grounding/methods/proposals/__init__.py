"""Boxes that may hold something, whatever it is: what a detector finds, for CLIP to choose from.

A detector is asked for by name: the embedded YOLOX, another one in an ONNX file, or a YOLO of ultralytics.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torchvision.ops import nms

from grounding.errors import InputError
from grounding.geometry import box_area

EMBEDDED = "embedded"
EMBEDDED_NAME = "embedded YOLOX"
EMBEDDED_FILE = Path(__file__).parents[2] / "weights" / "embedded_yolox.onnx"


@dataclass(frozen=True, eq=False)
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
        confidence: boxes that score lower are dropped; what ultralytics takes too, and the best for the baseline on
            the validation split of RefShapes.
        iou_threshold: of two boxes that overlap more, of whatever class, only the better one is kept.
        max_proposals: how many boxes to keep at most.
    """

    confidence: float = 0.25
    iou_threshold: float = 0.6
    max_proposals: int = 20

    def __post_init__(self) -> None:
        if not (0 <= self.confidence < 1 and 0 < self.iou_threshold <= 1):
            raise InputError(
                f"proposals.confidence is {self.confidence} and proposals.iou_threshold {self.iou_threshold}: "
                "give the first in [0, 1) and the second in (0, 1]"
            )
        if self.max_proposals < 1:
            raise InputError(f"proposals.max_proposals is {self.max_proposals}: give 1 or more")


@dataclass(frozen=True)
class ProposalsConfig(Selection):
    """Which boxes of which detector.

    Attributes:
        detector: "embedded"; the path of a YOLOX exported to ONNX, which ends in .onnx; or the path of a .pt file or
            the name of a YOLO that ultralytics knows.
    """

    detector: str = EMBEDDED


class Proposer(Protocol):
    """Any detector.

    Attributes:
        name: of the detector, in reports.
        weights: which weights it works with, a sentence for reports.
        sha256: of the weights file, in hexadecimal.
        categories: what kinds of things it knows, in words.
        selection: which of its boxes it proposes.
    """

    name: str
    weights: str
    sha256: str
    categories: str
    selection: Selection

    def propose(self, image: np.ndarray) -> Proposals:
        """What may be an object in one image (H, W, 3) uint8 RGB; possibly nothing."""
        ...


def load_proposer(config: ProposalsConfig, device: str | torch.device = "cpu") -> Proposer:
    """The detector that a configuration names.

    Args:
        config: which detector, and which of its boxes.
        device: where a YOLO of ultralytics goes; a YOLOX runs on the CPU.

    Raises:
        InputError: there is no such detector, its file cannot be used, or its package is not installed.
    """
    from grounding.methods.proposals.ultralytics_yolo import UltralyticsProposer  # which need what stands above
    from grounding.methods.proposals.yolox import YOLOXProposer

    if config.detector == EMBEDDED:
        return YOLOXProposer(EMBEDDED_FILE, config, name=EMBEDDED_NAME)
    if config.detector.lower().endswith(".onnx"):
        return YOLOXProposer(config.detector, config, name=Path(config.detector).name)
    return UltralyticsProposer(config.detector, config, device=device)


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
