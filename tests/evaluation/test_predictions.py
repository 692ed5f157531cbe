"""Lines of predictions come back as what they were, and the expressions of a ref vote."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou as reference_iou

from grounding.errors import InputError
from grounding.evaluation.predictions import Prediction, aggregate_by_ref, read_predictions
from grounding.evaluation.summary import summarise

LEFT, RIGHT = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 60.0, 10.0)


def prediction(sent_id: int, image_id: int = 1) -> Prediction:
    return Prediction(image_id, sent_id // 2, 5, sent_id, 'a "dog" éñ', (1.0, 2.0, 3.5, 4.0), ((0.0, 0.0, 9.0, 9.0),),
                      (0.5,), 100.0, (1.5, 2.5), 0.25, 0.01, semantics={"text_cosine": 0.5})  # fmt: skip


def prediction_line(**changed: object) -> str:
    return json.dumps({**json.loads(prediction(1).to_json()), **changed})


def test_a_line_comes_back_as_it_was() -> None:
    assert Prediction.from_json(prediction(3).to_json()) == prediction(3)
    assert "\n" not in prediction(3).to_json()
    assert Prediction.from_json(prediction_line(something="else", image_id="1")) == prediction(1)


@pytest.mark.parametrize(
    "line",
    [
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


def answer(sent_id: int, ref_id: int, box: tuple[float, ...], score: float, seconds: float = 1.0) -> Prediction:
    return Prediction(1, ref_id, 1, sent_id, f"phrase {sent_id}", LEFT, (box,), (score,), seconds=seconds,
                      point_xy=(box[0] + 1, box[1] + 1))  # fmt: skip


def test_the_majority_is_followed_and_scores_weigh() -> None:
    near_left = (1.0, 0.0, 11.0, 10.0)
    [pooled] = aggregate_by_ref([answer(1, 7, RIGHT, 0.6), answer(2, 7, LEFT, 0.5), answer(3, 7, near_left, 0.4)])
    assert pooled.boxes_xyxy == (LEFT,) and pooled.point_xy == (1, 1) and pooled.scores == (0.5,)
    [pooled] = aggregate_by_ref([answer(1, 7, RIGHT, 0.95), answer(2, 7, LEFT, 0.5), answer(3, 7, near_left, 0.4)])
    assert pooled.boxes_xyxy == (RIGHT,)


def test_one_query_a_ref_in_the_order_of_first_expressions() -> None:
    answers = [answer(4, 9, LEFT, 1), answer(5, 3, RIGHT, 1), answer(6, 9, RIGHT, 0.1), answer(7, 5, LEFT, 1)]
    pooled = aggregate_by_ref(answers)
    assert [each.ref_id for each in pooled] == [9, 3, 5]
    assert [each.sent_id for each in pooled] == [4, 5, 7]
    assert [each.phrase for each in pooled] == ["phrase 4", "phrase 5", "phrase 7"]
    assert sum(each.seconds for each in pooled) == 4 and [each.pooled for each in pooled] == [2, 1, 1]
    report = summarise(pooled, {}, {}).report()
    assert report["n"] == 3 and report["seconds"] == {"per_image": 4.0, "per_phrase": 1.0}
    assert pooled[1] == answers[1] and pooled[2] == answers[3]


def test_support_equals_a_loop() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        corners = rng.uniform(0, 40, (4, 2, 2))
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        scores = rng.random(4)
        answers = [
            answer(i, 1, tuple(box), float(score)) for i, (box, score) in enumerate(zip(boxes, scores, strict=True))
        ]
        support = []
        for box in boxes:
            overlaps = reference_iou(torch.tensor(boxes), torch.tensor(box[None]))[:, 0].tolist()
            support.append(sum(score * overlap for score, overlap in zip(scores, overlaps, strict=True)))
        [pooled] = aggregate_by_ref(answers)
        assert pooled == replace(answers[int(np.argmax(support))], sent_id=0, phrase="phrase 0", seconds=4.0, pooled=4)


@pytest.mark.parametrize("shift", [-9.0, 0.0, 9.0])
def test_scores_of_any_range_leave_the_majority_its_box(shift: float) -> None:
    scores = {1: 0.3, 2: 0.3, 3: 0.4}  # of log-probabilities, as of logits, the sum says nothing
    [pooled] = aggregate_by_ref([answer(i, 7, RIGHT if i == 3 else LEFT, score + shift) for i, score in scores.items()])
    assert pooled.boxes_xyxy == (LEFT,)


@pytest.mark.parametrize("score", [-3.0, 0.0, 0.4])
def test_what_is_unanswered_has_no_vote_beside_answers(score: float) -> None:
    unanswered = [replace(answer(i, 7, (0, 0, 0, 0), 0.0), no_proposal=True) for i in (1, 2)]
    [pooled] = aggregate_by_ref([*unanswered, answer(3, 7, LEFT, score)])
    assert pooled.boxes_xyxy == (LEFT,) and pooled.sent_id == 1 and pooled.pooled == 3 and not pooled.no_proposal
    [pooled] = aggregate_by_ref(unanswered)
    assert pooled.no_proposal and pooled.pooled == 2
