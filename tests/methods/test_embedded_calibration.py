"""Methods without training around the embedded CLIP: what they answer says how likely it is, and stays as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grounding import ModelConfig, load
from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import write_refshapes
from grounding.evaluation.registry import MethodSettings, make_method
from grounding.extraction import ExtractionConfig
from grounding.methods.proposals import ProposalsConfig
from pretraining import calibration


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("scenes") / "data"
    write_refshapes(root, {"train": 1, "val": 1, "test": 1}, seed=5)
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
    write_refshapes(root, {"train": 1, "val": 12, "test": 1}, seed=6)
    calibration.main(root, tmp_path / "fitted.yaml")
    assert set(calibration.yaml.safe_load((tmp_path / "fitted.yaml").read_text())) == {"zero-shot", "gradcam"}
