"""Sets of boxes: measures by hand and by loops; calibrations find what drew the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import grounding.evaluation.sets as fitting
from grounding import InputError
from grounding.evaluation.sets import (
    SetAnswer,
    fit_calibration,
    is_right,
    logistic_regression,
    matched,
    set_metrics,
)
from grounding.methods.calibration import calibrated

LEFT, RIGHT, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (60, 60, 70, 70)
SHIFTED = (4, 0, 14, 10)  # IoU 6/14 with LEFT: below a half
NEAR = (2, 0, 12, 10)  # IoU 8/12 with LEFT
BOX = np.array([[0.0, 0, 10, 10]])


def answer(boxes, annotated, *, found=None, presence=0.5) -> SetAnswer:
    """All boxes are found, unless it is said which."""
    return SetAnswer(np.reshape(boxes, (-1, 4)).astype(float), np.full(len(boxes), 0.9),
                     np.reshape(annotated, (-1, 4)).astype(float), presence, 0,
                     tuple(range(len(boxes))) if found is None else found)  # fmt: skip


@pytest.mark.parametrize(
    ("boxes", "annotated", "right"),
    [
        ([SHIFTED], [LEFT], False),
        ([RIGHT, NEAR], [LEFT, RIGHT], True),  # in any order
        ([LEFT], [LEFT, RIGHT], False),  # one is missing
        ([LEFT, RIGHT, FAR], [LEFT, RIGHT], False),  # one too many
        ([LEFT, NEAR], [LEFT, RIGHT], False),  # two boxes on one object
        ([], [], True),  # nothing there, nothing said
        ([LEFT], [], False),
    ],
)
def test_a_set_is_right_where_every_object_has_one_box_and_every_box_an_object(boxes, annotated, right):
    assert is_right(answer(boxes, annotated)) is right
    assert is_right(answer([*boxes, FAR], annotated, found=tuple(range(len(boxes))))) is right, "what is not found"


def test_measures_are_shares_of_the_phrases_they_are_about():
    answers = [
        answer([LEFT], [LEFT], presence=0.9),  # right
        answer([FAR], [LEFT], presence=0.4),  # a box, in the wrong place
        answer([LEFT], [LEFT, RIGHT], found=(), presence=0.5),  # silent, though there are two
        answer([], [], presence=0.5),  # right
        answer([LEFT], [], presence=0.1),
    ]
    measured, _ = set_metrics(answers)
    assert measured == {
        "set_accuracy": 2 / 5,
        "n_acc": 1 / 2,
        "t_acc": 2 / 3,
        # 0.9 exceeds both 0.5 and 0.1; 0.5 exceeds one and is as high as the other; 0.4 exceeds one.
        "presence_auroc": pytest.approx(4.5 / 6),
    }
    assert set(set_metrics(answers[:3])[0]) == {"set_accuracy", "t_acc"}  # of the rest there is nothing to tell
    assert set(set_metrics(answers[3:])[0]) == {"set_accuracy", "n_acc"}


def test_an_interval_takes_two_images_that_have_a_say():
    here = [answer([LEFT], [LEFT]), answer([], [])]
    there = [replace(answer([FAR], [LEFT]), image_id=1), answer([LEFT], [])]
    assert set(set_metrics([*here, *there])[1]) == {"set_accuracy", "t_acc"}, "what is absent, is so of one image"


def test_the_pair_of_largest_overlap_comes_first():
    """Which leaves the second pair without a partner; another order would have found two."""
    boxes, annotated = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10]]), np.array([[1.0, 0, 11, 10], [-4, 0, 6, 10]])
    assert matched(boxes, annotated, min_iou=0.3) == 1 and matched(boxes[:1], annotated[1:], min_iou=0.3) == 1
    assert matched(boxes[1:], annotated[:1], min_iou=0.3) == 1


def drawn(count: int, right: Callable[[float], float], *, always_there: bool = False) -> list[SetAnswer]:
    """Answers of one box each: by its score, `right` says how likely it is the annotated one."""
    rng = np.random.default_rng(0)
    answers = []
    for i in range(count):
        score, presence = rng.uniform(0.02, 0.98, 2)
        there = always_there or rng.random() < presence
        good = there and rng.random() < right(score)
        annotated = (BOX if good else BOX + 50) if there else np.zeros((0, 4))
        answers.append(SetAnswer(BOX, np.array([score]), annotated, float(presence), i, (0,)))
    return answers


@pytest.fixture
def one_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for thresholds, which takes nearly all of the time, is not what is tested."""
    monkeypatch.setattr(fitting, "SCORES_TRIED", np.array([0.5]))


