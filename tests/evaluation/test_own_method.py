"""A method of one's own, and another system's boxes, in one comparison with a known one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grounding import Grounding, ModelConfig, RefCOCOg, grounding_of_boxes
from grounding.evaluation.compare import EvaluateConfig, compare
from grounding.evaluation.predictions import read_predictions


@pytest.fixture
def config(made: Path, tmp_path: Path) -> EvaluateConfig:
    model = ModelConfig(clip=str(made / "clip.pt"), model_size=64)
    return EvaluateConfig(["yolo-clip"], made / "data", tmp_path / "out", bounds=[], model=model, device="cpu")


def boxes(config: EvaluateConfig, name: str) -> list[tuple[float, ...]]:
    return [each.boxes_xyxy[0] for each in read_predictions(config.output / "predictions" / f"{name}.jsonl")]


class Shifted:
    """Given itself; docs/evaluation.md has one by its name, which tests/test_docs.py compares and draws."""

    name = "shifted"

    def __init__(self, shift: float) -> None:
        self.shift, self.asked = shift, 0

    def ground(self, image: np.ndarray, phrases: list[str]) -> list[Grounding]:
        self.asked += len(phrases)
        box = np.array([[self.shift, 0, self.shift + 20, 20]])
        return [grounding_of_boxes(phrase, box, np.ones(1), image) for phrase in phrases]


def test_each_comparison_asks_anew(config: EvaluateConfig) -> None:
    """Nobody knows what a method of one's own depends on; those that are known are not asked again."""
    path = config.output / "predictions" / "yolo-clip.jsonl"
    method = Shifted(1)
    found = compare(replace(config, methods=["yolo-clip", method]))
    assert found["precision"]["shifted"] == "not known"
    known, first = path.stat().st_mtime_ns, method.asked
    assert first and set(boxes(config, "shifted")) == {(1, 0, 21, 20)}
    method.shift = 3
    compare(replace(config, methods=["yolo-clip", method]))
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
    methods = [str(perfect), str(half), "yolo-clip"]
    rows = compare(replace(config, methods=methods))["methods"]
    assert rows["perfect"]["metrics"]["acc@0.5"] == rows["perfect"]["metrics"]["region_accuracy"] == 1
    share = answered / len(expressions)
    assert rows["half"]["metrics"]["acc@0.5"] == pytest.approx(share), "an expression without an answer is wrong"
    assert rows["half"]["metrics"]["no_proposal"] == pytest.approx(1 - share)
    assert rows["half"]["behind"]["acc@0.5"]["difference"] == pytest.approx(1 - share)
    assert "text_cosine" in rows["perfect"]["metrics"] and "seconds" not in rows["perfect"]
    assert "pointing" not in rows["perfect"]["metrics"]
    kinds = [{axis: {kind: part["n"] for kind, part in of_axis.items()} for axis, of_axis in row["breakdowns"].items()}
             for row in rows.values()]  # fmt: skip
    assert "box area" in kinds[0] and kinds[0] == kinds[1] == kinds[2]
    perfect.write_text("".join(json.dumps({**line, "boxes_xyxy": [[0, 0, 1, 1], [0, 0, 2, 2]]}) + "\n"
                               for line in lines))  # fmt: skip
    again = compare(replace(config, methods=methods))["methods"]
    assert again["perfect"]["metrics"]["acc@0.5"] < 1, "it is read again"
