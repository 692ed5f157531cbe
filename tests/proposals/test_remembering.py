from __future__ import annotations

import numpy as np

from grounding.proposals.remembering import RememberingProposer
from grounding.proposals.types import Proposals
from tests.fake_proposer import FakeProposer


def test_the_same_image_is_asked_about_once() -> None:
    class Counting(FakeProposer):
        asked = 0

        def propose(self, image: np.ndarray) -> Proposals:
            self.asked += 1
            return Proposals(self.boxes_xyxy * self.asked, np.ones(1, dtype=np.float32))

    detector = Counting([(0, 0, 1, 1)])
    remembering = RememberingProposer(detector)
    image = np.zeros((4, 6, 3), dtype=np.uint8)
    first = remembering.propose(image).boxes_xyxy
    np.testing.assert_array_equal(remembering.propose(image.copy()).boxes_xyxy, first)
    assert detector.asked == 1
    for other in (image.reshape(6, 4, 3), image + 1):  # the same bytes in another shape, other bytes
        assert (remembering.propose(other).boxes_xyxy != first).any()
    assert detector.asked == 3
    assert remembering.weights == detector.weights
