"""Probabilities from scores, the answer that they give, and the file of a run folder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from grounding.methods.calibration import (
    CALIBRATION_FILE,
    Calibration,
    calibrated,
    found_by,
    read_calibration,
    with_cosines,
)
from grounding.runtime.errors import InputError
from grounding.types import Grounding

CALIBRATION = Calibration(presence=(2.0, -1.0), score=(0.5, 0.25), least_presence=0.4, least_score=0.6)


def answer(scores: list[float], presence: float) -> Grounding:
    boxes = np.array([[4 * i, 0, 4 * i + 2, 3] for i in range(len(scores))], dtype=np.float32)
    image = np.zeros((4, 9, 3), np.uint8)
    return Grounding("x", boxes, np.array(scores, np.float32), np.zeros((4, 9), np.float32), image, presence=presence)


def test_scores_and_presence_become_probabilities() -> None:
    """By the formula, number by number."""

    def logit(p: float) -> float:
        return math.log(p / (1 - p))

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    found = calibrated(answer([0.9, 0.3], 0.7), CALIBRATION)
    assert found.presence == pytest.approx(sigmoid(2 * logit(0.7) - 1))
    expected = [sigmoid(0.5 * logit(score) + 0.25) for score in (0.9, 0.3)]
    assert found.scores.tolist() == pytest.approx(expected, rel=1e-5)
    assert found.scores.dtype == np.float32
    extreme = calibrated(answer([1.0, 0.0], 1.0), CALIBRATION)
    assert np.isfinite(extreme.scores).all() and 0 < extreme.presence <= 1


def test_scores_of_an_uncalibrated_map_are_cosines_in_the_order_of_the_heat() -> None:
    """A raw presence is (1 + cosine) / 2; the best box of every phrase has the heat 1."""
    found = with_cosines(answer([1.0, 0.8, 0.5], 0.62))
    assert found.scores.tolist() == pytest.approx([0.24, 0.192, 0.12], rel=1e-5)
    assert not found.calibrated and found.found == (0,)
    assert with_cosines(answer([1.0, 0.5], 0.4)).scores.tolist() == [0.0, 0.0]  # no cosine is a score below 0
    assert with_cosines(answer([0.0], 0.6)).scores.tolist() == [0.0]


def test_the_answer_is_the_best_box_and_all_as_good_where_anything_fits() -> None:
    """Scores of 0.9, 0.8 and 0.01 are probabilities of 0.79, 0.72 and 0.11."""
    found = calibrated(answer([0.9, 0.8, 0.01], 0.6), CALIBRATION)
    assert found.found == (0, 1) and found.found_xyxy.tolist() == found.boxes_xyxy[:2].tolist()
    assert calibrated(answer([0.3, 0.2], 0.6), CALIBRATION).found == (0,)  # the best is in it, however good
    nothing = calibrated(answer([0.9, 0.8, 0.01], 0.1), CALIBRATION)
    assert nothing.found == () and nothing.found_xyxy.shape == (0, 4) and len(nothing.boxes_xyxy) == 3


def test_two_boxes_on_one_object_are_not_two_objects() -> None:
    boxes = np.array([[0, 0, 10, 10], [3, 0, 13, 10], [8, 0, 18, 10]], np.float32)  # IoU 0.54 and 0.33 with neighbours
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert found_by(boxes, scores, 0.5, CALIBRATION) == (0, 2)  # which overlap by 0.11


GOOD = "presence: [1, 0]\nscore: [1, 0]\nleast_presence: 0.5\nleast_score: 0.5"


@pytest.mark.parametrize(
    "content",
    ["presence: [1, 2]", "[", GOOD.replace("score: [1, 0]", "score: [0, 0]", 1), GOOD.replace("[1, 0]", "[1, .nan]", 1),
     GOOD.replace("0.5", "1.5", 1)],
    ids=["fields", "yaml", "slope", "nan", "least"],
)  # fmt: skip
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, content: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(content)
    with pytest.raises(InputError, match=rf"{CALIBRATION_FILE} is damaged .*: remove it"):
        read_calibration(tmp_path)
