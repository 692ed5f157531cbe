from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import supervision as sv

from grounding import InputError
from grounding.deployment.detections import from_detections, to_detections
from grounding.types import Grounding

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
ANSWER = Grounding(
    "the red cup",
    np.array([[5, 6, 20, 30], [30, 10, 50, 35]], dtype=np.float32),
    np.array([0.9, 0.4], dtype=np.float32),
    np.random.default_rng(1).random((40, 60)).astype(np.float32),
    IMAGE,
)


def test_there_and_back() -> None:
    known = replace(ANSWER, presence=0.3, found=(0, 1), calibrated=True, warning="doubtful", no_proposal=True)
    again = from_detections(to_detections(known), IMAGE)
    assert again.calibrated and again.no_proposal and again.warning == "doubtful"
    assert again.phrase == ANSWER.phrase and (again.presence, again.found) == (0.3, (0, 1))
    for name in ("boxes_xyxy", "scores", "heatmap", "image"):
        np.testing.assert_array_equal(getattr(again, name), getattr(ANSWER, name))


def test_the_library_takes_what_it_is_given() -> None:
    detections = to_detections(ANSWER)
    np.testing.assert_allclose(detections.area, [15 * 24, 20 * 25])
    sure = detections[detections.confidence > 0.5]
    assert len(sure) == 1 and sure.data["phrase"].tolist() == ["the red cup"]
    drawn = sv.BoxAnnotator(thickness=1).annotate(IMAGE.copy(), detections)
    changed = np.argwhere((drawn != IMAGE).any(axis=2))
    assert changed[:, 1].min() in (4, 5) and changed[:, 0].min() in (5, 6)


def test_what_is_found_stays_with_its_box_when_others_are_filtered_out() -> None:
    detections = to_detections(replace(ANSWER, found=(1,)))
    assert from_detections(detections[detections.confidence < 0.5], IMAGE).found == (0,)
    assert from_detections(detections[detections.confidence > 0.5], IMAGE).found == ()
    assert from_detections(detections[[1, 0]], IMAGE).found == (1,)


def test_boxes_of_another_origin() -> None:
    boxes = np.array([[30, 10, 50, 35], [5, 6, 20, 30]], dtype=float)
    answer = from_detections(sv.Detections(xyxy=boxes, confidence=np.array([0.2, 0.8])), IMAGE, "a cup")
    np.testing.assert_array_equal(answer.boxes_xyxy, boxes[::-1])
    np.testing.assert_allclose(answer.scores, [0.8, 0.2])
    assert answer.heatmap.shape == (40, 60)
    y, x = np.unravel_index(answer.heatmap.argmax(), (40, 60))
    assert 5 <= x < 20 and 6 <= y < 30, "hottest in the best box"
    assert from_detections(sv.Detections(xyxy=boxes), IMAGE, "a cup").scores.tolist() == [1, 1]


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    box = np.array([[5, 6, 20, 30]], dtype=float)
    for detections, phrase, fragment in (
        (sv.Detections.empty(), "a cup", "no box"),
        (sv.Detections(xyxy=box), None, "no phrase"),
        (sv.Detections(xyxy=box, confidence=np.array([1.5])), "a cup", "outside"),
    ):
        with pytest.raises(InputError, match=fragment):
            from_detections(detections, IMAGE, phrase)
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InputError, match="pip install supervision"):
        to_detections(ANSWER)
