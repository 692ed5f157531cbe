"""Pictures in a mirror: boxes go where their pixels go, left and right swap, and some phrases forbid it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grounding.data.augment import AugmentationConfig, augment, can_be_mirrored, mirrored_phrase
from grounding.data.relations import CONNECTORS, stands
from grounding.types import SetExample, SetExpression

FLIP = AugmentationConfig(flip=True)
Box = tuple[float, float, float, float]


def example_of(size: tuple[int, int], *said: tuple[str, tuple[Box, ...]]) -> SetExample:
    """Noise of (width, height), with phrases and the boxes of each."""
    image = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return SetExample(image, tuple(
        SetExpression(phrase, boxes, tuple(range(len(boxes))), 1, i, i, Path("a.jpg"))
        for i, (phrase, boxes) in enumerate(said)
    ))  # fmt: skip


def in_all_seeds(example: SetExample, config: AugmentationConfig = FLIP) -> list[SetExample]:
    return [augment(example, config, rng=np.random.default_rng(seed)) for seed in range(30)]


def test_boxes_and_words_go_where_the_pixels_go() -> None:
    """By hand, in 40 pixels: 3 to 12 becomes 28 to 37; what reaches over the edge is cut off there."""
    boxes = ((3.0, 5.0, 12.0, 11.0), (-2.0, -1.0, 20.5, 31.0))
    example = example_of((40, 30), ("the left cups in her right hand", boxes), ("a dog", ()), ("x", boxes[:1]))
    outs = in_all_seeds(example)
    mirrored = [out for out in outs if not np.array_equal(out.image, example.image)]
    assert 5 < len(mirrored) < 25
    for out in mirrored:
        assert np.array_equal(out.image, example.image[:, ::-1])
        assert out.phrases == ["the right cups in her left hand", "a dog", "x"]
        first, second = out.expressions[0].boxes_xyxy
        assert first == pytest.approx((28, 5, 37, 11), abs=1e-4) and out.expressions[2].boxes_xyxy == (first,)
        assert second == pytest.approx((19.5, 0, 40, 30), abs=1e-4) and out.expressions[1].boxes_xyxy == ()
        assert [replace(each, phrase="", boxes_xyxy=()) for each in out.expressions] == [
            replace(each, phrase="", boxes_xyxy=()) for each in example.expressions
        ]
    untouched = [out for out in outs if np.array_equal(out.image, example.image)]
    assert all(out.expressions == example.expressions for out in untouched)


def test_a_seed_means_the_same_as_ever() -> None:
    """What is drawn, and in which order, is a contract: a resumed run goes on as it would have."""
    example = example_of((40, 30), ("a cup", ((3.0, 5.0, 12.0, 11.0),)))
    for seed, out in enumerate(in_all_seeds(example)):
        flips = np.random.default_rng(seed).random(3)[2] < 0.5
        assert np.array_equal(out.image, example.image[:, ::-1] if flips else example.image)


def test_nothing_happens_unless_asked_for_and_permitted() -> None:
    allowed, refused = ("a cup", ((3.0, 5.0, 12.0, 11.0),)), ("the cup with the number 7", ())
    assert all(out is example for example in [example_of((40, 30), allowed)]
               for out in in_all_seeds(example, AugmentationConfig()))  # fmt: skip
    assert all(out is example for example in [example_of((40, 30), allowed, refused)] for out in in_all_seeds(example))


SWAPPED = {
    "the left cup": "the right cup",
    "Left cup": "Right cup",
    "LEFT CUP": "RIGHT CUP",
    "the Rightmost bench": "the Leftmost bench",
    "left most carrot in the image": "right most carrot in the image",
    "keyboard on the laptop in the right hand picture": "keyboard on the laptop in the left hand picture",
    "slightly to the upper lefthand side of the other": "slightly to the upper righthand side of the other",
    "a right-handed batter": "a left-handed batter",
    "the lefty batter": "the righty batter",
    "the guy sitting on the leftside": "the guy sitting on the rightside",
    "the cat leaning leftward": "the cat leaning rightward",
    "the donut in her left hand, her right thumb": "the donut in her right hand, her left thumb",
    "a chair on woman ' s left": "a chair on woman ' s right",
    "the far right and the far left cushions": "the far left and the far right cushions",
    "the zebra facing left": "the zebra facing right",
    "man on right in blue": "man on left in blue",
    "the cup on the right next to the window": "the cup on the left next to the window",
    "the one on the left behind the dog": "the one on the right behind the dog",
    "the bowl that is right of the cup": "the bowl that is left of the cup",
    "the circle to the left of the small red star": "the circle to the right of the small red star",
    "the man on the left right behind the sign": "the man on the right right behind the sign",
    "right-angled, on the left": "right-angled, on the right",
}
KEPT = [
    "the bright lamp",
    "leftover pizza",
    "the left over pizza",
    "a copyright mark",
    "man standing right next to a stop sign",
    "a van that follows right behind a sedan",
    "the dog right in front of the door",
    "broccoli that is right in the center",
    "a cup right on top of the books",
    "the right side up cup",
    "the TV",
    "the woman reading a book",
]
FORBIDDEN = [
    "the sign that says STOP",
    "the watch that reads 6 : 32",
    "the trailer reading garda",
    "number 7",
    "a man wearing # 116",
    'bus with "express" on it',
    "pizza in the 9 o ' clock position",
    "the clock at half past two",
    "a boat named tempest",
    "the last giraffe in line",
    "a portion of cake left on a plate",
    "the two slices left",
    "what is left of the pizza",
    "a giraffe looking right behind another giraffe",
    "man right in blue",
    "the woman who left her bag",
    "the cat that left the room",
    "the man who left",
    "suitcase left the ground",
    "what ' s left of the pizza",
    "the right answer",
    "the right of way sign",
    "a key of the right size",
]


@pytest.mark.parametrize(("phrase", "expected"), SWAPPED.items())
def test_directions_swap_and_swap_back(phrase: str, expected: str) -> None:
    assert mirrored_phrase(phrase) == expected
    assert mirrored_phrase(expected) == phrase
    assert can_be_mirrored(phrase) and can_be_mirrored(expected)


@pytest.mark.parametrize("phrase", KEPT)
def test_what_is_no_direction_stays(phrase: str) -> None:
    assert mirrored_phrase(phrase) == phrase
    assert can_be_mirrored(phrase)


@pytest.mark.parametrize("phrase", FORBIDDEN)
def test_what_a_mirror_would_make_untrue_is_refused(phrase: str) -> None:
    assert not can_be_mirrored(phrase)


def test_a_count_that_says_where_it_starts_can_be_mirrored() -> None:
    assert not can_be_mirrored("the second zebra")
    assert can_be_mirrored("the second zebra from the left")


@pytest.mark.parametrize("relation", CONNECTORS)
def test_a_composed_relation_is_true_of_the_mirrored_boxes(relation: str) -> None:
    """For every pair of boxes on a coarse grid: what stands in a relation stands in the mirrored one."""
    meaning = {wording: name for name, wordings in CONNECTORS.items() for wording in wordings}
    corners = range(0, 100, 20)
    boxes = [(x, y, x + w, y + h) for x, y, w, h in itertools.product(corners, corners, (10, 30), (20,))]
    width, seen = 130, 0
    for box, anchor in itertools.product(boxes[::3], boxes[::2]):
        if not stands(relation, box, anchor, strictly=True):
            continue
        flipped, flipped_anchor = ((width - x2, y1, width - x1, y2) for x1, y1, x2, y2 in (box, anchor))
        for connector in CONNECTORS[relation]:
            said = mirrored_phrase(f"the circle {connector} the small red star")
            connector = said.removeprefix("the circle ").removesuffix(" the small red star")
            assert stands(meaning[connector], flipped, flipped_anchor, strictly=True)
            seen += 1
    assert seen > 100
