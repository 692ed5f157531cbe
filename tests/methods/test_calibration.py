"""Probabilities from scores, the answer that they give, and the file of a run folder."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from grounding.errors import InputError
from grounding.methods.calibration import CALIBRATION_FILE, Calibration, calibrated, read_calibration, save_calibration
from grounding.types import Grounding

CALIBRATION = Calibration(presence=(2.0, -1.0), score=(0.5, 1.5, 0.25), threshold=0.6)


def answer(scores: list[float], presence: float) -> Grounding:
    boxes = np.array([[i, 0, i + 2, 3] for i in range(len(scores))], dtype=np.float32)
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
    expected = [sigmoid(0.5 * logit(score) + 1.5 * logit(0.7) + 0.25) for score in (0.9, 0.3)]
    assert found.scores.tolist() == pytest.approx(expected, rel=1e-5)
    assert found.threshold == 0.6 and found.scores.dtype == np.float32


def test_scores_of_nothing_and_of_all_stay_finite() -> None:
    found = calibrated(answer([1.0, 0.0], 1.0), CALIBRATION)
    assert np.isfinite(found.scores).all() and 0 < found.presence <= 1


def test_the_answer_is_what_reaches_the_threshold() -> None:
    found = calibrated(answer([0.9, 0.8, 0.01], 0.6), CALIBRATION)
    assert found.found_xyxy.tolist() == found.boxes_xyxy[:2].tolist()
    nothing = calibrated(answer([0.9, 0.8, 0.01], 0.1), CALIBRATION)
    assert nothing.found_xyxy.shape == (0, 4) and len(nothing.boxes_xyxy) == 3
    exactly = Calibration((1, 0), (1, 0, 0), threshold=float(np.float32(0.8)))
    assert len(calibrated(answer([0.9, 0.8], 0.5), exactly).found_xyxy) == 2


def test_only_what_is_found_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import grounding.visualization.drawing as drawing

    drawn: list[int] = []
    monkeypatch.setattr(drawing, "draw_boxes", lambda _, boxes, labels: drawn.append(len(boxes)))
    for each in (
        answer([0.9, 0.8, 0.01], 0.6),
        *(calibrated(answer([0.9, 0.8, 0.01], p), CALIBRATION) for p in (0.6, 0.1)),
    ):
        each.save(tmp_path / "a.png")
    assert drawn == [3, 2, 0]


def test_without_a_calibration_the_best_box_is_the_answer() -> None:
    plain = answer([0.9, 0.8], 0.5)
    assert plain.threshold is None and plain.found_xyxy.tolist() == [[0, 0, 2, 3]]


def test_a_run_folder_keeps_it(tmp_path: Path) -> None:
    assert read_calibration(tmp_path) is None
    save_calibration(tmp_path, CALIBRATION)
    assert read_calibration(tmp_path) == CALIBRATION


@pytest.mark.parametrize(
    "content",
    ["presence: [1, 2]", "[", "presence: [1, 0]\nscore: [0, 1, 0]\nthreshold: 0.5",
     "presence: [1, 0]\nscore: [1, .nan, 0]\nthreshold: 0.5", "presence: [1, 0]\nscore: [1, 1, 0]\nthreshold: 1.5"],
    ids=["fields", "yaml", "slope", "nan", "threshold"],
)  # fmt: skip
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, content: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(content)
    with pytest.raises(InputError, match=rf"{CALIBRATION_FILE} is damaged .*: remove it"):
        read_calibration(tmp_path)