def test_logistic_regression_never_turns_the_order_of_boxes_round() -> None:
    slope, _ = logistic_regression(np.arange(-5.0, 5), np.arange(10) < 5)
    assert 0 < slope < 0.02


@pytest.mark.usefixtures("one_threshold")
def test_probabilities_are_shares() -> None:
    """Of held-out answers with about the same probability, about that share is right; a box's, where anything fits."""
    answers = drawn(12_000, lambda score: score**2)
    calibration = fit_calibration(answers[:6000])
    held_out = [calibrated(each, calibration) for each in answers[6000:]]
    there = [each for each in held_out if len(each.annotated_xyxy)]
    for value, truth in (
        ([each.presence for each in held_out], [len(each.annotated_xyxy) > 0 for each in held_out]),
        ([each.scores[0] for each in there], [np.array_equal(each.annotated_xyxy, BOX) for each in there]),
    ):
        values, truths = np.array(value), np.array(truth)
        for low in (0.0, 0.2, 0.4, 0.6):
            of_bin = (values >= low) & (values < low + 0.2)
            assert values[of_bin].mean() == pytest.approx(truths[of_bin].mean(), abs=0.06)


def test_the_thresholds_are_the_best_for_sets() -> None:
    """Against a loop over a grid of both, but for a presence that is as low as a standard error permits; a second box
    is an object of its own where it scores high."""
    rng = np.random.default_rng(1)
    answers = []
    for each in drawn(150, lambda _: 1.0):
        second = rng.uniform(0.02, 0.9) * each.scores[0]
        annotated = each.annotated_xyxy
        if len(annotated) and rng.random() < second:
            annotated = np.concatenate([annotated, BOX + 100])
        scores = np.array([each.scores[0], second])
        answers.append(replace(each, boxes_xyxy=np.concatenate([BOX, BOX + 100]), scores=scores,
                               annotated_xyxy=annotated))  # fmt: skip
    calibration = fit_calibration(answers)

    def accuracy(least_presence: float, least_score: float) -> float:
        tried = replace(calibration, least_presence=least_presence, least_score=least_score)
        return float(np.mean([is_right(calibrated(each, tried)) for each in answers]))

    grid = [accuracy(presence, score) for presence in np.linspace(0, 1, 11) for score in np.linspace(0, 1, 11)]
    tried = {
        each: accuracy(each, calibration.least_score) for each in {calibrated(a, calibration).presence for a in answers}
    }
    best = max(tried.values())
    assert best >= max(grid) - 0.01 and best > min(grid) + 0.1
    error = np.sqrt(best * (1 - best) / len(answers))
    assert calibration.least_presence == min(each for each, reached in tried.items() if reached >= best - error)


@pytest.mark.usefixtures("one_threshold")
def test_phrases_for_one_object_have_no_say_in_presence() -> None:
    sets, single = drawn(400, lambda score: score), drawn(400, lambda _: 1.0, always_there=True)
    alone, beside = fit_calibration(sets), fit_calibration(sets, single)
    assert alone.presence == beside.presence and alone.score != beside.score
    # They are all right: the same scores promise more.
    assert calibrated(sets[0], beside).scores[0] > calibrated(sets[0], alone).scores[0]


@pytest.mark.parametrize("there", [True, False])
def test_one_kind_of_phrase_is_refused(there: bool) -> None:
    annotated = BOX if there else np.zeros((0, 4))
    with pytest.raises(InputError, match="phrases for something and for nothing are both needed"):
        fit_calibration([SetAnswer(BOX, np.array([0.5]), annotated, 0.5, 0, (0,))])
