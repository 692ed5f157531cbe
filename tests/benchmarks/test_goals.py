"""Goals are differences on the same expressions, worked out by hand here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.goals import Goal, matched_difference, measured
from grounding.evaluation.predictions import Prediction
from grounding.runtime.errors import InputError

ANNOTATED = (0.0, 0.0, 10.0, 10.0)
RIGHT, HALF, WRONG = ANNOTATED, (0.0, 0.0, 10.0, 5.0), (0.0, 0.0, 10.0, 4.0)
TAGS = {0: ("small",), 1: (), 2: ("small", "novel"), 3: ()}


def answers(*boxes: tuple[float, ...], point: tuple[float, float] | None = None) -> list[Prediction]:
    """One expression an image, all of the same annotated box."""
    return [
        Prediction(image_id=i, ref_id=i, ann_id=i, sent_id=i, phrase="x", annotated_xyxy=ANNOTATED, boxes_xyxy=(box,),
                   scores=(0.5,), point_xy=point)
        for i, box in enumerate(boxes)
    ]  # fmt: skip


def test_differences_by_hand() -> None:
    found = {"a": answers(RIGHT, HALF, HALF, WRONG), "b": answers(RIGHT, WRONG, WRONG, WRONG)}
    whole = measured(Goal("a", "b", "acc@0.5", 0.4), found, TAGS)
    assert whole.value == pytest.approx(0.5) and whole.n == 4 and whole.met
    assert not replace(whole, goal=(0.6, None)).met
    small = measured(Goal("a", "b", "acc@0.5", 0.0, "small"), found, TAGS)
    assert small.value == pytest.approx(0.5) and small.n == 2
    # A goal of 0 is one for the whole interval, which begins at 0 here.
    assert not small.met and replace(small, interval=(0.1, 0.9)).met
    pointing = {"a": answers(RIGHT, RIGHT, point=(3.0, 3.0)), "b": answers(RIGHT, RIGHT, point=(10.0, 3.0))}
    assert measured(Goal("a", "b", "pointing", 0.1), pointing, TAGS).value == 1.0
    with pytest.raises(InputError, match="a and b answered other expressions"):
        measured(Goal("a", "b", "acc@0.5", 0.0), {**found, "b": answers(RIGHT)}, TAGS)


def test_strata_count_as_often_as_in_the_group() -> None:
    # In the group one is "easy", and right, and three are "hard", of which one is right. Of the others all easy ones
    # are right and half of the hard ones; what is "elsewhere" has nothing to be compared with.
    values = np.array([1, 1, 0, 0, 1, 1, 1, 1, 0, 1.0] * 20)
    in_group = np.array(([True] * 4 + [False] * 6) * 20)
    strata = ["easy", "hard", "hard", "hard", "easy", "easy", "easy", "hard", "hard", "elsewhere"] * 20
    difference, (low, high), n = matched_difference(values, in_group, strata, np.arange(200))
    assert difference == pytest.approx((1 + 1) / 4 - (1 * 1 + 3 * 0.5) / 4) and n == 80
    assert low < difference < high


def test_equal_groups_do_not_differ_and_images_are_drawn_whole() -> None:
    values = np.tile([1.0, 0.0], 50)
    in_group = np.repeat([True, False], 2).tolist() * 25
    images = np.repeat(np.arange(25), 4)  # each image has one right and one wrong of either group
    difference, interval, n = matched_difference(values, np.array(in_group), [0] * 100, images)
    assert (difference, n) == (0.0, 50) and interval == (0.0, 0.0)
