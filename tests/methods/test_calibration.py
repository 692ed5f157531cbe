"""Probabilities from scores, the answer that they give, a run folder's file, and those around the embedded CLIP."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from grounding import ModelConfig, load
from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import write_refshapes
from grounding.evaluation.registry import MethodSettings, make_method
from grounding.extraction import ExtractionConfig
from grounding.methods.calibration import (
    CALIBRATION_FILE,
    Calibration,
    calibrated,
    found_by,
    read_calibration,
    with_cosines,
)
from grounding.methods.proposals import ProposalsConfig
from grounding.runtime.errors import InputError
from grounding.types import Example, Grounding
from pretraining import calibration

CALIBRATION = Calibration(presence=(2.0, -1.0), score=(0.5, 0.25), least_presence=0.4, least_score=0.6)


def answer(scores: list[float], presence: float) -> Grounding:
    boxes = np.array([[4 * i, 0, 4 * i + 2, 3] for i in range(len(scores))], dtype=np.float32)
    image = np.zeros((4, 9, 3), np.uint8)
    return Grounding("x", boxes, np.array(scores, np.float32), np.zeros((4, 9), np.float32), image, presence=presence)


def test_scores_and_presence_become_probabilities() -> None:
    """A slope is a power of the odds, and an intercept a factor of e."""
    found = calibrated(answer([0.9, 0.3], 0.7), CALIBRATION)
    odds = np.array([(7 / 3) ** 2 / math.e, 9**0.5 * math.e**0.25, (3 / 7) ** 0.5 * math.e**0.25])
    assert [found.presence, *found.scores] == pytest.approx((odds / (1 + odds)).tolist(), rel=1e-5)
    assert found.scores.dtype == np.float32
    extreme = calibrated(answer([1.0, 0.0], 1.0), CALIBRATION)
    assert np.isfinite(extreme.scores).all() and 0 < extreme.presence <= 1


def test_scores_of_an_uncalibrated_map_are_cosines_in_the_order_of_the_heat() -> None:
    """A raw presence is (1 + cosine) / 2; the best box of every phrase has the heat 1."""
    found = with_cosines(answer([1.0, 0.8, 0.5], 0.62))
    assert found.scores.tolist() == pytest.approx([0.24, 0.192, 0.12], rel=1e-5)
    assert not found.calibrated and found.found == (0,)
    assert with_cosines(answer([1.0, 0.5], 0.4)).scores.tolist() == [0.0, 0.0]  # no cosine is a score below 0


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


@pytest.mark.parametrize("content", ["[", GOOD.replace("score: [1, 0]", "score: [0, 0]"), GOOD.replace("0.5", "1.5")])
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, content: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(content)
    with pytest.raises(InputError, match=rf"{CALIBRATION_FILE} is damaged .*: remove it"):
        read_calibration(tmp_path)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    root = tmp_path_factory.mktemp("scenes") / "data"
    write_refshapes(root, train=1, val=1, test=1, seed=5)
    return RefCOCOg(root, "test", group_by="image")[0]


@pytest.mark.parametrize("name", ["zero-shot", "gradcam"])
def test_boxes_and_their_order_are_those_of_the_raw_heat(name: str, example) -> None:
    grounder, raw = load(name), load(name)
    raw.raw_scores = True
    phrases = [*example.phrases, "the red car"]
    for told, before in zip(grounder.ground(example.image, phrases), raw.ground(example.image, phrases), strict=True):
        np.testing.assert_array_equal(told.boxes_xyxy, before.boxes_xyxy)
        np.testing.assert_array_equal(told.heatmap, before.heatmap)
        assert told.found == before.found == (0,)
        assert before.scores[0] > 0.9 and told.scores[0] < 0.5  # it is right less often than not
        assert (np.diff(told.scores) <= 0).all()
        assert told.calibrated and 0 < told.presence < 1 and not before.calibrated


@pytest.mark.parametrize("model", [ModelConfig(extraction=ExtractionConfig("multi_threshold")),
                                   ModelConfig(spatial_rules=True)])  # fmt: skip
def test_another_way_to_boxes_is_not_what_was_calibrated(model: ModelConfig, example) -> None:
    [answer] = load("zero-shot", model=model).ground(example.image, ["the red circle"])
    assert not answer.calibrated and answer.scores[0] == pytest.approx(max(0, 2 * answer.presence - 1), rel=1e-5)


def test_a_comparison_measures_the_raw_scores(example) -> None:
    settings = MethodSettings(ModelConfig(), ProposalsConfig(), "cpu")
    [answers] = make_method("zero-shot", settings).answer([example])
    assert all(answer.scores[0] > 0.9 and not answer.calibrated for answer in answers)


def test_the_file_is_the_one_that_its_command_writes(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_refshapes(root, train=1, val=12, test=1, seed=6)
    calibration.main(root, tmp_path / "fitted.yaml")
    assert set(calibration.yaml.safe_load((tmp_path / "fitted.yaml").read_text())) == {"zero-shot", "gradcam"}
