"""A detector for tests: the same boxes for every image."""

from __future__ import annotations

import numpy as np

from grounding.methods.proposals import ProposalsConfig


class FakeProposer:
    """Proposes the boxes it was given."""

    name, weights, sha256, categories = "fake", "fake detector (no file)", "0" * 64, "squares"
    config = ProposalsConfig()

    def __init__(self, boxes_xyxy: list[tuple[float, ...]]) -> None:
        self.boxes_xyxy = np.array(boxes_xyxy, dtype=np.float32).reshape(-1, 4)

    def propose(self, image: np.ndarray) -> np.ndarray:
        """Whatever the image."""
        return self.boxes_xyxy
