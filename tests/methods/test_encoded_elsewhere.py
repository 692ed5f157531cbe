"""An image that one method encoded is not taken by another, whose answer would be wrong in silence."""

from __future__ import annotations

import numpy as np
import pytest

from grounding.errors import InputError
from grounding.methods.reclip import ReCLIPGrounder
from grounding.methods.yolo_clip import ProposalScorer, ScoringConfig, YOLOCLIPGrounder
from tests.fake_proposer import FakeProposer
from tests.tiny_clip import loaded_tiny_clip

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
BOXES = [(0.0, 0.0, 20.0, 20.0), (20.0, 10.0, 60.0, 40.0)]


def test_proposals_go_to_methods_of_the_same_clip_detector_and_views_only() -> None:
    clip = loaded_tiny_clip()
    grounder = YOLOCLIPGrounder(FakeProposer(BOXES), ProposalScorer(clip, ScoringConfig()))
    encoded = grounder.encode(IMAGE)
    [again], [alone] = grounder.ground(encoded, ["a box"]), grounder.ground(IMAGE, ["a box"])
    np.testing.assert_array_equal(again.boxes_xyxy, alone.boxes_xyxy)
    assert ReCLIPGrounder(FakeProposer(BOXES), ProposalScorer(clip, ScoringConfig())).ground(encoded, ["a box"])
    other_detector = FakeProposer(BOXES)
    other_detector.sha256 = "1" * 64
    other_views = ScoringConfig(views=("tight",))
    for proposer, config in ((other_detector, ScoringConfig()), (FakeProposer(BOXES), other_views)):
        with pytest.raises(InputError, match="encoded by a method of another CLIP or detector"):
            YOLOCLIPGrounder(proposer, ProposalScorer(clip, config)).ground(encoded, ["a box"])
