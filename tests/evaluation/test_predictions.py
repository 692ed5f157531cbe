"""Lines of predictions come back as what they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from grounding.errors import InputError
from grounding.evaluation.predictions import Prediction, read_predictions


def prediction(sent_id: int, image_id: int = 1) -> Prediction:
    return Prediction(image_id, sent_id // 2, 5, sent_id, 'a "dog" éñ', (1.0, 2.0, 3.5, 4.0), ((0.0, 0.0, 9.0, 9.0),),
                      (0.5,), 100.0, (1.5, 2.5), 0.25, 0.01, semantics={"text_cosine": 0.5})  # fmt: skip


def prediction_line(**changed: object) -> str:
    return json.dumps({**json.loads(prediction(1).to_json()), **changed})


def test_a_line_comes_back_as_it_was() -> None:
    assert Prediction.from_json(prediction(3).to_json()) == prediction(3)
    assert "\n" not in prediction(3).to_json()
    assert Prediction.from_json(prediction_line(file_name="a.jpg", image_id="1")) == prediction(1)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[1]",
        "nonsense",
        '{"image_id": 1, "sent_id": 2, "boxes_xyxy": []}',
        prediction_line(boxes_xyxy=[]),
        prediction_line(boxes_xyxy=[[1, 2, 3]]),
        prediction_line(annotated_xyxy=[1, 2, 3, float("nan")]),
        prediction_line(scores=[0.5, 0.5]),
        prediction_line(scores=[10**400]),
        prediction_line(phrase=3),
        prediction_line(semantics={"text_cosine": "high"}),
        prediction_line(annotated_xyxy=[1, 2, 10**400, 4]),
        "[" * 100_000,
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(prediction(0).to_json() + "\n" + line + "\n")
    with pytest.raises(InputError, match=r"p\.jsonl, line 2"):
        list(read_predictions(path))
