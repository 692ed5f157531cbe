"""A method of one's own, from docs/evaluation.md, and another system's boxes, in one comparison with a known one."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grounding import Grounding, ModelConfig, RefCOCOg, grounding_of_boxes, load
from grounding.deployment.bulk import BulkConfig, ground_file
from grounding.evaluation.compare import EvaluateConfig, compare
from grounding.evaluation.predictions import read_predictions
from tests.scripts import ROOT, run_script
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data

CODE = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8"), re.DOTALL)[0]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's code as my_method.py in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_method", raising=False)
    path = tmp_path / "my_method.py"
    path.write_text(CODE)
    return path


@pytest.fixture
def config(tmp_path: Path) -> EvaluateConfig:
    data = write_toy_data(tmp_path / "data", {"val": 1, "test": 5})
    model = ModelConfig(clip=str(save_tiny_clip(tmp_path / "clip.pt")), model_size=64)
    return EvaluateConfig(["centred-box"], data, tmp_path / "out", bounds=[], model=model, device="cpu")


def boxes(config: EvaluateConfig, name: str) -> list[tuple[float, ...]]:
    return [each.boxes_xyxy[0] for each in read_predictions(config.output / "predictions" / f"{name}.jsonl")]


def test_the_pages_code_is_compared(module: Path, config: EvaluateConfig) -> None:
    found = compare(replace(config, methods=["centred-box", "my_method:Brightest"]))
    assert found is not None
    own = found.results["methods"]["brightest"]
    expected = []
    for example in RefCOCOg(config.data, "test", group_by="image"):
        height, width = example.image.shape[:2]
        row, column = divmod(int(example.image.sum(axis=2).argmax()), width)
        box = [max(0, column - 0.2 * width), max(0, row - 0.2 * height), min(width, column + 0.2 * width),
               min(height, row + 0.2 * height)]  # fmt: skip
        expected += [box] * len(example.phrases)
    np.testing.assert_allclose(boxes(config, "brightest"), expected, atol=2e-3)
    first = found.results["methods"]["centred-box"]["metrics"]["miou"]
    assert own["behind"]["miou"]["difference"] == pytest.approx(first - own["metrics"]["miou"])


class Shifted:
    """Given itself, not by its name."""

    name = "shifted"

    def __init__(self, shift: float) -> None:
        self.shift, self.asked = shift, 0

    def ground(self, image: np.ndarray, phrases: list[str]) -> list[Grounding]:
        self.asked += len(phrases)
        box = np.array([[self.shift, 0, self.shift + 20, 20]])
        return [grounding_of_boxes(phrase, box, np.ones(1), image) for phrase in phrases]


def test_each_comparison_asks_anew(config: EvaluateConfig) -> None:
    """Nobody knows what a method of one's own depends on; those that are known are not asked again."""
    path = config.output / "predictions" / "centred-box.jsonl"
    method = Shifted(1)
    compare(replace(config, methods=["centred-box", method]))
    known, first = path.stat().st_mtime_ns, method.asked
    assert first and set(boxes(config, "shifted")) == {(1, 0, 21, 20)}
    method.shift = 3
    compare(replace(config, methods=["centred-box", method]))
    assert method.asked == 2 * first and set(boxes(config, "shifted")) == {(3, 0, 23, 20)}
    assert path.stat().st_mtime_ns == known


def test_boxes_of_other_systems_are_rows(config: EvaluateConfig, tmp_path: Path) -> None:
    expressions = RefCOCOg(config.data, "test").expressions
    perfect, half = tmp_path / "perfect.jsonl", tmp_path / "half.jsonl"
    lines = [{"sent_id": each.sent_id, "boxes_xyxy": [[0, 0, 1, 1], each.box_xyxy], "scores": [-2, 3.5]}
             for each in expressions]  # fmt: skip
    answered = len(expressions) // 2
    for path, of in ((perfect, lines), (half, lines[:answered])):
        path.write_text("".join(json.dumps(line) + "\n" for line in of))
    methods = [str(perfect), str(half), "centred-box"]
    found = compare(replace(config, methods=methods))
    assert found is not None
    rows = found.results["methods"]
    assert rows["perfect"]["metrics"]["acc@0.5"] == rows["perfect"]["metrics"]["region_accuracy"] == 1
    share = answered / len(expressions)
    assert rows["half"]["metrics"]["acc@0.5"] == pytest.approx(share), "an expression without an answer is wrong"
    assert rows["half"]["behind"]["acc@0.5"]["difference"] == pytest.approx(1 - share)
    assert "text_cosine" in rows["perfect"]["metrics"] and "seconds" not in rows["perfect"]
    assert "pointing" not in rows["perfect"]["metrics"] and "phrase length" in rows["perfect"]["breakdowns"]
    perfect.write_text("".join(json.dumps({**line, "boxes_xyxy": [[0, 0, 1, 1], [0, 0, 2, 2]]}) + "\n"
                               for line in lines))  # fmt: skip
    again = compare(replace(config, methods=methods))
    assert again is not None and again.results["methods"]["perfect"]["metrics"]["acc@0.5"] < 1, "it is read again"


def test_every_entry_point_takes_it(module: Path, config: EvaluateConfig, tmp_path: Path, capsys) -> None:
    arguments = ["--data", config.data, "--output", tmp_path / "drawn", "--model.clip", config.model.clip,
                 "--model.model_size", 64, "--device", "cpu"]  # fmt: skip
    drawn = run_script(capsys, "visualize.py", "compare", "my_method:Brightest", "zero-shot", *arguments)
    assert drawn.code == 0 and (tmp_path / "drawn" / "data_test_brightest_zero-shot_compared.png").is_file()
    drawn = run_script(capsys, "visualize.py", "my_method:Brightest", *arguments)
    assert drawn.code == 0 and (tmp_path / "drawn" / "data_test_brightest.png").is_file()
    own = load("my_method:Brightest")
    [answer] = own.ground(RefCOCOg(config.data, "test")[0].image, ["the red box"])
    assert answer.heatmap.max() == 1 and answer.phrase == "the red box"
    requests = tmp_path / "requests.jsonl"
    image = RefCOCOg(config.data, "test").expressions[0].image_path
    requests.write_text(json.dumps({"image": str(image), "phrases": ["the red box"]}) + "\n")
    print(ground_file(BulkConfig("my_method:Brightest", requests, tmp_path / "boxes.jsonl", device="cpu")))
    [line] = (tmp_path / "boxes.jsonl").read_text().splitlines()
    np.testing.assert_allclose(json.loads(line)["answers"][0]["boxes_xyxy"], answer.boxes_xyxy, atol=1e-3)
