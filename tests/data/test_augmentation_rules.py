"""What phrases say of places in the picture, of other objects, and of left and right."""

from __future__ import annotations

import pytest

from grounding.data.augmentation_rules import can_be_mirrored, mirrored_phrase, names_another, names_place
from grounding.data.relations import CONNECTORS


@pytest.mark.parametrize(
    "phrase",
    ["the cup on the left", "monitor in the left side of the image", "the laptop in the right hand picture",
     "second from left", "third cow", "kid in middle", "the one in the center", "bowl in top left corner",
     "head of someone on the edge of the frame", "the giraffe in the background", "the man in the distance",
     "the drink in the back", "nose in the front of the photo", "the man on the left looking right",
     "the one of the three"],
)  # fmt: skip
def test_places_in_the_picture_forbid_a_crop(phrase: str) -> None:
    assert names_place(phrase)


@pytest.mark.parametrize(
    "phrase",
    ["leftmost sheep", "the left most glass", "the dog left of the ring", "the ring on the left side of the small star",
     "pizza at the top of the plate", "the man in front of the bus", "a bag on top of the suitcase",
     "pen in her left hand", "dog on woman ' s right", "the left arm of the man", "man looking to the right",
     "man standing right next to a sign", "a middle aged man", "leftover pizza", "woman in a tank top"],
)  # fmt: skip
def test_what_stays_true_among_fewer_objects_permits_it(phrase: str) -> None:
    assert not names_place(phrase)


@pytest.mark.parametrize("connector", [each for wordings in CONNECTORS.values() for each in wordings])
def test_every_composed_phrase_names_another_object(connector: str) -> None:
    assert names_another(f"x {connector} y") and not names_place(f"x {connector} y")


@pytest.mark.parametrize(
    "phrase",
    ["the cup on the left side of the bench", "the dog in back of the car", "Cup AROUND the vase",
     "a dog touching the sofa", "dog beside a cat"],
)  # fmt: skip
def test_what_ties_one_object_to_another_is_found(phrase: str) -> None:
    assert names_another(phrase)


@pytest.mark.parametrize(
    "phrase",
    ["a baby", "woman in a tank top", "leftmost sheep", "the cup on the left", "the left side of the picture"],
)
def test_what_needs_nothing_else_is_not(phrase: str) -> None:
    assert not names_another(phrase)


SWAPPED = {
    "the left cup": "the right cup",
    "LEFT CUP": "RIGHT CUP",
    "the Rightmost bench": "the Leftmost bench",
    "left most carrot in the image": "right most carrot in the image",
    "keyboard on the laptop in the right hand picture": "keyboard on the laptop in the left hand picture",
    "slightly to the upper lefthand side of the other": "slightly to the upper righthand side of the other",
    "a right-handed batter": "a left-handed batter",
    "the lefty batter": "the righty batter",
    "the guy sitting on the leftside": "the guy sitting on the rightside",
    "the cat leaning leftward": "the cat leaning rightward",
    "a chair on woman ' s left": "a chair on woman ' s right",
    "the cup on the right next to the window": "the cup on the left next to the window",
    "the bowl that is right of the cup": "the bowl that is left of the cup",
    "the man on the left right behind the sign": "the man on the right right behind the sign",
    "right-angled, on the left": "right-angled, on the right",
}
KEPT = [
    "the bright lamp", "leftover pizza", "the left over pizza", "man standing right next to a stop sign",
    "broccoli that is right in the center", "the right side up cup", "the TV",
]  # fmt: skip
FORBIDDEN = [
    "the sign that says STOP", "the trailer reading garda", "a man wearing # 116",
    "pizza in the 9 o ' clock position", "the last giraffe in line", "a portion of cake left on a plate",
    "the two slices left", "a giraffe looking right behind another giraffe", "man right in blue",
    "the woman who left her bag", "the man who left", "suitcase left the ground", "what ' s left of the pizza",
    "the right answer", "the right of way sign", "a key of the right size",
]  # fmt: skip


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


def test_of_composed_relations_left_and_right_change_places() -> None:
    sides = CONNECTORS["left"], CONNECTORS["right"]
    opposite = dict(zip(sum(sides, ()), sum(sides[::-1], ()), strict=True))
    for connector in (each for wordings in CONNECTORS.values() for each in wordings):
        expected = f"the circle {opposite.get(connector, connector)} the small red star"
        assert mirrored_phrase(f"the circle {connector} the small red star") == expected
