"""train.py, evaluate.py and visualize.py on real photographs in RefCOCOg's own layout."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from grounding import RefCOCOg, load
from tests.scripts import run_script
from tests.shared_data import SHARED_DATA, needs_shared_data
from tests.tiny_clip import random_rn50

Capture = pytest.CaptureFixture[str]
REFCOCOG_MINI, COCO_PHOTOS, WEAK_PAIRS = "refcocog-mini", "coco-photos", "refcocog-weak-pairs"


@pytest.fixture(scope="module")
def rn50(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of the size of RN50, its weights random."""
    path = tmp_path_factory.mktemp("rn50") / "random_rn50.pt"
    torch.save(random_rn50().state_dict(), path)
    return path


def sentences_in(data: str, split_by: str, split: str) -> int:
    with (SHARED_DATA / data / "annotations" / f"refs({split_by}).p").open("rb") as file:
        return sum(len(ref["sentences"]) for ref in pickle.load(file) if ref["split"] == split)


@needs_shared_data(REFCOCOG_MINI)
def test_with_the_embedded_clip(tmp_path, capsys):
    """Trains for one epoch, evaluates and draws, on RefCOCOg's "google" split: the other tests take "umd"."""
    weights = "CLIP embedded (embedded_clip.safetensors, sha256"
    common = ("--data", SHARED_DATA / REFCOCOG_MINI, "--split_by", "google", "--device", "cpu")
    trained = run_script(capsys, "train.py", *common, "--output", tmp_path / "run", "--epochs", 1, "--images_per_batch",
                         4, "--phrases_per_image", 2)  # fmt: skip
    assert trained.code == 0, trained
    assert weights in trained.out
    evaluated = run_script(capsys, "evaluate.py", tmp_path / "run", *common, "--split", "val", "--output",
                           tmp_path / "measured", "--images_per_batch", 4)  # fmt: skip
    assert evaluated.code == 0, evaluated
    assert weights in " ".join(evaluated.out.split())  # the caption is broken into lines
    drawn = run_script(capsys, "visualize.py", tmp_path / "run", *common, "--split", "val", "--output",
                       tmp_path / "pictures", "--count", 3)  # fmt: skip
    assert drawn.code == 0, drawn
    assert Image.open(drawn.out.strip()).size[0] > 900
    results = json.loads((tmp_path / "measured" / "results.json").read_text())
    for method in (results["methods"] | results["bounds"]).values():
        assert method["n"] == sentences_in(REFCOCOG_MINI, "google", "val")
        assert all(0 <= method["metrics"][name] <= 1 for name in ("acc@0.5", "miou", "pointing", "recall@5"))


@needs_shared_data(REFCOCOG_MINI)
@needs_shared_data("weights")
def test_comparison_with_a_detectors_real_proposals(tmp_path, capsys):
    """The embedded CLIP has never seen a photograph, so its choice is poor; the detector's boxes are good."""
    outcome = run_script(capsys, "evaluate.py", "compare", "yolo-clip", "zero-shot", "reclip", "--data",
                         SHARED_DATA / REFCOCOG_MINI, "--proposals.detector",
                         SHARED_DATA / "weights" / "yolox_nano.onnx", "--proposals.confidence", 0.05,
                         "--device", "cpu", "--output", tmp_path / "out")  # fmt: skip
    assert outcome.code == 0, outcome
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert list(results["methods"]) == ["yolo-clip", "zero-shot", "reclip"]
    bounds = {name: result["metrics"]["acc@0.5"] for name, result in results["bounds"].items()}
    assert bounds["yolo-oracle"] > 0.6 and bounds["yolo-oracle"] > bounds["random-proposal"] + 0.2
    assert bounds["box-mask"] == 1
    assert results["methods"]["yolo-clip"]["n"] == sentences_in(REFCOCOG_MINI, "umd", "test")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "yolox_nano.onnx" in page and "Disputed" in page


@needs_shared_data(WEAK_PAIRS)
def test_weak_training_on_pairs_without_boxes(tmp_path, capsys):
    """Two steps, with every augmentation."""
    pairs = SHARED_DATA / WEAK_PAIRS / "pairs.jsonl"
    images = {json.loads(line)["image"] for line in pairs.read_text().splitlines()}
    outcome = run_script(capsys, "train.py", "--data", pairs, "--output", tmp_path / "run", "--device", "cpu",
                         "--model.model_size", 96, "--model.decoder.kind", "adapters", "--epochs", 1,
                         "--images_per_batch", -(-len(images) // 2), "--augmentation.crop", "true",
                         "--augmentation.flip", "true")  # fmt: skip
    assert outcome.code == 0, outcome
    assert f"training on {len(images)} images of {pairs}" in outcome.out
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text()) == {"epoch": 1, "step": 2}
    photo = SHARED_DATA / WEAK_PAIRS / "images" / min(images)
    [result] = load(tmp_path / "run").ground(photo, ["the fruit on the left"])
    assert result.heatmap.shape == result.image.shape[:2] and 0 <= result.heatmap.min() <= result.heatmap.max() <= 1


@needs_shared_data(COCO_PHOTOS)
@pytest.mark.parametrize("name", ["refcocog", "refcocog-weak"])
def test_configurations_for_refcocog_start(name, rn50, tmp_path, capsys):
    """A step of each as it is, on the CPU and few photographs; the losses it is about are among those logged."""
    few = ("--subset", 2, "--validation_subset", 1, "--epochs", 1, "--images_per_batch", 2, "--phrases_per_image", 2)
    here = ("--device", "cpu", "--mixed_precision", "no", "--workers", 0)
    outcome = run_script(capsys, "train.py", "--config", f"configs/{name}.yaml", "--data", SHARED_DATA / COCO_PHOTOS,
                         "--output", tmp_path / "run", "--model.clip", rn50, *few, *here)  # fmt: skip
    assert outcome.code == 0, outcome
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    logged = {tag.removeprefix("train/") for tag in events.Tags()["scalars"] if tag.startswith("train/")}
    expected = {"refcocog": {"mask_loss", "distance_loss"}, "refcocog-weak": {"contrast_loss"}}[name]
    assert logged == {*expected, "total_loss", "learning_rate"}
    assert (tmp_path / "run" / "decoder.safetensors").is_file()
    photo = RefCOCOg(SHARED_DATA / COCO_PHOTOS, "test").expressions[0].image_path
    [result] = load(tmp_path / "run").ground(photo, ["the person on the left"])  # RN50 at 448 pixels
    assert result.heatmap.shape == result.image.shape[:2] and 0 <= result.heatmap.min() <= result.heatmap.max() <= 1
