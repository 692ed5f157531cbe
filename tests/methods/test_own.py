"""What a method of one's own may get wrong is said in a sentence, and what it may leave out is added."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from grounding import Grounding, InputError, grounding_of_boxes, load
from grounding.methods.own import OwnGrounder

IMAGE = np.zeros((20, 30, 3), dtype=np.uint8)
RIGHT = grounding_of_boxes("a", np.array([[1, 2, 10, 12.0]]), np.array([0.5]), IMAGE)


def assert_right(answers: list[Grounding]) -> None:
    [answer] = answers
    assert answer.phrase == "a" and answer.boxes_xyxy.dtype == np.float32
    for name in ("boxes_xyxy", "scores", "heatmap", "image"):
        np.testing.assert_array_equal(getattr(answer, name), getattr(RIGHT, name))


def answering(answers: Any, **named: Any) -> OwnGrounder:
    return OwnGrounder(type("Mine", (), {"ground": lambda self, image, phrases: answers, **named})())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((RIGHT.boxes_xyxy, RIGHT.scores), "a tuple: return a grounding.Grounding"),
        (replace(RIGHT, boxes_xyxy=np.zeros((0, 4))), r"shape \(0, 4\) and scores"),
        (replace(RIGHT, scores=np.ones(2)), r"scores of shape \(2,\)"),
        (replace(RIGHT, heatmap=np.zeros((30, 20))), r"heatmap of shape \(30, 20\) for an image of \(20, 30\)"),
        (replace(RIGHT, heatmap=np.full((20, 30), np.nan)), "a heatmap from nan to nan"),
        (replace(RIGHT, boxes_xyxy=np.array([[1, 2, np.inf, 3]])), r"box \[1.0, 2.0, inf, 3.0\]: give x1"),
        (replace(RIGHT, boxes_xyxy=np.array([[10, 2, 1, 12]])), r"\[10, 2, 1, 12\]: give x1, y1, x2, y2"),
        (replace(RIGHT, boxes_xyxy=np.array([[0.1, 0.2, 0.5, 1]])), "a share of the image's sides"),
        (replace(RIGHT, scores=np.array([7.0])), "scores from 7 to 7"),
        (replace(RIGHT, boxes_xyxy=np.tile(RIGHT.boxes_xyxy, (2, 1)), scores=np.array([0.1, 0.2])), "best one first"),
        (replace(RIGHT, found=(1,)), r"found=\(1,\) of 1 boxes"),
    ],
)
def test_an_answer_that_cannot_be_used_is_named(answer: Any, said: str) -> None:
    with pytest.raises(InputError, match=f"Mine, asked 'a', answers .*{said}"):
        answering([answer]).ground(IMAGE, ["a"])


def test_a_missing_answer_is_named() -> None:
    for answers in ([], None, RIGHT):
        with pytest.raises(InputError, match="answers 1 phrases with something else than as many answers"):
            answering(answers).ground(IMAGE, ["a"])
    batched = answering([RIGHT], ground_batch=lambda self, images, phrases: [[RIGHT]])
    assert_right(batched.ground_batch([IMAGE], [["a"]])[0])
    with pytest.raises(InputError, match="answers 2 images with"):
        batched.ground_batch([IMAGE, IMAGE], [["a"], ["b"]])


def test_name_and_weights_may_be_left_out() -> None:
    own = answering([RIGHT])
    assert own.name == "Mine" and own.origin in own.weights
    [answers, nothing] = own.ground_batch([IMAGE, IMAGE], [["a"], []])
    assert own.ground(IMAGE, []) == nothing == []
    assert_right(answers)
    assert_right(own.ground(own.encode(IMAGE), ["a"]))


def test_an_answer_is_what_was_checked_and_asked() -> None:
    lists = replace(RIGHT, phrase="another", boxes_xyxy=RIGHT.boxes_xyxy.tolist(), scores=[0.5])
    answers = answering([lists]).ground(IMAGE, ["a"])
    assert_right(answers)
    assert answers[0].found_xyxy.tolist() == RIGHT.boxes_xyxy.tolist()


def test_a_method_may_be_loaded_as_it_is() -> None:
    assert_right(load(answering([RIGHT]).method).ground(IMAGE, ["a"]))
    for name in ("a/b", "", "..", None, 3):
        with pytest.raises(InputError, match="files are called after it"):
            answering([RIGHT], name=name)
    for nothing in (3, None):
        with pytest.raises(InputError, match=r"is no method: it needs ground\(image, phrases\)"):
            load(nothing)
