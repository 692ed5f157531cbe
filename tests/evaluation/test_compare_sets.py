"""`evaluate.py sets`: from gRefCOCO's files to a table, the threshold chosen elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from grounding import ModelConfig, load
from grounding.data.refcocog import GRefCOCO
from grounding.evaluation import compare_sets as comparison
from grounding.evaluation.sets import SetAnswer, fit_calibration, set_metrics
from grounding.methods.calibration import Calibration, calibrated
from grounding.runtime.config_io import from_plain
from tests.scripts import assert_refused, run_script
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data, write_toy_sets


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images a split, each with a phrase for both of its objects, one for the first and one for none."""
    root = write_toy_sets(write_toy_data(tmp_path_factory.mktemp("sets") / "toy", {"val": 4, "test": 4}))
    save_tiny_clip(root.parent / "clip.pt")
    return root


def test_measures_are_those_of_the_methods_own_answers(data, tmp_path, capsys, monkeypatch):
    chosen_on = []
    monkeypatch.setattr(comparison, "fit_calibration", lambda found: chosen_on.extend(found) or fit_calibration(found))
    outcome = run_script(capsys, "evaluate.py", "sets", "zero-shot", "--data", data, "--output", tmp_path,
                         "--model.clip", data.parent / "clip.pt", "--device", "cpu")  # fmt: skip
    assert outcome.code == 0, outcome
    [(name, measured)] = json.loads((tmp_path / "sets.json").read_text())["methods"].items()

    grounder = load("zero-shot", model=ModelConfig(clip=str(data.parent / "clip.pt")), precision="float32")
    answers: dict[str, list[SetAnswer]] = {"val": [], "test": []}
    for split, found in answers.items():
        for example in GRefCOCO(data, split):
            for expression in example.expressions:
                [answer] = grounder.ground(example.image, [expression.phrase])
                annotated = np.array(expression.boxes_xyxy).reshape(-1, 4)
                found.append(SetAnswer(answer.boxes_xyxy, answer.scores, annotated, answer.presence, 0, answer.found))
    calibration = fit_calibration(answers["val"])
    own = from_plain(measured["calibration"], Calibration)
    assert own.presence == pytest.approx(calibration.presence, abs=1e-3)
    assert measured["calibrated_on"] == "val"
    assert {each.image_id for each in chosen_on} == {each.image_id for each in GRefCOCO(data, "val").expressions}
    expected, _ = set_metrics([calibrated(each, own) for each in answers["test"]])
    assert measured["metrics"] == pytest.approx(expected, abs=1e-6)
    assert measured["n"] == 12 and name in outcome.out and "AUROC" in outcome.out


def test_a_threshold_is_not_chosen_on_a_test_split(data, tmp_path, capsys):
    outcome = run_script(capsys, "evaluate.py", "sets", "zero-shot", "--data", data, "--output", tmp_path,
                         "--threshold_split", "test")  # fmt: skip
    assert_refused(outcome, "threshold_split is 'test'")


def test_a_clip_by_its_file_is_measured_as_zero_shot_is(data, tmp_path, capsys):
    """Both by raw scores: cosines, which a CLIP's answers have elsewhere, would be calibrated otherwise."""
    clip = data.parent / "clip.pt"
    outcome = run_script(capsys, "evaluate.py", "sets", clip, "zero-shot", "--data", data, "--output", tmp_path,
                         "--model.clip", clip, "--model.inference_sizes", "[64, 96]", "--device", "cpu")  # fmt: skip
    assert outcome.code == 0, outcome
    by_file, by_name = json.loads((tmp_path / "sets.json").read_text())["methods"].values()
    assert by_file["metrics"] == by_name["metrics"] and by_file["calibration"] == by_name["calibration"]
