"""A method of one's own, from docs/evaluation.md, and another system's boxes, in one comparison with a known one."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grounding import Grounding, ModelConfig, RefCOCOg, grounding_of_boxes
from grounding.evaluation.compare import EvaluateConfig, compare
from grounding.evaluation.predictions import read_predictions
from tests.scripts import ROOT, run_script

CODE = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8"), re.DOTALL)[0]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's code as my_method.py in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_method", raising=False)
    (tmp_path / "my_method.py").write_text(CODE)


@pytest.fixture
def config(made: Path, tmp_path: Path) -> EvaluateConfig:
    model = ModelConfig(clip=str(made / "clip.pt"), model_size=64)
    return EvaluateConfig(["centred-box"], made / "data", tmp_path / "out", bounds=[], model=model, device="cpu")


def boxes(config: EvaluateConfig, name: str) -> list[tuple[float, ...]]:
    return [each.boxes_xyxy[0] for each in read_predictions(config.output / "predictions" / f"{name}.jsonl")]


@pytest.mark.usefixtures("module")
def test_the_pages_code_is_compared(config: EvaluateConfig) -> None:
    found = compare(replace(config, methods=["centred-box", "my_method:Brightest"]))
    own = found.results["methods"]["brightest"]
    assert found.results["precision"]["brightest"] == "not known"
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
    no_box = {**lines[-1], "boxes_xyxy": [], "scores": []}
    for path, of in ((perfect, lines), (half, [*lines[:answered], no_box])):
        path.write_text("".join(json.dumps(line) + "\n" for line in of))
    methods = [str(perfect), str(half), "centred-box"]
    rows = compare(replace(config, methods=methods)).results["methods"]
    assert rows["perfect"]["metrics"]["acc@0.5"] == rows["perfect"]["metrics"]["region_accuracy"] == 1
    share = answered / len(expressions)
    assert rows["half"]["metrics"]["acc@0.5"] == pytest.approx(share), "an expression without an answer is wrong"
    assert rows["half"]["metrics"]["no_proposal"] == pytest.approx(1 - share)
    assert rows["half"]["behind"]["acc@0.5"]["difference"] == pytest.approx(1 - share)
    assert "text_cosine" in rows["perfect"]["metrics"] and "seconds" not in rows["perfect"]
    assert "pointing" not in rows["perfect"]["metrics"] and "phrase length" in rows["perfect"]["breakdowns"]
    perfect.write_text("".join(json.dumps({**line, "boxes_xyxy": [[0, 0, 1, 1], [0, 0, 2, 2]]}) + "\n"
                               for line in lines))  # fmt: skip
    again = compare(replace(config, methods=methods)).results["methods"]
    assert again["perfect"]["metrics"]["acc@0.5"] < 1, "it is read again"


@pytest.mark.usefixtures("module")
def test_it_is_drawn_beside_another(config: EvaluateConfig, tmp_path: Path, capsys) -> None:
    arguments = ["--data", config.data, "--output", tmp_path / "drawn", "--model.clip", config.model.clip,
                 "--model.model_size", 64, "--device", "cpu"]  # fmt: skip
    drawn = run_script(capsys, "visualize.py", "compare", "my_method:Brightest", "zero-shot", *arguments)
    assert drawn.code == 0 and (tmp_path / "drawn" / "data_test_brightest_zero-shot_compared.png").is_file()
