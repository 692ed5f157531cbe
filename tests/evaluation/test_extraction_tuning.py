"""The sweep against each setting asked by itself, and the choice from the command line to the loaded run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torchvision.ops import box_iou

import grounding.training.tune_extraction as tuning
from grounding import ModelConfig, RefCOCOg, load
from grounding.data.refcocog import GRefCOCO
from grounding.evaluation.compare_sets import set_answers
from grounding.evaluation.evaluate import evaluate
from grounding.evaluation.extraction_sweep import fit_head, sweep
from grounding.evaluation.fit_calibration import fit_calibration
from grounding.evaluation.registry import MethodSettings, make_method
from grounding.extraction import ExtractionConfig
from grounding.extraction.quality import BoxQualityHead
from grounding.methods.calibration import read_calibration
from grounding.methods.dense import DenseGrounder
from grounding.methods.proposals import ProposalsConfig
from grounding.model.decoder import DecoderConfig
from grounding.training.config import TrainConfig
from grounding.training.train import train
from grounding.training.tune_extraction import GRID, SWEEP_FILE, TuneExtractionConfig, tune_extraction
from grounding.types import Grounding
from tests.scripts import assert_refused, run_script
from tests.toy_data import write_toy_sets

pytestmark = pytest.mark.usefixtures("hardly_fitted")
Capture = pytest.CaptureFixture[str]
CHOSEN, SWEPT, NETWORK = "extraction.yaml", "extraction_sweep.json", "box_quality.safetensors"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run that a test may change."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


class HaloGrounder:
    """Answers with a heatmap whose object is drawn above 0.7 and has a halo of 0.6 around it; its boxes are of no use.

    "red" phrases get the true object, all others the whole image.
    """

    name, weights = "halo", "none"

    def __init__(self, dataset: RefCOCOg) -> None:
        self.boxes = {(each.image_path, each.phrase): each.box_xyxy for each in dataset.expressions}
        self.paths = {self.key(np.array(Image.open(path))): path for path, _ in self.boxes}

    def key(self, image: np.ndarray) -> bytes:
        return image.tobytes()

    def ground_batch(self, images: list[np.ndarray], phrases: list[list[str]]) -> list[list[Grounding]]:
        answers = []
        for image, asked in zip(images, phrases, strict=True):
            path = self.paths[self.key(image)]
            answers.append([self.answer(image, phrase, self.boxes[path, phrase]) for phrase in asked])
        return answers

    def answer(self, image: np.ndarray, phrase: str, box: tuple[float, ...]) -> Grounding:
        x1, y1, x2, y2 = (int(edge) for edge in box)
        heatmap = np.zeros(image.shape[:2], dtype=np.float32)
        heatmap[max(0, y1 - 12) : y2 + 12, max(0, x1 - 12) : x2 + 12] = 0.6
        heatmap[y1:y2, x1:x2] = 0.8 if "red" in phrase else 0.6
        return Grounding(phrase, np.zeros((1, 4), np.float32), np.zeros(1, np.float32), heatmap, image)


def test_each_setting_is_measured_on_the_same_heatmaps(made: Path) -> None:
    dataset = RefCOCOg(made / "data", "train", group_by="image")
    low, high = ExtractionConfig(relative=0.5), ExtractionConfig(relative=0.9)
    measured = sweep(HaloGrounder(dataset), dataset, [low, high])  # type: ignore[arg-type]
    assert list(measured) == [low, high]
    halo, exact = [], []
    for each in dataset.expressions:
        x1, y1, x2, y2 = (int(edge) for edge in each.box_xyxy)
        width, height = Image.open(each.image_path).size
        around = [max(0, x1 - 12), max(0, y1 - 12), min(width, x2 + 12), min(height, y2 + 12)]
        halo.append(float(box_iou(torch.tensor([around]).float(), torch.tensor([each.box_xyxy]))))
        exact.append(1.0 if "red" in each.phrase else halo[-1])
    assert 0 < np.mean(["red" in each.phrase for each in dataset.expressions]) < 1
    for setting, ious in ((low, np.array(halo)), (high, np.array(exact))):
        assert measured[setting]["miou"] == pytest.approx(ious.mean(), abs=1e-6)
        assert measured[setting]["acc@0.5"] == pytest.approx((ious >= 0.5).mean(), abs=1e-6)
        assert measured[setting]["recall@5"] == measured[setting]["acc@0.5"]
        assert measured[setting]["ms_per_phrase"] > 0


def test_a_swept_setting_measures_as_the_grounder_that_has_it(made: Path) -> None:
    dataset = RefCOCOg(made / "data", "val", group_by="image")
    grounder = load(made / "run")
    assert isinstance(grounder, DenseGrounder)
    head = fit_head(grounder, RefCOCOg(made / "data", "train", group_by="image"))
    settings = [ExtractionConfig(method=method) for method in ("components", "multi_threshold", "rectangle", "quality")]
    measured = sweep(grounder, dataset, settings, quality_head=head, images_per_batch=2)
    for setting in settings:
        alone = DenseGrounder(grounder.encoder, grounder.decoder, extraction=setting, quality_head=head, name="a")
        expected = evaluate(alone, dataset)
        for name in ("acc@0.5", "miou", "recall@5"):
            assert measured[setting][name] == pytest.approx(expected[name], abs=1e-4), (setting.method, name)


def test_the_best_is_kept_and_loaded(made: Path, run: Path, capsys: Capture) -> None:
    before = sorted(path.name for path in run.iterdir())
    outcome = run_script(capsys, "train.py", "extraction", "--run", run, "--data", made / "data", "--device", "cpu")
    assert outcome.code == 0, outcome
    swept = json.loads((run / SWEPT).read_text())
    assert len(swept["rows"]) == len(GRID) and {row["extraction"]["method"] for row in swept["rows"]} == {
        "components", "multi_threshold", "rectangle", "quality", "grabcut"}  # fmt: skip
    best = max(swept["rows"], key=lambda row: row["miou"])
    assert swept["best"] == best["extraction"] == yaml.safe_load((run / CHOSEN).read_text())
    assert (run / NETWORK).exists() == (best["extraction"]["method"] == "quality")
    assert set(path.name for path in run.iterdir()) - set(before) <= {CHOSEN, SWEPT, NETWORK}
    assert f"{best['miou']:.3f}" in outcome.out and str(run) in outcome.out
    loaded = load(run, precision="float32")
    assert isinstance(loaded, DenseGrounder)
    measures = evaluate(loaded, RefCOCOg(made / "data", "val", group_by="image"))
    assert measures["miou"] == pytest.approx(best["miou"], abs=1e-4)


def test_quality_is_kept_with_its_network_and_a_new_choice_replaces_it(
    made: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TuneExtractionConfig(run, made / "data", device="cpu", subset=2, fit_images=3, criterion="acc@0.5")
    image = np.array(Image.open(next((made / "data" / "images").iterdir())))

    def tried(*settings: ExtractionConfig) -> DenseGrounder:
        monkeypatch.setattr(tuning, "GRID", settings)
        tune_extraction(config)
        grounder = load(run)
        assert isinstance(grounder, DenseGrounder)
        grounder.ground(image, ["the red box"])
        return grounder

    def contender() -> dict[str, object]:
        return make_method(str(run), MethodSettings(ModelConfig(), ProposalsConfig(), "cpu")).made_from

    made_from = [contender()]
    quality = tried(ExtractionConfig(method="quality"))
    assert quality.extraction.method == "quality" and isinstance(quality.quality_head, BoxQualityHead)
    assert (run / NETWORK).is_file()
    made_from.append(contender())
    rectangle = tried(ExtractionConfig(method="rectangle", offset=0.625))
    assert rectangle.extraction == ExtractionConfig(method="rectangle", offset=0.625)
    assert rectangle.quality_head is None and not (run / NETWORK).exists()
    made_from.append(contender())
    assert json.loads((run / SWEPT).read_text())["fitted on"] == "3 images of train"
    assert all(one != other for one, other in pairwise(made_from)), "else answers are reused"


@pytest.mark.usefixtures("two_settings")
def test_scores_are_calibrated_where_phrases_fit_nothing(made: Path, run: Path, tmp_path: Path) -> None:
    """On the choice's own answers; a choice without such phrases leaves no calibration of another one behind."""
    data = write_toy_sets(Path(shutil.copytree(made / "data", tmp_path / "data")))
    made_from = {}
    for sets, said in (("unc", "scores are calibrated"), (None, "scores are not calibrated: no phrase")):
        table = tune_extraction(TuneExtractionConfig(run, data, device="cpu", sets_split_by=sets))
        assert said in table
        settings = MethodSettings(ModelConfig(), ProposalsConfig(), "cpu")
        made_from[sets] = make_method(str(run), settings).made_from
        calibration = read_calibration(run)
        assert (calibration is None) == (sets is None)
        if calibration is None:
            continue
        grounder = load(run, precision="float32")
        assert isinstance(grounder, DenseGrounder) and grounder.calibration == calibration
        grounder.calibration = None
        several, single = (set_answers(grounder, dataset, images_per_batch=1, workers=0)
                           for dataset in (GRefCOCO(data, "val"), RefCOCOg(data, "val", group_by="image")))  # fmt: skip
        expected = fit_calibration(several, single)
        assert calibration.presence == pytest.approx(expected.presence, abs=1e-2)
        assert calibration.score == pytest.approx(expected.score, abs=1e-2)
    assert made_from["unc"] != made_from[None], "else answers are reused"


