"""The sweep against each setting asked by itself, the choice from the command line to the loaded run, and a
calibration, which goes with the boxes and the decoder that it was fitted to, and with nothing else."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import yaml

import grounding.training.tune_extraction as tuning
from grounding import ModelConfig, RefCOCOg, load
from grounding.data.refcocog import GRefCOCO
from grounding.evaluation.compare_sets import set_answers
from grounding.evaluation.evaluate import evaluate
from grounding.evaluation.extraction_sweep import fit_head, sweep
from grounding.evaluation.registry import MethodSettings, make_method
from grounding.evaluation.sets import fit_calibration
from grounding.extraction import ExtractionConfig
from grounding.extraction.quality import BoxQualityHead
from grounding.extraction.settings import save_extraction
from grounding.methods.calibration import CALIBRATION_FILE, Calibration, read_calibration, save_calibration
from grounding.methods.dense import DenseGrounder
from grounding.methods.proposals import ProposalsConfig
from grounding.model.decoder import DecoderConfig
from grounding.training.config import TrainConfig
from grounding.training.run_folder import RunFolder
from grounding.training.train import train
from grounding.training.tune_extraction import GRID, SWEEP_FILE, TuneExtractionConfig, tune_extraction
from grounding.webapp.answers import chosen_boxes
from tests.scripts import assert_refused, run_script
from tests.toy_data import write_toy_sets

pytestmark = pytest.mark.usefixtures("hardly_fitted")
Capture = pytest.CaptureFixture[str]
CHOSEN, SWEPT, NETWORK = "extraction.yaml", "extraction_sweep.json", "box_quality.safetensors"


def contender(run: Path) -> dict[str, object]:
    """What the run's answers in a comparison depend on."""
    return make_method(str(run), MethodSettings(ModelConfig(), ProposalsConfig(), "cpu")).made_from


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


@pytest.fixture
def sets(made: Path, tmp_path: Path) -> Path:
    """A copy of the run's data that has sets."""
    return write_toy_sets(Path(shutil.copytree(made / "data", tmp_path / "data")))


def test_a_swept_setting_measures_as_the_grounder_that_has_it(made: Path) -> None:
    dataset = RefCOCOg(made / "data", "val", group_by="image")
    grounder = load(made / "run")
    head = fit_head(grounder, RefCOCOg(made / "data", "train", group_by="image"))
    settings = [ExtractionConfig(method=method) for method in ("components", "multi_threshold", "rectangle", "quality")]
    measured = sweep(grounder, dataset, settings, quality_head=head, images_per_batch=2)
    for setting in settings:
        model = ModelConfig(extraction=setting)
        alone = DenseGrounder(grounder.encoder, grounder.decoder, name="a", model=model, quality_head=head)
        expected = evaluate(alone, dataset)
        for name in ("acc@0.5", "miou", "recall@5"):
            assert measured[setting][name] == pytest.approx(expected[name], abs=1e-4), (setting.method, name)


def test_the_best_is_kept(made: Path, run: Path, capsys: Capture) -> None:
    outcome = run_script(capsys, "train.py", "extraction", "--run", run, "--data", made / "data", "--device", "cpu")
    assert outcome.code == 0, outcome
    swept = json.loads((run / SWEPT).read_text())
    assert len(swept["rows"]) == len(GRID) and {row["extraction"]["method"] for row in swept["rows"]} == {
        "components", "multi_threshold", "rectangle", "quality", "grabcut"}  # fmt: skip
    best = max(swept["rows"], key=lambda row: row["miou"])
    assert swept["best"] == best["extraction"] == yaml.safe_load((run / CHOSEN).read_text())
    assert (run / NETWORK).exists() == (best["extraction"]["method"] == "quality")
    assert f"{best['miou']:.3f}" in outcome.out and str(run) in outcome.out


def test_quality_is_kept_with_its_network_and_a_new_choice_replaces_it(made: Path, run: Path, monkeypatch) -> None:
    config = TuneExtractionConfig(run, made / "data", device="cpu", subset=2, fit_images=3)

    def tried(*settings: ExtractionConfig) -> DenseGrounder:
        monkeypatch.setattr(tuning, "GRID", settings)
        tune_extraction(config)
        return load(run)

    made_from = [contender(run)]
    quality = tried(ExtractionConfig(method="quality"))
    assert quality.extraction.method == "quality" and isinstance(quality.quality_head, BoxQualityHead)
    made_from.append(contender(run))
    chosen = ExtractionConfig(method="rectangle", offset=0.625)
    rectangle = tried(chosen)
    assert rectangle.extraction == chosen and rectangle.quality_head is None and not (run / NETWORK).exists()
    made_from.append(contender(run))
    assert json.loads((run / SWEPT).read_text())["fitted on"] == "3 images of train"
    assert all(one != other for one, other in pairwise(made_from)), "else answers are reused"


