"""A detector by name: the embedded YOLOX, another one in an ONNX file, or a YOLO of ultralytics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from grounding.errors import InputError
from grounding.proposals.types import Proposer, Selection
from grounding.proposals.ultralytics_yolo import UltralyticsProposer
from grounding.proposals.yolox import YOLOXProposer

EMBEDDED = "embedded"
EMBEDDED_FILE = Path(__file__).parents[1] / "weights" / "embedded_yolox.onnx"


@dataclass(frozen=True)
class ProposalsConfig:
    """Which boxes a detector proposes.

    Attributes:
        detector: "embedded"; the path of a YOLOX exported to ONNX, which ends in .onnx; or the path of a .pt file or
            the name of a YOLO that ultralytics knows.
        confidence: boxes that score lower are dropped; what ultralytics takes too, and the best for the baseline on
            the validation split of RefShapes.
        iou_threshold: of two boxes that overlap more, only the better one is kept.
        max_proposals: how many boxes to keep at most.
    """

    detector: str = EMBEDDED
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


def load_proposer(config: ProposalsConfig, device: str | torch.device = "cpu") -> Proposer:
    """The detector that a configuration names.

    Args:
        config: which detector, and which of its boxes.
        device: where a YOLO of ultralytics goes; a YOLOX runs on the CPU.

    Raises:
        InputError: there is no such detector, its file cannot be used, or its package is not installed.
    """
    selection = Selection(config.confidence, config.iou_threshold, config.max_proposals)
    if config.detector == EMBEDDED:
        return YOLOXProposer(EMBEDDED_FILE, selection, name="embedded YOLOX")
    if config.detector.lower().endswith(".onnx"):
        return YOLOXProposer(config.detector, selection, name=Path(config.detector).name)
    return UltralyticsProposer(config.detector, selection, device=device)
