"""Lines of predictions come back as what they were, and say which file, how well, and whether it counts as right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grounding.evaluation.predictions import Prediction, read_predictions
from grounding.runtime.errors import InputError
from grounding.types import Expression

SQUARE = (0.0, 0.0, 10.0, 10.0)


def prediction(sent_id: int) -> Prediction:
    return Prediction(1, sent_id // 2, 5, sent_id, 'a "dog" éñ', (1.0, 2.0, 3.5, 4.0), ((0.0, 0.0, 9.0, 9.0),),
                      (0.5,), 100.0, (1.5, 2.5), 0.25, 0.01, semantics={"text_cosine": 0.5})  # fmt: skip


def prediction_line(**changed: object) -> str:
    return json.dumps({**json.loads(prediction(1).to_json()), **changed})


def test_a_line_comes_back_as_it_was(tmp_path: Path) -> None:
    asked = Expression("a box", SQUARE, 1, 2, 3, 4, Path("images/a.jpg"), "box")
    answer = Prediction.about(asked, [SQUARE], [1])
    assert (answer.sent_id, answer.file_name, answer.category) == (4, "a.jpg", "box")
    lines = [prediction(3).to_json(), prediction_line(something="else", image_id="1"), answer.to_json()]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    assert list(read_predictions(tmp_path / "p.jsonl")) == [prediction(3), prediction(1), answer]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    for changed in ({"boxes_xyxy": [[3, 2, 1, 4]]}, {"annotated_xyxy": [1, 2, 1, 4]}, {"parts_xyxy": [[3, 2, 1, 4]]},
                    {"scores": [0.5, 0.5]}, None):  # fmt: skip
        line = "[" * 100_000 if changed is None else prediction_line(**changed)
        (tmp_path / "p.jsonl").write_text(prediction(0).to_json() + "\n" + line + "\n")
        with pytest.raises(InputError, match=r"p\.jsonl, line 2"):
            list(read_predictions(tmp_path / "p.jsonl"))


def line_of(*boxes: tuple[float, ...], **named: object) -> dict:
    scores = tuple(1.0 for _ in boxes)
    return json.loads(Prediction(1, 2, 3, 4, "a box", SQUARE, boxes, scores, **named).to_json())


@pytest.mark.parametrize(("width", "right"), [(10, True), (5, True), (4.99, False), (20, True), (20.1, False)])
def test_iou_and_correct_are_those_of_acc_at_half(width: float, right: bool) -> None:
    line = line_of((0.0, 0.0, width, 10.0), SQUARE)
    assert line["iou"] == pytest.approx(min(width, 10) / max(width, 10), abs=1e-5)
    assert line["correct"] is right


def test_an_answer_at_random_has_an_expectation_and_is_neither_right_nor_wrong() -> None:
    line = line_of(SQUARE, (0.0, 0.0, 5.0, 10.0), at_random=True)
    assert line["iou"] == 0.75 and line["correct"] is None
