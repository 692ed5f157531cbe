"""Measures of sets of boxes: every case worked out by hand, and against loops over all pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou as reference_iou

from grounding.evaluation.set_metrics import SetAnswer, is_right, matched, set_metrics

LEFT, RIGHT, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (60, 60, 70, 70)
SHIFTED = (4, 0, 14, 10)  # IoU 6/14 with LEFT: below a half
NEAR = (2, 0, 12, 10)  # IoU 8/12 with LEFT


def answer(boxes, annotated, *, found=None, presence=0.5) -> SetAnswer:
    """All boxes are found, unless it is said which."""
    return SetAnswer(np.reshape(boxes, (-1, 4)).astype(float), np.full(len(boxes), 0.9),
                     np.reshape(annotated, (-1, 4)).astype(float), presence, 0,
                     tuple(range(len(boxes))) if found is None else found)  # fmt: skip


@pytest.mark.parametrize(
    ("boxes", "annotated", "right"),
    [
        ([LEFT], [LEFT], True),
        ([NEAR], [LEFT], True),
        ([SHIFTED], [LEFT], False),
        ([RIGHT, LEFT], [LEFT, RIGHT], True),  # in any order
        ([LEFT], [LEFT, RIGHT], False),  # one is missing
        ([LEFT, RIGHT, FAR], [LEFT, RIGHT], False),  # one too many
        ([LEFT, NEAR], [LEFT, RIGHT], False),  # two boxes on one object
        ([], [], True),  # nothing there, nothing said
        ([LEFT], [], False),
        ([], [LEFT], False),
    ],
)
def test_a_set_is_right_where_every_object_has_one_box_and_every_box_an_object(boxes, annotated, right):
    assert is_right(answer(boxes, annotated)) is right


def test_only_what_is_found_is_in_the_set():
    assert is_right(answer([LEFT, FAR], [LEFT], found=(0,)))
    assert not is_right(answer([LEFT, FAR], [LEFT], found=(0, 1)))
    assert not is_right(answer([LEFT, FAR], [LEFT], found=(1,)))
    assert is_right(answer([FAR, LEFT], [], found=()))


def test_measures_are_shares_of_the_phrases_they_are_about():
    answers = [
        answer([LEFT], [LEFT], presence=0.9),  # right
        answer([FAR], [LEFT], presence=0.4),  # a box, in the wrong place
        answer([LEFT], [LEFT, RIGHT], found=(), presence=0.6),  # silent, though there are two
        answer([], [], presence=0.5),  # right
        answer([LEFT], [], presence=0.1),
    ]
    measured = set_metrics(answers)
    assert measured == {
        "set_accuracy": 2 / 5,
        "n_acc": 1 / 2,
        "t_acc": 2 / 3,
        # 0.9 and 0.6 exceed both 0.5 and 0.1; 0.4 exceeds one of them.
        "presence_auroc": pytest.approx(5 / 6),
    }
    assert set(set_metrics(answers[:3])) == {"set_accuracy", "t_acc"}  # of the rest there is nothing to tell
    assert set(set_metrics(answers[3:])) == {"set_accuracy", "n_acc"}


def test_greedy_matching_is_that_of_a_loop_over_all_pairs():
    rng = np.random.default_rng(0)
    for _ in range(60):
        corners = rng.integers(0, 20, (2, 4, 2))
        boxes, annotated = np.concatenate([corners, corners + rng.integers(4, 14, (2, 4, 2))], axis=2).astype(float)
        iou = reference_iou(torch.from_numpy(boxes), torch.from_numpy(annotated)).numpy()
        rows, columns, count = set(range(4)), set(range(4)), 0
        for _ in range(4):
            pairs = [(iou[i, j], i, j) for i, j in itertools.product(rows, columns)]
            best, i, j = max(pairs, key=lambda pair: pair[0])
            if best < 0.3:
                break
            rows.remove(i)
            columns.remove(j)
            count += 1
        assert matched(boxes, annotated, min_iou=0.3) == count


def test_auroc_is_the_share_of_pairs_in_order():
    rng = np.random.default_rng(1)
    positive, negative = rng.integers(0, 6, 40) / 5, rng.integers(0, 6, 30) / 5
    pairs = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positive for n in negative]
    answers = [answer([LEFT], [LEFT], presence=p) for p in positive] + [
        answer([LEFT], [], presence=n) for n in negative
    ]
    assert set_metrics(answers)["presence_auroc"] == pytest.approx(np.mean(pairs))
