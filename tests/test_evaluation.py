"""Evaluation counts every expression once, at any batch size, and says what a brute-force loop says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from grounding import InputError, ModelConfig, RefCOCOg, load
from grounding.baselines.chance import RandomBoxGrounder, WholeImageGrounder
from grounding.comparison import EvaluateConfig, compare
from grounding.evaluation import evaluate, results_table, write_results
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_toy_data(tmp_path / "data", {"train": 1, "val": 2, "test": 7})


@pytest.fixture
def model(tmp_path: Path) -> ModelConfig:
    return ModelConfig(clip=str(save_tiny_clip(tmp_path / "clip.pt")), model_size=64)


def test_same_numbers_at_any_batch_size(data: Path, model: ModelConfig) -> None:
    dataset = RefCOCOg(data, "test", group_by="image")
    results = []
    for images_per_batch in (1, 3, 16):
        rows: list[dict] = []
        grounders = [load("zero-shot", model=model), RandomBoxGrounder()]
        result = evaluate(grounders, dataset, images_per_batch=images_per_batch, on_prediction=rows.append)
        results.append(result)
        for name in ("zero-shot", "random-box"):
            answered = sorted(row["sent_id"] for row in rows if row["method"] == name)
            assert answered == sorted(e.sent_id for e in dataset.expressions)  # none twice, none dropped
    assert results[0] == results[1] == results[2]


def test_against_a_loop(data: Path) -> None:
    dataset = RefCOCOg(data, "test", group_by="image")
    measured = evaluate([WholeImageGrounder()], dataset)["whole-image"]
    ious, inside = [], []
    for index in range(len(dataset)):
        example = dataset[index]
        height, width = example.image.shape[:2]
        for x1, y1, x2, y2 in example.boxes_xyxy:
            whole = torch.tensor([[0.0, 0.0, width, height]])
            ious.append(box_iou(whole, torch.tensor([[x1, y1, x2, y2]])).item())
            # The hottest pixel is the one nearest to the middle, the first of them where two are as near.
            column, row = (width - 1) // 2, (height - 1) // 2
            inside.append(x1 <= column + 0.5 < x2 and y1 <= row + 0.5 < y2)
    assert measured["n"] == len(ious)
    assert measured["metrics"]["miou"] == pytest.approx(np.mean(ious), abs=1e-6)
    assert measured["metrics"]["acc@0.25"] == pytest.approx(np.mean(np.array(ious) >= 0.25))
    assert measured["metrics"]["pointing"] == pytest.approx(np.mean(inside))


def test_intervals_and_differences(data: Path) -> None:
    dataset = RefCOCOg(data, "test", group_by="image")
    results = evaluate([WholeImageGrounder(), RandomBoxGrounder()], dataset)
    whole, random = results["whole-image"], results["random-box"]
    assert "behind" not in whole
    for metric in ("acc@0.5", "miou", "pointing"):
        low, high = random["intervals"][metric]
        assert low <= random["metrics"][metric] <= high
        found = random["behind"][metric]
        assert found["difference"] == pytest.approx(whole["metrics"][metric] - random["metrics"][metric])
        assert found["interval"][0] <= found["difference"] <= found["interval"][1]
        assert 0 < found["p_value"] <= 1
    low, high = random["intervals"]["acc@0.5"]
    assert f"{low:.3f}-{high:.3f}" in results_table(results)


def test_random_boxes_differ_between_images_and_seeds() -> None:
    images = np.random.default_rng(0).integers(0, 255, (200, 40, 60, 3), dtype=np.uint8)
    boxes = np.array([RandomBoxGrounder().ground(image, ["a dog"])[0].boxes_xyxy[0] for image in images])
    assert len(np.unique(boxes, axis=0)) == 200
    assert (boxes[:, :2] <= boxes[:, 2:]).all()
    assert (boxes >= 0).all() and (boxes <= [60, 40, 60, 40]).all()
    # Two uniform draws are a third of the side apart on average.
    assert (boxes[:, 2:] - boxes[:, :2]).mean(axis=0) == pytest.approx([20, 40 / 3], rel=0.15)
    other = RandomBoxGrounder(seed=1).ground(images[0], ["a dog"])[0].boxes_xyxy
    assert not np.array_equal(other[0], boxes[0])


def test_compare_writes_one_form_of_results(data: Path, model: ModelConfig, tmp_path: Path) -> None:
    config = EvaluateConfig("zero-shot", data, tmp_path / "out", model=model, device="cpu")
    table = compare(config)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["data"] == str(data)
    assert results["split"] == "test"
    assert set(results["methods"]) == {"zero-shot", "gradcam", "whole-image", "random-box"}
    count = len(RefCOCOg(data, "test").expressions)
    for name, result in results["methods"].items():
        assert result["n"] == count
        assert {"acc@0.25", "acc@0.5", "acc@0.75", "miou", "pointing", "recall@1", "recall@5"} <= set(result["metrics"])
        assert f"{result['metrics']['acc@0.5']:.3f}" in next(line for line in table.splitlines() if name in line)
    assert "clip.pt" in results["weights"] and "clip.pt" in table

    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert len(rows) == 4 * count
    for name, result in results["methods"].items():
        best = [row["iou"] >= 0.5 for row in rows if row["method"] == name]
        assert np.mean(best) == pytest.approx(result["metrics"]["acc@0.5"])


def test_compare_leaves_nothing_half_written(data: Path, model: ModelConfig, tmp_path: Path) -> None:
    config = EvaluateConfig("zero-shot", data, tmp_path / "out", model=model, device="cpu")
    next(iter((data / "images").glob("*_010.png"))).write_bytes(b"no image")
    with pytest.raises(InputError, match=r"toy_010\.png"):
        compare(config)
    assert list((tmp_path / "out").iterdir()) == []
    with pytest.raises(InputError, match="beside"):
        compare(replace(config, beside=["yolo"]))


def test_write_results_replaces_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.json"
    write_results(path, data="d", split="test", methods={"a": {"n": 1, "metrics": {}}})
    assert json.loads(path.read_text()) == {"data": "d", "split": "test", "methods": {"a": {"n": 1, "metrics": {}}}}
    with pytest.raises(TypeError):
        write_results(path, data="d", split="val", methods={"a": object()})
    assert json.loads(path.read_text())["split"] == "test"


def test_table_shows_subsets() -> None:
    metrics = dict.fromkeys(("acc@0.25", "acc@0.5", "acc@0.75", "miou", "pointing", "recall@5"), 0.25)
    novel = {"n": 1, "metrics": {**metrics, "acc@0.5": 0.125}}
    table = results_table({"ours": {"n": 4, "metrics": metrics, "subsets": {"novel": novel}}})
    assert "acc@0.5 novel" in table
    assert "0.125" in table
