"""A detector for tests: the same boxes for every image."""

from __future__ import annotations

import numpy as np

from grounding.methods.proposals import Proposals, Selection


class FakeProposer:
    """Proposes the boxes it was given, with falling scores."""

    name, weights, sha256, categories = "fake", "fake detector (no file)", "0" * 64, "squares"
    selection = Selection()

    def __init__(self, boxes_xyxy: list[tuple[float, ...]]) -> None:
        self.boxes_xyxy = np.array(boxes_xyxy, dtype=np.float32).reshape(-1, 4)

    def propose(self, image: np.ndarray) -> Proposals:
        """Whatever the image."""
        return Proposals(self.boxes_xyxy, np.linspace(0.9, 0.1, len(self.boxes_xyxy), dtype=np.float32))