@pytest.mark.usefixtures("two_settings")
def test_scores_are_calibrated_where_phrases_fit_nothing(run: Path, sets: Path) -> None:
    """On the choice's own answers; a choice without such phrases leaves no calibration of another one behind."""
    made_from = {}
    for split_by, said in (("unc", "scores are calibrated"), (None, "scores are not calibrated: no phrase")):
        table = tune_extraction(TuneExtractionConfig(run, sets, device="cpu", sets_split_by=split_by))
        assert said in table
        made_from[split_by] = contender(run)
        calibration = read_calibration(run)
        assert (calibration is None) == (split_by is None)
        if calibration is None:
            continue
        grounder = load(run, precision="float32")
        assert grounder.calibration == calibration
        grounder.calibration = None
        several, single = (set_answers(grounder, dataset, images_per_batch=1, workers=0)
                           for dataset in (GRefCOCO(sets, "val"), RefCOCOg(sets, "val", group_by="image")))  # fmt: skip
        expected = fit_calibration(several, single)
        assert calibration.presence == pytest.approx(expected.presence, abs=1e-2)
        assert calibration.score == pytest.approx(expected.score, abs=1e-2)
    assert made_from["unc"] != made_from[None], "else answers are reused"


def test_what_cannot_be_used_is_one_sentence(made: Path, run: Path, tmp_path: Path, capsys: Capture) -> None:
    def refused(*arguments: object, fragment: object) -> None:
        assert_refused(run_script(capsys, "train.py", "extraction", *arguments, "--device", "cpu"), fragment)
        assert not (run / SWEEP_FILE).exists() and not (run / CHOSEN).exists()

    data = ("--data", made / "data")
    refused("--run", run, *data, "--split", "test", fragment="split is 'test'")
    refused("--run", "zero-shot", *data, fragment="zero-shot")
    refused("--run", run, *data, "--subset", "99", fragment="subset is 99")
    (run / CHOSEN).write_text("method: best")
    outcome = run_script(capsys, "evaluate.py", run, *data, "--output", tmp_path / "new")
    assert_refused(outcome, run / CHOSEN, "damaged")


@pytest.mark.usefixtures("two_settings")
def test_the_network_sees_boxes_of_no_image_that_training_did_not(made: Path, run: Path, monkeypatch) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, "subset": 2, "seed": 1, "split": "val"}))
    seen: list[set[int]] = []

    def remembered(grounder: DenseGrounder, images: torch.utils.data.Subset, **options: object) -> BoxQualityHead:
        seen.append({images[index].expressions[0].image_id for index in range(len(images))})
        return fit_head(grounder, images, **options)

    monkeypatch.setattr(tuning, "fit_head", remembered)
    tune_extraction(TuneExtractionConfig(run, made / "data", device="cpu"))
    trained_on = RefCOCOg(made / "data", "val", group_by="image", subset=2, seed=1)
    assert seen == [{expression.image_id for expression in trained_on.expressions}]


@pytest.mark.usefixtures("two_settings")
def test_after_training_without_boxes_no_network_is_fitted_to_any(made: Path, tmp_path: Path) -> None:
    model = ModelConfig(clip=str(made / "clip.pt"), model_size=64, decoder=DecoderConfig(kind="adapters"))
    run = tmp_path / "run"
    train(TrainConfig(made / "data", run, model=model, epochs=1, images_per_batch=2, device="cpu"))
    tune_extraction(TuneExtractionConfig(run, made / "data", device="cpu"))
    swept = {row["extraction"]["method"] for row in json.loads((run / SWEPT).read_text())["rows"]}
    assert swept == {"components"}


CALIBRATION = Calibration(presence=(1.0, 0.0), score=(1.0, 0.0), least_presence=0.5, least_score=0.5)


def test_it_is_read_beside_a_choice_of_boxes_only(run: Path) -> None:
    save_calibration(run, CALIBRATION)
    assert load(run).calibration is None
    save_extraction(run, ExtractionConfig())
    assert load(run).calibration == CALIBRATION


def test_a_better_epoch_ends_it(tmp_path: Path) -> None:
    folder = RunFolder(TrainConfig(tmp_path, tmp_path / "run"))
    save_calibration(tmp_path / "run", CALIBRATION)
    with folder:
        folder.save_decoder(torch.nn.Linear(2, 2), clip_sha256="0")
    assert not (tmp_path / "run" / CALIBRATION_FILE).exists()


@pytest.mark.usefixtures("two_settings")
def test_a_choice_that_is_killed_leaves_none_of_other_boxes(run: Path, sets: Path, monkeypatch) -> None:
    save_calibration(run, CALIBRATION)
    monkeypatch.setattr(tuning, "save_extraction", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        tune_extraction(TuneExtractionConfig(run, sets, device="cpu", sets_split_by="unc"))
    assert read_calibration(run) is None


def test_no_image_that_the_run_was_trained_on_has_a_say(run: Path, sets: Path) -> None:
    config = TuneExtractionConfig(run, sets, sets_split_by="unc")
    train_split, val = (RefCOCOg(sets, split, group_by="image") for split in ("train", "val"))

    def asked(trained_on: RefCOCOg) -> set[int]:
        found = tuning._sets_of(config, val, trained_on)
        return {found[index].expressions[0].image_id for index in range(len(found))}

    assert asked(train_split) == {each.image_id for each in GRefCOCO(sets, "val").expressions}
    assert asked(val) == set()


def test_boxes_made_in_another_way_on_the_page_are_not_judged_by_it(made: Path) -> None:
    grounder = load(made / "run")
    [answer] = grounder.ground(np.zeros((9, 9, 3), np.uint8), ["a box"])
    two = replace(answer, boxes_xyxy=np.ones((2, 4)), scores=np.ones(2), found=(0, 1))
    assert chosen_boxes(two, grounder, None).found == (0, 1)
    assert chosen_boxes(two, grounder, ExtractionConfig("rectangle", offset=0.3)).found == (0,)