def test_the_criterion_chooses(made: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accurate, tight = ExtractionConfig(relative=0.25), ExtractionConfig(relative=0.75)
    common = {"recall@5": 0.5, "ms_per_phrase": 1.0}
    scripted = {accurate: {"acc@0.5": 0.9, "miou": 0.6, **common}, tight: {"acc@0.5": 0.8, "miou": 0.7, **common}}
    monkeypatch.setattr(tuning, "sweep", lambda *_, **__: scripted)
    config = TuneExtractionConfig(run, made / "data", device="cpu")
    for criterion, best in (("miou", tight), ("acc@0.5", accurate)):
        tune_extraction(replace(config, criterion=criterion))  # type: ignore[arg-type]
        loaded = load(run, precision="float32")
        assert isinstance(loaded, DenseGrounder) and loaded.extraction == best


def test_what_cannot_be_used_is_one_sentence(made: Path, run: Path, tmp_path: Path, capsys: Capture) -> None:
    def refused(*arguments: object, fragment: object) -> None:
        assert_refused(run_script(capsys, "train.py", "extraction", *arguments, "--device", "cpu"), fragment)
        assert not (run / SWEEP_FILE).exists() and not (run / CHOSEN).exists()

    data = ("--data", made / "data")
    refused("--run", run, *data, "--split", "test", fragment="split is 'test'")
    refused("--run", run, *data, "--fit_split", "testA", fragment="fit_split is 'testA'")
    refused("--run", run, "--data", tmp_path / "none", fragment=tmp_path / "none")
    refused("--run", tmp_path / "none", *data, fragment=tmp_path / "none")
    refused("--run", "zero-shot", *data, fragment="zero-shot")
    refused("--run", run, *data, "--criterion", "giou", fragment="criterion")
    refused("--run", run, *data, "--subset", "99", fragment="subset is 99")
    (run / CHOSEN).write_text("method: best")
    outcome = run_script(capsys, "evaluate.py", run, *data, "--output", tmp_path / "new")
    assert_refused(outcome, run / CHOSEN, "damaged")
    outcome = run_script(capsys, "train.py", "extraction", "--help")
    assert outcome.code == 0 and "train.py extraction" in outcome.out and "--fit_images" in outcome.out
    assert "train.py extraction RUN" in run_script(capsys, "train.py", "--help").out


@pytest.mark.usefixtures("two_settings")
@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("own_split", [False, True])
def test_the_network_sees_boxes_of_no_image_that_training_did_not(
    made: Path, run: Path, monkeypatch: pytest.MonkeyPatch, reduced: bool, own_split: bool
) -> None:
    whole = RefCOCOg(made / "data", "train", group_by="image", subset=4 if reduced else None)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config.update(subset=4 if reduced else None, seed=0, split="train" if own_split else "val")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    seen: list[set[int]] = []

    def remembered(grounder: DenseGrounder, images: torch.utils.data.Subset, **options: object) -> BoxQualityHead:
        seen.append({images[index].expressions[0].image_id for index in range(len(images))})
        return fit_head(grounder, images, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(tuning, "fit_head", remembered)
    tune_extraction(TuneExtractionConfig(run, made / "data", device="cpu"))
    if not own_split:
        whole = RefCOCOg(made / "data", "train", group_by="image")
    assert seen == [{expression.image_id for expression in whole.expressions}]


@pytest.mark.usefixtures("two_settings")
def test_after_training_without_boxes_no_network_is_fitted_to_any(made: Path, tmp_path: Path) -> None:
    model = ModelConfig(clip=str(made / "clip.pt"), model_size=64, decoder=DecoderConfig(kind="adapters"))
    run = tmp_path / "run"
    train(TrainConfig(made / "data", run, model=model, epochs=1, images_per_batch=2, device="cpu"))
    tune_extraction(TuneExtractionConfig(run, made / "data", device="cpu"))
    swept = {row["extraction"]["method"] for row in json.loads((run / SWEPT).read_text())["rows"]}
    assert swept == {"components"}
