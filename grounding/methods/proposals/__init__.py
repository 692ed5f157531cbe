"""Boxes that may hold something, whatever it is: what a detector finds, for CLIP to choose from.

A detector is asked for by name: the embedded YOLOX, another one in an ONNX file, or a YOLO of ultralytics.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from grounding.methods.proposals.types import Proposer, Selection
from grounding.methods.proposals.ultralytics_yolo import UltralyticsProposer
from grounding.methods.proposals.yolox import YOLOXProposer

EMBEDDED = "embedded"
EMBEDDED_NAME = "embedded YOLOX"
EMBEDDED_FILE = Path(__file__).parents[2] / "weights" / "embedded_yolox.onnx"


@dataclass(frozen=True)
class ProposalsConfig(Selection):
    """Which boxes of which detector.

    Attributes:
        detector: "embedded"; the path of a YOLOX exported to ONNX, which ends in .onnx; or the path of a .pt file or
            the name of a YOLO that ultralytics knows.
    """

    detector: str = EMBEDDED


def load_proposer(config: ProposalsConfig, device: str | torch.device = "cpu") -> Proposer:
    """The detector that a configuration names.

    Args:
        config: which detector, and which of its boxes.
        device: where a YOLO of ultralytics goes; a YOLOX runs on the CPU.

    Raises:
        InputError: there is no such detector, its file cannot be used, or its package is not installed.
    """
    if config.detector == EMBEDDED:
        return YOLOXProposer(EMBEDDED_FILE, config, name=EMBEDDED_NAME)
    if config.detector.lower().endswith(".onnx"):
        return YOLOXProposer(config.detector, config, name=Path(config.detector).name)
    return UltralyticsProposer(config.detector, config, device=device)
