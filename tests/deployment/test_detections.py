from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import supervision as sv

from grounding import InputError
from grounding.deployment.detections import to_detections
from grounding.types import Grounding

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
ANSWER = Grounding(
    "the red cup",
    np.array([[5, 6, 20, 30], [30, 10, 50, 35]], dtype=np.float32),
    np.array([0.9, 0.4], dtype=np.float32),
    np.random.default_rng(1).random((40, 60)).astype(np.float32),
    IMAGE,
)


def test_all_of_an_answer_is_there() -> None:
    known = replace(ANSWER, presence=0.3, found=(1,), calibrated=True, warning="doubtful", no_proposal=True)
    detections = to_detections(known)
    np.testing.assert_array_equal(detections.xyxy, ANSWER.boxes_xyxy)
    np.testing.assert_array_equal(detections.confidence, ANSWER.scores)
    assert detections.data["phrase"].tolist() == ["the red cup"] * 2
    assert detections.data["found"].tolist() == [False, True]
    np.testing.assert_array_equal(detections.metadata.pop("heatmap"), ANSWER.heatmap)
    assert detections.metadata == {"presence": 0.3, "calibrated": True, "warning": "doubtful", "no_proposal": True}


def test_the_library_takes_what_it_is_given() -> None:
    detections = to_detections(ANSWER)
    np.testing.assert_allclose(detections.area, [15 * 24, 20 * 25])
    sure = detections[detections.confidence > 0.5]
    assert len(sure) == 1 and sure.data["phrase"].tolist() == ["the red cup"]
    drawn = sv.BoxAnnotator(thickness=1).annotate(IMAGE.copy(), detections)
    changed = np.argwhere((drawn != IMAGE).any(axis=2))
    assert changed[:, 1].min() in (4, 5) and changed[:, 0].min() in (5, 6)


def test_the_library_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InputError, match="pip install supervision"):
        to_detections(ANSWER)
